/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A connection's output as messages: each is appended to the stream's buffer in
 * place, and ended by a newline or preceded by a header, as the client has it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/stream.h"
#include "rpc/sink.h"

/*
 * Bytes that the socket, which holds ten times that, has not taken: past it a
 * connection is not served, nor read. It is what a client that never reads has
 * of our memory.
 */
#define OUTLET_HIGH 16384
#define OUTLET_SLACK 8192 /* above the cap: for errors, and the last word of subscriptions */
#define OUTLET_HOLD 16    /* answers of a pipeline that one send() takes along */

struct outlet {
	struct sink sink;      /* for answers; who embeds the outlet hears of them */
	struct stream *stream; /* borrowed */
	bool headers;          /* Content-Length framing */
	unsigned n_held;       /* messages since the last write */
	uint64_t *n_bytes;     /* counter; borrowed */
};

void outlet_init(struct outlet *outlet, struct stream *stream, size_t cap, uint64_t *n_bytes);

/* Between the two, append one JSON text to stream->out. */
size_t outlet_begin(struct outlet *outlet);
void outlet_end(struct outlet *outlet, size_t start);
/* Frames a message that stands in another buffer, whose content will be sent as it is. */
void outlet_frame(struct outlet *outlet, struct buffer *out, size_t start);

static inline size_t outlet_waiting(const struct outlet *outlet)
{
	return buffer_len(&outlet->stream->out);
}
