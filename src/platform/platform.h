/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One platform: its base URL and headers, its rate budget, and the order in
 * which requests of all its workspaces go out. A reply is turned into a
 * verdict: what it is evidence of, and no more.
 *
 * The workspace token goes to this origin only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/list.h"
#include "base/metrics.h"
#include "io/http.h"
#include "platform/budget.h"
#include "platform/settings.h"
#include "platform/verdict.h"

#define PLATFORM_TIMEOUT_MS 10000    /* of a call that names none */
#define PLATFORM_BODY_MAX (1u << 20) /* of a reply, likewise */

/* Earlier ones go first when there is a queue. */
enum platform_class {
	PLATFORM_HEARTBEAT,
	PLATFORM_STATE,      /* state polls, joining */
	PLATFORM_FOREGROUND, /* somebody local waits */
	PLATFORM_BACKGROUND,
	/*
	 * To a peer, by way of the platform: may take minutes, and be many. They go
	 * over connections of their own, and are bounded by whoever makes them.
	 */
	PLATFORM_CALL,
	PLATFORM_CLASS_LAST = PLATFORM_CALL,
};

struct platform;
struct platform_call;
typedef void (*platform_done_fn)(struct platform_call *call, const struct platform_reply *reply);
/* As http_body_fn; the call may be stopped in here, too. */
typedef int (*platform_body_fn)(struct platform_call *call, const struct http_result *head,
				const char *bytes, size_t len);

/* Everything is copied. */
struct platform_spec {
	enum platform_class class;
	const char *method;
	const char *path;   /* from the platform's base, with the query */
	const char *what;   /* for sentences: "fetch the secrets of laptop" */
	const char *id;     /* the workspace it is about: a 404 must name it to count */
	const char *caller; /* X-Workspace-ID, or NULL */
	const char *token;  /* or NULL: without Authorization */
	const char *body;   /* JSON text, or NULL */
	size_t body_len;
	size_t max_body;          /* 0: PLATFORM_BODY_MAX */
	int64_t timeout_ms;       /* 0: PLATFORM_TIMEOUT_MS; counts from when it is sent */
	bool keep_raw;            /* a body with secrets: checked, not parsed */
	bool unread;              /* whoever asks reads the answer: see verdict_unread() */
	platform_body_fn on_body; /* NULL: the body comes whole. Else a 200's comes here, unread */
	struct http_party *party; /* as of an http_spec, and borrowed as there */
};

/*
 * In flight or in the queue; stopping it cancels it, and its callback then
 * never comes. What a request needs is on the heap while it is under way: a
 * workspace has several of these, and mostly none that runs.
 */
struct platform_flight;

struct platform_call {
	struct platform_flight *flight; /* owned; NULL: not under way */
	platform_done_fn on_done;
};

struct platform_stats {
	uint64_t requests, failures, limited;
	struct histogram latency;
};

struct platform {
	struct list node;       /* in the agent's list */
	struct loop *loop;      /* borrowed */
	struct http *http;      /* borrowed */
	struct http *call_http; /* for PLATFORM_CALL: set by whoever lends it; NULL: as above */
	struct platform_settings settings;
	char *label;                      /* host and port, for logs and metrics */
	char *org_header, *origin_header; /* "Name: value", or NULL */
	struct list queues[PLATFORM_CLASS_LAST + 1];
	unsigned in_flight, calls_in_flight;
	unsigned queued;
	uint64_t n_sent, n_told; /* requests; up to which of them the platform's count is known */
	unsigned n_workspaces;   /* that use it: set by whoever lends it */
	double beats_per_minute; /* likewise: what must be left for them */
	struct budget budget;
	bool probed, has_cursors; /* what it knows: written by whoever found out */
	struct timer pump;
	struct loop_work pump_soon;
	struct platform_stats stats;
};

int platform_new(struct loop *loop, struct http *http, const struct platform_settings *settings,
		 struct platform **ret, struct error *err);
void platform_free(struct platform *platform); /* all calls must have been stopped */

void platform_call_init(struct platform_call *call, platform_done_fn on_done);
/*
 * The callback comes from the loop. Without memory nothing is begun: an error,
 * and no callback. One that is under way is stopped first.
 */
int platform_call_start(struct platform_call *call, struct platform *platform,
			const struct platform_spec *spec, struct error *err);
void platform_call_stop(struct platform_call *call);
bool platform_call_is_running(const struct platform_call *call);
/* After on_body has said -EAGAIN; takes one that is not under way. */
void platform_call_resume(struct platform_call *call);
/* At least one byte of it has left: the platform may have acted. */
bool platform_call_was_sent(const struct platform_call *call);
