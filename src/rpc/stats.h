/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the local socket counts.
 */

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/metrics.h"
#include "rpc/schema.h"

struct stats {
	uint64_t calls[SCHEMA_METHODS_MAX][ERROR_KIND_LAST + 1];
	uint64_t nonsense[ERROR_KIND_LAST + 1]; /* what was no call of any method */
	struct histogram latency; /* from the turn that saw the request to its answer */
	uint64_t n_accepted, n_over_uid_limit, n_over_limit;
	uint64_t n_partial_timeouts, n_output_overflows, n_event_overflows;
	uint64_t bytes_in, bytes_out, events;
};

void stats_write(const struct stats *stats, const struct schema *schema, struct buffer *out);
