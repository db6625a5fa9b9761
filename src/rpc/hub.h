/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What all callers share: the daemon's parts that methods work on, the rules,
 * and the numbers. The server owns it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"
#include "agent/settings.h"
#include "base/buffer.h"
#include "io/loop.h"
#include "rpc/policy.h"
#include "rpc/schema.h"
#include "rpc/settings.h"
#include "rpc/stats.h"

/* What the daemon, which is above us, does and knows. Everything is borrowed. */
struct hub_host {
	struct loop *loop;
	struct agent *agent;
	const char *version;
	int64_t started_wall_ms;
	void *data;
	/*
	 * Reads the configuration anew, all or nothing. changed gets a JSON array of
	 * what did change.
	 */
	int (*reload)(void *data, struct buffer *changed, struct error *err);
	/* What a workspace begins with that is joined; ret is uninitialised. NULL: the built-in. */
	int (*join_defaults)(void *data, struct workspace_settings *ret);
};

struct hub {
	struct hub_host host;
	struct rpc_settings settings;
	struct policy policy;
	struct schema schema;
	struct stats stats;
	struct list callers;       /* of the connections */
	struct list subscriptions; /* in the order in which they were made */
	struct buffer event;       /* scratch: an event is put into words once for all */
	uint64_t last_subscription;
	uint32_t n_connections;
	uint32_t n_in_flight; /* calls that wait */
	bool stopping;
};

/* Everything that the daemon counts, as OpenMetrics. */
void hub_write_metrics(const struct hub *hub, struct buffer *out);
