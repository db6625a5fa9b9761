/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * HTTP requests: one curl multi handle on the loop.
 *
 * HTTP/1.1 only, no redirect followed, no proxy but the one that is given, no
 * netrc, no compression, nothing but https unless the request allows http.
 * Connections are kept and shared; at most HTTP_ORIGIN_CONNECTIONS an origin,
 * unless http_limit() says otherwise. A request has a deadline of its own and
 * caps on headers and body, which hold while they stream in.
 *
 * A POST or PATCH is sent once. (curl would send it again when a kept connection
 * turns out to be closed; the other side may have acted.) Other methods may be
 * sent twice for that reason.
 *
 * A request in flight is its struct: stopping it cancels it, and its callback
 * then never comes. Callbacks come from the loop, never from inside start, and
 * may start, stop or free any request. A request that rests is three pointers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "io/loop.h"

#define HTTP_ORIGIN_CONNECTIONS 6 /* as browsers do; more only queue at the server */
#define HTTP_HEADERS_MAX 65536    /* of one reply, in bytes */

#define HTTP_STREAM_ERROR_MAX 65536 /* of the body of any other status, where a 200 is streamed */

struct http;
struct http_request;
struct http_result;
struct http_transfer;
struct sockaddr;

/* Whether this address may be dialled. May neither start nor stop a request. */
typedef bool (*http_may_dial_fn)(const struct sockaddr *address, void *context);

/*
 * A piece of a 200's body; of head the status, the fields and the length are
 * there. 0: taken. -EAGAIN: not now; nothing more is read, and the same piece
 * comes again (perhaps with more behind it) after http_request_resume().
 * -ECANCELED: the request was stopped in here, and may be gone.
 *
 * Bytes are no reply: only on_done says that they were all of it.
 */
typedef int (*http_body_fn)(struct http_request *request, const struct http_result *head,
			    const char *bytes, size_t len);

/*
 * What all requests for one and the same have of a client's limits: of those that
 * connect, and of the room for replies, never more than is left for all others.
 * Zero at first; outlives its requests.
 */
struct http_party {
	unsigned n_connecting;
	size_t room_used;
};

/* Everything is borrowed until http_request_start() returns. */
struct http_spec {
	const char *method;         /* "GET", "POST", "PUT", "PATCH", "DELETE" */
	const char *url;            /* without user information */
	const char *const *headers; /* "Name: value", ended by NULL; may be NULL */
	const char *bearer;         /* token for Authorization, or NULL */
	const char *body;           /* or NULL; sent as application/json */
	size_t body_len;
	size_t max_body;            /* of the reply */
	http_body_fn on_body;       /* NULL: the body of any reply comes whole, to on_done */
	int64_t timeout_ms;         /* for all of it, from now */
	int64_t connect_timeout_ms; /* 0: as timeout_ms */
	int64_t pace_ms;            /* of a body that goes to on_body, 32 KiB; 0: 30 s */
	const char *ca_file;        /* trusted instead of the system's; NULL: those */
	const char *proxy;          /* NULL: none */
	bool allow_http;
	/*
	 * Takes a success that ends where its connection does, as HTTP/1.0 has it.
	 * Whoever reads it sees to it that it is whole, for it may be cut anywhere.
	 */
	bool takes_unframed;
	bool alone; /* a connection of its own, which is not kept */
	/*
	 * A kept connection that has rested for longer is not used; 0: for 118 s, as
	 * curl has it. The other side may just be closing it, and then nobody knows
	 * whether a POST was heard.
	 */
	int max_idle_s;
	/*
	 * NULL: any address. Asked for each address before it is dialled, and again
	 * before anything is sent, since a kept connection was dialled for someone
	 * else. Through a proxy it is the proxy that dials, and nobody is asked.
	 */
	http_may_dial_fn may_dial;
	void *may_dial_context;   /* borrowed until the end of the request */
	struct http_party *party; /* likewise; NULL: none, which has whatever is left */
};

enum http_outcome {
	HTTP_ANSWERED,    /* a whole reply, of whatever status */
	HTTP_UNRESOLVED,  /* name resolution */
	HTTP_UNREACHABLE, /* connect */
	HTTP_UNTRUSTED,   /* TLS: certificate, protocol, handshake */
	HTTP_TIMED_OUT,
	HTTP_TOO_LARGE, /* headers or body over their cap */
	HTTP_BROKEN,    /* reset, cut short (or not known to be whole), not HTTP, encoded unasked */
	HTTP_REFUSED,   /* not sent at all: address not allowed, no memory */
};

struct http_result {
	enum http_outcome outcome;
	bool sent;        /* at least one byte of the request left: the other side may have acted */
	bool reused;      /* of a failure: it was sent on a kept connection */
	bool unframed;    /* answered, and the body ends where the connection did */
	int status;       /* 0 unless answered */
	const char *body; /* borrowed, NUL behind it; wiped after the callback */
	size_t body_len;
	const char *content_type; /* "" when absent */
	const char *retry_after;  /* first one, or NULL */
	int64_t length;           /* of the body, as it was announced; -1: it was not */
	const char *why;          /* for a failure: curl's sentence, without URL or body */
	int64_t elapsed_ms;
	const struct http_transfer *transfer; /* for http_result_header() */
};

typedef void (*http_done_fn)(struct http_request *request, const struct http_result *result);

struct http_request {
	struct http *http;              /* borrowed; NULL: not in flight */
	struct http_transfer *transfer; /* owned while in flight */
	http_done_fn on_done;
};

/* What a client may have at one time. 0: any number. */
struct http_limits {
	unsigned origin_connections;
	unsigned connections;
	unsigned kept; /* connections without a request */
	/*
	 * Requests whose connection is not there yet; the others wait, under their
	 * deadline. Each that looks up a name has a thread for it, and a thousand
	 * handshakes in one turn would hold up the loop.
	 */
	unsigned connecting;
	size_t body_bytes;   /* memory for the replies to all that are in flight */
	unsigned read_bytes; /* what is read of a connection at once; 0: 16 KiB */
};

int http_new(struct loop *loop, struct http **ret, struct error *err);
/* Before the first request; body_bytes at any time. */
void http_limit(struct http *http, const struct http_limits *limits);
/* All requests must have been stopped; not from a request's callback. */
void http_free(struct http *http);

void http_request_init(struct http_request *request, http_done_fn on_done);
/* 0, or an error that says why nothing was begun (the callback does not come). */
int http_request_start(struct http_request *request, struct http *http,
		       const struct http_spec *spec, struct error *err);
void http_request_stop(struct http_request *request); /* takes one that is not in flight */
bool http_request_in_flight(const struct http_request *request);
/* After on_body has said -EAGAIN; takes one that is not in flight. */
void http_request_resume(struct http_request *request);
/* Of one in flight: at least one byte of it has left. */
bool http_request_was_sent(const struct http_request *request);

/*
 * After the network changed or the host slept: later requests dial anew, with
 * names looked up again and certificates read again. Kept connections close,
 * those in use when their requests end.
 */
void http_drop_connections(struct http *http);

struct http_stats {
	uint64_t started, answered, failed;
	unsigned in_flight;
};
const struct http_stats *http_stats(const struct http *http);

/*
 * A field of an answered reply (or of a head), during the callback only: the first
 * one of that name, NULL when there is none. Borrowed until the next call of this function.
 */
const char *http_result_header(const struct http_result *result, const char *name);

const char *http_outcome_name(enum http_outcome outcome);
