/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a request takes while it is in flight: an easy handle with its options,
 * a copy of what is sent, what has come back, and in the end the outcome. It is
 * used again for later requests; a request that rests has none.
 */

#include <curl/curl.h>

#include "io/http-multi.h"
#include "io/http-stream.h"
#include "io/http.h"

/* How far the reply's head has come. */
enum http_head {
	HTTP_HEAD_NONE, /* no status line yet, or but of an interim reply */
	HTTP_HEAD_FIELDS,
	HTTP_HEAD_ENDED,
};

/* Memory for the replies of all transfers of one client. */
struct http_room {
	size_t used, max; /* max 0: any amount */
};

/*
 * What a handle's options were set for. They stay, and the next request that
 * has all of these in common needs but a few of its own: setting all of them
 * anew takes curl a fifth of what it takes to send one.
 */
struct http_setup {
	char *url, *ca_file, *proxy; /* owned; url NULL: set for nothing */
	char method[sizeof("DELETE")];
	bool has_post, allow_http;
	unsigned read_bytes;
	int max_idle_s;
};

struct http_transfer {
	struct http_request *request; /* borrowed */
	struct http_multi *multi;     /* borrowed; NULL: curl does not have it */
	struct list node;             /* for the owner */
	struct http_room *room;       /* borrowed */
	struct http_party *party;     /* borrowed, until it is detached; or NULL */
	size_t room_taken;
	unsigned read_bytes; /* 0: curl's own */
	bool connecting;     /* for the owner: until on_connected */
	void (*on_connected)(struct http_transfer *transfer); /* from inside curl */
	struct timer deadline;
	int64_t began_ms;
	CURLcode code;  /* what curl says of the end */
	bool succeeded; /* as far as curl knows: it can be used again */

	CURL *easy; /* owned, as are all that follow */
	CURLU *url; /* parsed once, for us and for curl */
	struct http_setup setup;
	struct http_envelope *envelope; /* headers and body of the request */
	struct buffer body;             /* of the reply; of one that is streamed, what waits */
	struct http_stream stream;

	bool idempotent;
	http_may_dial_fn may_dial; /* NULL: what the spec allows, or a proxy dials */
	void *may_dial_context;
	bool dialled, not_dialled; /* some address was, some other one must not be */
	bool sent;                 /* in an attempt before this one */
	long n_before;             /* bytes that were sent before the request proper */

	size_t max_body;
	size_t head_bytes;
	enum http_head head;
	bool is_interim;
	bool is_framed; /* the head says where the body ends */
	bool takes_unframed;

	enum http_outcome verdict; /* ours, over curl's, when why is set */
	const char *verdict_why;
	char why[CURL_ERROR_SIZE]; /* curl's */
};

struct http_transfer *http_transfer_new(void);
void http_transfer_free(struct http_transfer *transfer);

/* Whether its options are set for such a request already. */
bool http_transfer_suits(const struct http_transfer *transfer, const struct http_spec *spec);
/* Makes it ready to be added to a multi. */
int http_transfer_prepare(struct http_transfer *transfer, const struct http_spec *spec,
			  struct error *err);
/* Wipes and forgets all of a request but what the options were set for. */
void http_transfer_rest(struct http_transfer *transfer);

/* For an end that curl does not know of. The first one stands. */
void http_transfer_judge(struct http_transfer *transfer, enum http_outcome verdict,
			 const char *why);

bool http_transfer_was_sent(const struct http_transfer *transfer);
/* 0: there is none yet. */
int http_transfer_status(const struct http_transfer *transfer);

/* Room for len more bytes of the body, among all replies; false: judged. */
bool http_transfer_take_room(struct http_transfer *transfer, size_t len);
void http_transfer_return_room(struct http_transfer *transfer);

/* What is known of the reply: status, fields, length. */
void http_transfer_head(const struct http_transfer *transfer, struct http_result *ret);

/* why has room for the sentence; result points into it and into the transfer. */
void http_transfer_result(struct http_transfer *transfer, char why[static CURL_ERROR_SIZE],
			  struct http_result *result);
