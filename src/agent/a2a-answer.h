/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a peer's reply means, whether it came from the peer itself or through
 * the platform. Pure.
 *
 * Agents answer in many shapes, not all of which any specification knows; each
 * is read for what it says. Where a reply says less than would be good to know,
 * it is read for the worse: that a message was not delivered is said only when
 * it is certain, for whoever hears it will send again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/a2a-request.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/jsontext.h"
#include "io/http.h"

enum a2a_route {
	A2A_DIRECT, /* to the peer's own URL */
	A2A_PROXY,  /* through the platform */
};

enum a2a_answer_kind {
	A2A_ANSWERED,      /* response is the peer's, and text the first text in it */
	A2A_TASK_WORKING,  /* it works on task_id: ask again, with a2a_request_write_get() */
	A2A_QUEUED,        /* it was taken for later; no answer will come */
	A2A_WRONG_VERSION, /* the peer speaks the other version. err is for when there is no other
			    */
	A2A_FAILED,        /* err says how */
};

/* What was asked, as far as the reply has to be held against it. All is borrowed. */
struct a2a_question {
	enum a2a_route route;
	bool is_poll;         /* the message was delivered before; this asks for its task */
	const char *peer;     /* its name, for sentences */
	const char *platform; /* the platform's host and port, for sentences */
	const char *token;    /* that went to the platform and is not to be repeated, or NULL */
	size_t max_body;
	int64_t timeout_ms;
	int64_t now_s;       /* wall clock, for a Retry-After that is a date */
	int64_t rest_max_ms; /* the longest Retry-After that is believed */
};

struct a2a_answer {
	enum a2a_answer_kind kind;
	/*
	 * For WRONG_VERSION and FAILED. With is_poll it is ERROR_UNKNOWN_OUTCOME,
	 * whatever happened to the question, unless the peer itself said no.
	 */
	struct error err;
	bool may_fall_back;  /* direct: nothing was done, or a 5xx; the platform may be tried */
	bool may_poll_again; /* is_poll: it failed in passing */
	struct json_text response;     /* the whole body, checked; JSON_NONE unless ANSWERED */
	struct json_text text;         /* a JSON string in response, or JSON_NONE */
	char task_id[A2A_ID_MAX + 1];  /* "" unless TASK_WORKING */
	char queue_id[A2A_ID_MAX + 1]; /* QUEUED: the platform's, or "" */
	struct buffer joined;          /* owned: what an event stream's lines make together */
};

/*
 * Reads a reply. ret is uninitialised; what it points to is the body's (and
 * goes with it) or its own.
 */
void a2a_answer_read(struct a2a_answer *ret, const struct a2a_question *question,
		     const struct http_result *result);
void a2a_answer_fini(struct a2a_answer *answer);

/*
 * Append what the local API's text and response are: a JSON value each, on one
 * line, null where there is none. 0, -ENOMEM or -EMSGSIZE.
 */
int a2a_answer_write_text(const struct a2a_answer *answer, struct buffer *out);
int a2a_answer_write_response(const struct a2a_answer *answer, struct buffer *out);
