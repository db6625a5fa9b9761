/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Finds messages in what a connection sends. The first bytes decide, for the
 * life of the connection: "Content-Length:" headers (as LSP has them, both
 * ways), or a stream of JSON texts that end where their last bracket closes.
 *
 * It is a pure automaton over the connection's input buffer: it remembers how
 * far it has looked, so that a slow writer costs each byte once, and what it
 * says does not depend on how the bytes were cut into reads.
 *
 * In a stream, white space between texts is nothing, and a number or a word
 * like true at the top level ends at the next white space. After an error, what
 * comes up to the next newline is skipped, beginning with the byte that was
 * wrong or one too many. Under headers, an error costs the body it is in and
 * nothing else. What is skipped is consumed as it comes: it takes no memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/jsonscan.h"
#include "base/jsontext.h"

#define FRAMER_HEADERS_MAX 4096 /* of one message; two lines of 60 bytes are usual */

enum frame_kind {
	FRAME_NONE,            /* more bytes are needed */
	FRAME_MESSAGE,         /* ret->text is a checked JSON text, of any kind */
	FRAME_INVALID_REQUEST, /* answer invalid_request with id null: a NUL in a member name */
	FRAME_PARSE_ERROR,     /* answer parse_error with id null */
	FRAME_TOO_LARGE,       /* answer too_large with id null */
	FRAME_BAD_HEADER,      /* answer parse_error and close: the stream cannot be found again */
};

struct frame {
	struct json_text text; /* of a FRAME_MESSAGE: valid until framer_done() */
	size_t used;           /* bytes of the buffer that framer_done() will consume */
	const char *why;       /* for an error: a sentence, static */
};

struct framer {
	size_t max_bytes; /* of one message */
	struct json_scan scan;
	size_t scanned;      /* bytes at the buffer's front that were looked at */
	size_t header_bytes; /* of this message, already consumed */
	uint64_t body_left;  /* bytes of the body that are not consumed */
	bool has_length;
	uint8_t mode;  /* undecided, stream, headers */
	uint8_t phase; /* what the next byte is part of */
};

void framer_init(struct framer *framer, size_t max_bytes);

/*
 * Looks for the next message at the front of in. May consume (and wipe) bytes
 * that are being skipped, are white space or are headers, so that a buffer whose
 * limit is max_bytes plus one read (and at least FRAMER_HEADERS_MAX) is always
 * enough. After any kind but FRAME_NONE the caller is done with the frame when
 * it calls framer_done(). After FRAME_BAD_HEADER there is only FRAME_NONE.
 */
enum frame_kind framer_next(struct framer *framer, struct buffer *in, struct frame *ret);
void framer_done(struct framer *framer, struct buffer *in, const struct frame *frame);

/*
 * Whether, when framer_next() last said FRAME_NONE, a message was half-read: a
 * client that stops there is timed out.
 */
bool framer_is_mid_message(const struct framer *framer, const struct buffer *in);

/* Whether answers must carry Content-Length headers. */
bool framer_wants_headers(const struct framer *framer);
