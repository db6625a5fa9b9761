/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Finds messages in what a connection sends. The first bytes decide, for the
 * life of the connection: "Content-Length:" headers (as LSP has them, both
 * ways), or a stream of JSON texts that end where their last bracket closes.
 *
 * It is a pure automaton over the connection's input buffer: it remembers how
 * far it has looked, so that a slow writer costs each byte once.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/jsonscan.h"
#include "base/jsontext.h"

enum frame_kind {
	FRAME_NONE,        /* more bytes are needed */
	FRAME_MESSAGE,     /* ret->text is a checked JSON text */
	FRAME_PARSE_ERROR, /* answer parse_error with id null */
	FRAME_TOO_LARGE,   /* answer too_large with id null */
	FRAME_BAD_HEADER,  /* answer parse_error and close: the stream cannot be found again */
};

struct frame {
	struct json_text text; /* valid until framer_done() */
	size_t used;           /* bytes of the buffer that framer_done() will consume */
	const char *why;       /* for an error: half a sentence, static */
};

struct framer {
	size_t max_bytes; /* of one message */
	struct json_scan scan;
	size_t scanned; /* bytes at the buffer's front that were looked at */
	size_t body_len;
	unsigned char mode; /* unknown, stream, headers */
	unsigned char phase;
	bool reported; /* the error of what is being skipped was told */
};

void framer_init(struct framer *framer, size_t max_bytes);

/*
 * Looks for the next message at the front of in. May consume (and wipe) bytes
 * that are being skipped or are white space, so that a buffer whose limit is
 * max_bytes plus one read is always enough. After any kind but FRAME_NONE the
 * caller is done with the frame when it calls framer_done().
 */
enum frame_kind framer_next(struct framer *framer, struct buffer *in, struct frame *ret);
void framer_done(struct framer *framer, struct buffer *in, const struct frame *frame);

/* Whether a message is half-read: a client that stops there is timed out. */
bool framer_is_mid_message(const struct framer *framer, const struct buffer *in);

/* Whether answers must carry Content-Length headers. */
bool framer_wants_headers(const struct framer *framer);
