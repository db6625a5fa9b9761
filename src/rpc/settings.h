/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The local socket's limits, with the reason for each default. All can be
 * changed in the configuration.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/setting.h"

struct rpc_settings {
	uint32_t max_connections; /* 1024: half of the usual RLIMIT_NOFILE, the rest is ours */
	uint32_t max_connections_per_uid; /* 128: no user can lock the others out */
	uint32_t max_calls_in_flight;     /* 128 a connection; past it the daemon stops reading */
	uint64_t max_request_bytes;       /* 1 MiB: what the platform takes */
	uint64_t max_output_bytes;  /* 4 MiB of answers nobody reads, then the connection ends */
	int64_t partial_timeout_ms; /* 10 s: a message begun and not ended */
};

extern const struct setting_table rpc_settings_table;

/* The defaults. */
void rpc_settings_init(struct rpc_settings *settings);
