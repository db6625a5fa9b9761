/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the calls to peers of all workspaces share: so many are out at one time,
 * so many wait for one of these to end, and who comes after is told that there
 * is no more room. No peer and no caller has so much of it that nothing is left
 * for others (agent/trunk). They have an HTTP client of their own, whose
 * connections nobody else waits for; and they are counted here.
 *
 * A call holds a line, waiting or open, until it closes it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/call-settings.h"
#include "agent/trunk.h"
#include "base/error.h"
#include "base/list.h"
#include "base/metrics.h"
#include "io/http.h"
#include "io/loop.h"

struct switchboard;
struct line;

/* It is this one's turn. May close any line. */
typedef void (*line_fn)(struct line *line);

struct line {
	struct switchboard *board; /* borrowed; NULL: closed */
	struct trunk *trunk;       /* until it is closed */
	struct list node;          /* while it waits */
	bool open;
	size_t bytes; /* of the message */
	line_fn on_open;
};

/* Whom a line is for. Borrowed until it was asked for. */
struct line_spec {
	const char *peer;      /* its id */
	const char *workspace; /* id of that which calls */
	uid_t uid;             /* of the local user who does */
	size_t bytes;          /* of the message */
};

/* How a call went, for the numbers. */
enum switchboard_route {
	SWITCHBOARD_NOWHERE, /* it ended before it was sent anywhere */
	SWITCHBOARD_DIRECT,
	SWITCHBOARD_PROXY,
	SWITCHBOARD_ROUTE_LAST = SWITCHBOARD_PROXY,
};

enum switchboard_outcome {
	SWITCHBOARD_ANSWERED,
	SWITCHBOARD_QUEUED,
	SWITCHBOARD_FAILED, /* by kind of error */
};

struct switchboard_stats {
	uint64_t answered[SWITCHBOARD_ROUTE_LAST + 1], queued[SWITCHBOARD_ROUTE_LAST + 1];
	uint64_t failed[SWITCHBOARD_ROUTE_LAST + 1][ERROR_KIND_LAST + 1];
	uint64_t n_fallbacks;                                   /* from direct to the platform */
	uint64_t n_refused[PARTY_KIND_LAST + 1], n_refused_all; /* by whose share was used up */
	struct histogram latency[SWITCHBOARD_ROUTE_LAST + 1];
};

struct switchboard {
	struct loop *loop; /* borrowed */
	struct http *http; /* owned */
	struct call_settings settings;
	struct trunks trunks;
	unsigned n_open, n_waiting;
	unsigned most_open; /* since memory was given back last */
	struct timer trim;
	size_t bytes;
	struct loop_work serve;
	struct list contacts; /* of all peers that were called directly: each its peer's */
	struct switchboard_stats stats;
};

int switchboard_new(struct loop *loop, struct switchboard **ret, struct error *err);
void switchboard_free(struct switchboard *board); /* takes NULL; all lines must be closed */
void switchboard_configure(struct switchboard *board, const struct call_settings *settings);

void line_init(struct line *line, line_fn on_open);
/* Asks for a line: on_open comes later, from the loop; or ERROR_OVERLOADED. */
int line_request(struct line *line, struct switchboard *board, const struct line_spec *spec,
		 struct error *err);
void line_close(struct line *line); /* takes one that is closed */
/* What its peer has of the HTTP client; until it is closed. */
struct http_party *line_party(const struct line *line);

/* kind: for FAILED. Nowhere has no latency. */
void switchboard_count(struct switchboard *board, enum switchboard_route route,
		       enum switchboard_outcome outcome, enum error_kind kind, int64_t elapsed_ms);
void switchboard_write_metrics(const struct switchboard *board, struct buffer *out);
