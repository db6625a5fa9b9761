/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One call: from the request's text to its answer.
 *
 * A call that needs nothing from outside is served where it stands and
 * allocates nothing. One that has to wait is parked: copied, with the parts of
 * its request that it needs, until what it waits for comes, its connection
 * closes, or the client cancels it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/waiter.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/jsontext.h"
#include "rpc/caller.h"
#include "rpc/schema.h"
#include "rpc/sink.h"

#define CALL_PARKED 1 /* what a method returns instead of a result */

struct parked;

struct call {
	struct caller *caller; /* borrowed, as all below */
	struct hub *hub;
	struct sink *sink;
	const struct method *method; /* NULL: none was found */
	int ordinal;                 /* of the method; -1: none */
	struct workspace *workspace; /* the one that the parameter means; NULL: it has none */
	struct json_text id;         /* JSON_NONE: a notification */
	struct json_text params;
	struct arg args[SCHEMA_PARAMS_MAX];
	int64_t began_ns;
	size_t start;          /* of the answer in sink->out */
	bool begun;            /* call_result() was called */
	bool silent;           /* a notification: whatever comes of it is not told */
	struct parked *parked; /* what holds it while it waits; NULL: it never did */
	struct buffer note;    /* for methods that have to remember something while they wait */
	void *errand; /* what they wait for, if it has to say more than that it has ended */
	/* Of the message that may have been sent: told with an error. Borrowed; NULL: none. */
	const char *message_id;
};

/* Reads one request and serves it. Nothing is left of text afterwards. */
void call_serve(struct caller *caller, struct sink *sink, struct json_text text);

/* Answers with an error to nobody in particular: id null. */
void call_complain(struct caller *caller, struct sink *sink, const struct error *err);

/*
 * Begins the result: append one JSON value to what this returns. From here on
 * nothing may happen that could send an event to the caller, so a method acts
 * first and speaks then.
 */
struct buffer *call_result(struct call *call);

/*
 * Continues a call that was parked; failed is NULL when what it waited for went
 * well. Returns as a method does.
 */
typedef int (*call_resume_fn)(struct call *call, const struct error *failed, struct error *err);

/*
 * Parks a call (again): hand the waiter to whom it waits for, then return
 * CALL_PARKED. NULL without memory, with err filled. The call that was passed in
 * is not the one that is resumed: *call is set to that.
 */
struct waiter *call_park(struct call **call, call_resume_fn resume, struct error *err);
/* The same for what its workspace asks the platform; NULL, too, when it may not ask now. */
struct waiter *call_park_asking(struct call **call, call_resume_fn resume, struct error *err);
/* Resumes a parked call after this time at the latest, with ERROR_TIMEOUT. */
void call_set_deadline(struct call *call, int64_t after_ms);

/* rpc.cancel: whether there was such a call. */
bool call_cancel(struct caller *caller, struct json_text id);
/* Answers all that wait with an error, or forgets them when it is NULL. */
void call_end_all(struct caller *caller, const struct error *err);

/* All parked calls of one method and workspace. */
void call_for_each(struct hub *hub, method_fn fn, const struct workspace *workspace,
		   void (*visit)(struct call *call, void *data), void *data);

/* A string argument as a C string; ERROR_INVALID_PARAMS names it. "" when it was not given. */
int call_text(const struct call *call, unsigned index, char *dst, size_t dst_size,
	      struct error *err);
