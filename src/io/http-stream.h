/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The body of a 200 on its way to whoever asked for it. What curl hands over is
 * kept until the end of the turn, for then a callback may do as it likes; while
 * it is not taken curl reads no more, and so does nobody send. A sender who
 * dawdles is given up.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/http.h"
#include "io/loop.h"

#define HTTP_STREAM_WINDOW 65536 /* bytes that wait to be taken */

struct http_transfer;

struct http_stream {
	http_body_fn on_body; /* NULL: not streamed */
	uint64_t max, received;
	bool stalled; /* until http_request_resume() */
	bool held_up; /* curl is, by us */
	bool ended;   /* all is here, curl has let go: only what waits is to be taken yet */
	struct loop_work flow;
	struct timer pace;
	int64_t pace_ms;
	uint64_t received_by_then;                         /* when the pace was last looked at */
	bool waited;                                       /* for us, since then */
	void (*on_flowed)(struct http_transfer *transfer); /* the owner's: all was taken */
};

void http_stream_init(struct http_stream *stream);
void http_stream_fini(struct http_stream *stream);

void http_stream_prepare(struct http_transfer *transfer, const struct http_spec *spec);
/* From inside curl, as its write callback. */
size_t http_stream_receive(struct http_transfer *transfer, const char *bytes, size_t len);
void http_stream_resume(struct http_transfer *transfer);
/* Whether something waits to be taken. */
bool http_stream_holds(const struct http_transfer *transfer);
