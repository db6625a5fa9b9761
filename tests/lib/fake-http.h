/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Stands in for io/http.c when it is linked before it: nothing leaves the
 * process. A request stays in flight until the test answers it; what was asked
 * can be read meanwhile. Freeing the client with a request in flight, or
 * freeing a request that is in flight, ends the test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "io/http.h"

/* One that is in flight, with a copy of all that was asked. */
struct fake_request {
	struct list node;
	struct http *http;            /* borrowed */
	struct http_request *request; /* borrowed */
	char *method, *url, *body;    /* body: "" without one */
	char *bearer;                 /* or NULL */
	char *headers;                /* "Name: value\n" each */
	size_t max_body;
	int64_t timeout_ms;
	bool sent;            /* for the test to say */
	http_body_fn on_body; /* or NULL */
	unsigned n_resumed;
	int64_t connect_timeout_ms;
	int max_idle_s;
	http_may_dial_fn may_dial;
	void *may_dial_context;
};

/* Called as each request is started. */
typedef void (*fake_start_fn)(void *data, const struct fake_request *request);

void fake_http_on_start(struct http *http, fake_start_fn on_start, void *data);
/* From now on nothing can be started (as without memory), or it can again. */
void fake_http_refuse(struct http *http, bool refuse);

/* How many are in flight. */
unsigned fake_http_count(const struct http *http);
/* The oldest in flight whose URL ends in this; NULL: there is none. */
struct fake_request *fake_http_find(const struct http *http, const char *method, const char *end);

/*
 * Each ends a request: its callback runs inside, and the pointer is dead
 * afterwards. headers: "Name: value", ended by NULL; may be NULL.
 */
void fake_answer(struct fake_request *request, int status, const char *body);
void fake_answer_with(struct fake_request *request, const struct http_result *result,
		      const char *const headers[]);
void fake_fail(struct fake_request *request, enum http_outcome outcome);

/*
 * A piece of a 200's body for a request that streams: what on_body says of it.
 * fake_answer() with 200 and "" then ends such a request.
 */
int fake_stream(struct fake_request *request, const char *bytes, size_t len, int64_t length,
		const char *const headers[]);
