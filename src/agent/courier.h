/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One call to a peer, from asking for a line to the answer: finds out where the
 * peer is, goes there directly or through the platform, goes on through the
 * platform where that is safe, speaks the version that the peer speaks, and
 * asks after a task that is not done yet.
 *
 * What it must never do is deliver a message twice that may have been acted on,
 * or say that nothing was done when something may have been.
 *
 * A courier lives for one waiter: it ends when that has been called, and when
 * that has lost interest, which cancels the call.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/a2a-answer.h"
#include "agent/a2a-request.h"
#include "agent/breaker.h"
#include "agent/membership.h"
#include "agent/peerbook.h"
#include "agent/switchboard.h"
#include "agent/waiter.h"
#include "base/buffer.h"
#include "base/parse.h"

/*
 * A minute more than after what the platform gives up on an agent that says
 * nothing: so it is the platform that says what became of the message (it was
 * queued), and not our clock that it is not known.
 */
#define COURIER_TIMEOUT_MS (6 * 60 * 1000)
#define COURIER_TIMEOUT_MAX_MS (30 * 60 * 1000) /* the platform ends every call then */
#define COURIER_CONNECT_MS 2000                 /* directly: the platform is there, too */
/*
 * How long a peer's connection may have rested. Servers close one that rests
 * after 2 s (gunicorn), 5 s (node, uvicorn, Apache) or more, and what was sent
 * in that moment has no known outcome.
 */
#define COURIER_IDLE_S 1
/*
 * A message is composed before it has a line, for its length. One that is no
 * larger is kept until it is sent; a thousand larger ones may wait, and their
 * text is in memory once already.
 */
#define COURIER_FIRST_MAX ((size_t)4096)
#define COURIER_REPLY_MAX ((size_t)10 << 20) /* what the platform passes on; it cuts the rest */

enum courier_route {
	COURIER_AUTO, /* directly when that is known to be possible, else through the platform */
	COURIER_DIRECT,
	COURIER_PROXY,
};

struct courier_spec {
	const struct membership *member; /* borrowed */
	struct peerbook *book;           /* borrowed */
	uid_t uid;                       /* of the local user who calls */
	const char *to;                  /* the peer's id */
	enum courier_route route;
	/* One of them, as struct a2a_request has them; borrowed until the courier is freed. */
	struct json_text text, message;
	const char *message_id; /* "": one is made up */
	int64_t timeout_ms;     /* for all of it */
	size_t max_reply;
};

enum courier_step {
	COURIER_WAITS,    /* for a line */
	COURIER_LOOKS,    /* where the peer is */
	COURIER_CALLS,    /* directly */
	COURIER_FORWARDS, /* through the platform */
	COURIER_RESTS,    /* until it asks after the task again */
	COURIER_DONE,
};

struct courier {
	struct courier_spec spec;
	char to[UUID_LEN + 1], id[UUID_LEN + 1]; /* id: of the JSON-RPC request */
	char message_id[A2A_ID_MAX + 1];
	char task_id[A2A_ID_MAX + 1]; /* "": the peer has not made a task of it */
	struct buffer first;          /* the message for the first try, in 0.3; or empty */
	struct list waiters;          /* the one */
	struct waiter book_news, farewell;
	struct line line;
	struct http_request http;
	struct platform_call call;
	struct timer deadline, rest;
	struct backoff polls;
	enum courier_step step;
	enum a2a_route route; /* of the latest try, as the two below */
	enum a2a_version version;
	enum breaker_pass pass;
	char *url; /* owned; where it is called directly */
	bool looked, discovered, switched_version;
	bool tried;           /* some route was taken */
	bool reached;         /* the peer had it already, and said no in a way that is no answer */
	struct error *before; /* owned; why it does not go directly any more */
	int64_t began_ms;
	const struct a2a_answer *answer; /* while the waiter hears of a success; route is its way */
};

/*
 * Begins a call; the waiter hears of its end, and finds its answer in *ret,
 * which is good until then. ERROR_TOO_LARGE and ERROR_OVERLOADED are known at once.
 */
int courier_new(const struct courier_spec *spec, struct waiter *waiter, struct courier **ret,
		struct error *err);
