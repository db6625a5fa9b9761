/* SPDX-License-Identifier: MIT */
/*
 * What the local socket's limits are called, may be, and are by default.
 */

#include "rpc/settings.h"

#include "base/util.h"

#define KIB 1024LL
#define MIB (1024 * KIB)

#define AT(member) offsetof(struct rpc_settings, member)

static const struct setting rpc_settings[] = {
	{ .name = "max_connections",
	  .offset = AT(max_connections),
	  .type = SETTING_COUNT,
	  .min = 1,
	  .max = 65536,
	  .initial = "1024",
	  .help = "connections at one time; each costs a file descriptor" },
	{ .name = "max_connections_per_uid",
	  .offset = AT(max_connections_per_uid),
	  .type = SETTING_COUNT,
	  .min = 1,
	  .max = 65536,
	  .initial = "128",
	  .help = "of these, how many one user may have" },
	{ .name = "max_calls_in_flight",
	  .offset = AT(max_calls_in_flight),
	  .type = SETTING_COUNT,
	  .min = 1,
	  .max = 65536,
	  .initial = "128",
	  .help = "calls of one connection that are not answered yet" },
	{ .name = "max_request_bytes",
	  .offset = AT(max_request_bytes),
	  .type = SETTING_SIZE,
	  .min = 4 * KIB,
	  .max = 64 * MIB,
	  .initial = "1M",
	  .help = "size of one request" },
	{ .name = "max_output_bytes",
	  .offset = AT(max_output_bytes),
	  .type = SETTING_SIZE,
	  .min = 64 * KIB,
	  .max = 1024 * MIB,
	  .initial = "4M",
	  .help = "answers waiting for a client that does not read" },
	{ .name = "partial_timeout",
	  .offset = AT(partial_timeout_ms),
	  .type = SETTING_DURATION,
	  .min = 1000,
	  .max = 600 * 1000,
	  .initial = "10s",
	  .help = "how long a request that was begun may take to arrive" },
};

const struct setting_table rpc_settings_table = { rpc_settings, ARRAY_LEN(rpc_settings) };

void rpc_settings_init(struct rpc_settings *settings)
{
	*settings = (struct rpc_settings){ 0 };
	/* Numbers only: nothing that could fail, and a test reads each default. */
	(void)settings_reset(&rpc_settings_table, settings, NULL);
}
