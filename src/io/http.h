/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * HTTP requests: one curl multi handle on the loop for the life of the process.
 *
 * HTTP/1.1 only, no redirect followed, no proxy but the one that is given, no
 * netrc, no compression, nothing but https unless the request allows http.
 * Connections are kept and shared; at most HTTP_ORIGIN_CONNECTIONS an origin.
 * A request has a deadline of its own and caps on headers and body, which hold
 * while they stream in.
 *
 * A request in flight is its struct: stopping it cancels it, and its callback
 * then never comes. Callbacks come from the loop, never from inside start, and
 * may start, stop or free any request.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "io/loop.h"

#define HTTP_ORIGIN_CONNECTIONS 6 /* as browsers do; more only queue at the server */
#define HTTP_HEADERS_MAX 65536    /* of one reply, in bytes */

struct http;
struct http_request;

/* Everything is borrowed until http_request_start() returns. */
struct http_spec {
	const char *method; /* "GET", "POST", "PUT", "DELETE" */
	const char *url;
	const char *const *headers; /* "Name: value", ended by NULL; may be NULL */
	const char *bearer;         /* token for Authorization, or NULL */
	const char *body;           /* or NULL; sent as application/json */
	size_t body_len;
	size_t max_body;            /* of the reply */
	int64_t timeout_ms;         /* for all of it, from now */
	int64_t connect_timeout_ms; /* 0: as timeout_ms */
	const char *ca_file;        /* NULL: the system's */
	const char *proxy;          /* NULL: none */
	bool allow_http;
};

enum http_outcome {
	HTTP_ANSWERED,    /* a whole reply, of whatever status */
	HTTP_UNRESOLVED,  /* name resolution */
	HTTP_UNREACHABLE, /* connect */
	HTTP_UNTRUSTED,   /* TLS: certificate, protocol, handshake */
	HTTP_TIMED_OUT,
	HTTP_TOO_LARGE, /* headers or body over their cap */
	HTTP_BROKEN,    /* reset, cut short, not HTTP */
	HTTP_REFUSED,   /* not sent at all: bad URL, scheme not allowed, no memory */
};

struct http_result {
	enum http_outcome outcome;
	bool sent;        /* at least one byte of the request left: the other side may have acted */
	int status;       /* 0 unless answered */
	const char *body; /* borrowed, NUL behind it; wiped after the callback */
	size_t body_len;
	const char *content_type; /* "" when absent */
	const char *retry_after;  /* first one, or NULL */
	const char *why;          /* for a failure: curl's sentence, without URL or body */
	int64_t elapsed_ms;
};

typedef void (*http_done_fn)(struct http_request *request, const struct http_result *result);

struct http_request {
	struct http *http; /* borrowed; NULL: not in flight */
	void *easy;        /* CURL *, owned while in flight */
	struct curl_slist *headers;
	struct buffer body; /* of the reply */
	size_t header_bytes;
	size_t max_body;
	bool over_cap, timed_out;
	int64_t began_ms;
	struct timer deadline;
	struct list node; /* in http's list of those in flight, or of those done */
	int curl_code;
	char why[256];
	http_done_fn on_done;
};

int http_new(struct loop *loop, struct http **ret, struct error *err);
void http_free(struct http *http); /* all requests must have been stopped */

void http_request_init(struct http_request *request, http_done_fn on_done);
/* 0, or an error that says why nothing was begun (the callback does not come). */
int http_request_start(struct http_request *request, struct http *http,
		       const struct http_spec *spec, struct error *err);
void http_request_stop(struct http_request *request); /* takes one that is not in flight */
bool http_request_in_flight(const struct http_request *request);

/* Closes kept connections: after the network changed or the host slept. */
void http_drop_connections(struct http *http);

struct http_stats {
	uint64_t started, answered, failed;
	unsigned in_flight;
};
const struct http_stats *http_stats(const struct http *http);

const char *http_outcome_name(enum http_outcome outcome);
