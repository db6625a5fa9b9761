/* SPDX-License-Identifier: MIT */
/*
 * Framing. What was looked at and is wanted stays in the buffer, at its front;
 * what is not wanted leaves it at once.
 */

#include "base/framer.h"

#include <assert.h>
#include <string.h>

#include "base/jsonbytes.h"
#include "base/util.h"

enum framer_mode {
	MODE_UNDECIDED,
	MODE_STREAM,
	MODE_HEADERS,
};

enum framer_phase {
	PHASE_TEXT,
	PHASE_SKIP_LINE,
	PHASE_HEADER,
	PHASE_BODY,
	PHASE_SKIP_BODY,
	PHASE_DEAD,
};

static const char length_name[] = "content-length:";
static const char type_name[] = "content-type:";

static void begin_message(struct framer *framer)
{
	json_scan_init(&framer->scan, JSON_DEPTH_MAX, JSON_VALUES_MAX);
	framer->scanned = 0;
	framer->header_bytes = 0;
	framer->body_left = 0;
	framer->has_length = false;
	framer->phase = framer->mode == MODE_HEADERS ? PHASE_HEADER : PHASE_TEXT;
}

void framer_init(struct framer *framer, size_t max_bytes)
{
	assert(max_bytes > 0);
	*framer = (struct framer){ .max_bytes = max_bytes, .mode = MODE_UNDECIDED };
	begin_message(framer);
}

static void skip_space(struct buffer *in)
{
	size_t len = buffer_len(in), n = 0;

	while (n < len && json_is_space(buffer_at(in)[n]))
		n++;

	buffer_consume(in, n);
}

/* Whether text begins with as much of name (in lower case) as fits into it, in any case. */
static bool begins_with(const char *text, size_t len, const char *name)
{
	for (size_t i = 0; i < len && name[i]; i++) {
		char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];

		if (c != name[i])
			return false;
	}

	return true;
}

/* No JSON text begins with a C, so a prefix of a header's name can wait for the rest. */
static void decide(struct framer *framer, struct buffer *in)
{
	bool is_length, is_type;
	const char *text;
	size_t len;

	skip_space(in);
	len = buffer_len(in);
	if (!len)
		return;

	text = buffer_at(in);
	is_length = begins_with(text, len, length_name);
	is_type = begins_with(text, len, type_name);
	if (!is_length && !is_type)
		framer->mode = MODE_STREAM;
	else if ((is_length && len >= strlen(length_name)) || (is_type && len >= strlen(type_name)))
		framer->mode = MODE_HEADERS;
	else
		return;

	begin_message(framer);
}

static enum frame_kind report(struct framer *framer, enum framer_phase phase, enum frame_kind kind,
			      const char *why, struct frame *ret)
{
	framer->phase = (uint8_t)phase;
	framer->scanned = 0;
	*ret = (struct frame){ .why = why };
	return kind;
}

/* What to say of a text that is refused; it goes on in the phase. */
static enum frame_kind refuse(struct framer *framer, enum framer_phase phase,
			      enum json_verdict verdict, struct frame *ret)
{
	switch (verdict) {
	case JSON_TOO_MANY:
		return report(framer, phase, FRAME_TOO_LARGE,
			      "the message has more than 65536 JSON values", ret);
	case JSON_TOO_DEEP:
		return report(framer, phase, FRAME_PARSE_ERROR,
			      "the message is nested deeper than 64 levels", ret);
	case JSON_MORE:
	case JSON_DONE:
	case JSON_BAD:
		break;
	}
	return report(framer, phase, FRAME_PARSE_ERROR, "the message is not JSON", ret);
}

static enum frame_kind accept(const struct framer *framer, struct json_text text, size_t used,
			      struct frame *ret)
{
	*ret = (struct frame){ .text = text, .used = used };
	if (!framer->scan.nul_in_name)
		return FRAME_MESSAGE;

	/* Nobody gets to see it: to a reader of C strings it would have other names. */
	ret->text = (struct json_text){ 0 };
	ret->why = "a member's name holds a NUL";
	return FRAME_INVALID_REQUEST;
}

/* Whether the newline has come. */
static bool skip_line(struct framer *framer, struct buffer *in)
{
	size_t len = buffer_len(in);
	const char *newline = len ? memchr(buffer_at(in), '\n', len) : NULL;

	if (!newline) {
		buffer_consume(in, len);
		return false;
	}

	buffer_consume(in, (size_t)(newline - buffer_at(in)) + 1);
	begin_message(framer);
	return true;
}

static enum frame_kind next_text(struct framer *framer, struct buffer *in, struct frame *ret)
{
	enum json_verdict verdict;
	size_t len, used;

	if (framer->phase == PHASE_SKIP_LINE && !skip_line(framer, in))
		return FRAME_NONE;

	if (json_scan_is_empty(&framer->scan))
		skip_space(in);

	len = MIN(buffer_len(in), framer->max_bytes);
	if (len <= framer->scanned)
		return FRAME_NONE;

	verdict = json_scan_feed(&framer->scan, buffer_at(in) + framer->scanned,
				 len - framer->scanned, &used);
	framer->scanned += used;
	if (verdict == JSON_DONE)
		return accept(framer,
			      (struct json_text){ .at = buffer_at(in), .len = framer->scanned },
			      framer->scanned, ret);
	if (verdict == JSON_MORE && framer->scanned < framer->max_bytes)
		return FRAME_NONE;

	/* The byte that was wrong may be the newline at which the next text begins. */
	buffer_consume(in, framer->scanned);
	if (verdict == JSON_MORE)
		return report(framer, PHASE_SKIP_LINE, FRAME_TOO_LARGE,
			      "the message is longer than max_request_bytes", ret);

	return refuse(framer, PHASE_SKIP_LINE, verdict, ret);
}

static bool parse_length(const char *text, size_t len, uint64_t *ret)
{
	uint64_t value = 0;

	while (len && (text[0] == ' ' || text[0] == '\t')) {
		text++;
		len--;
	}
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	if (!len)
		return false;

	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9' ||
		    __builtin_mul_overflow(value, UINT64_C(10), &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return false;

	*ret = value;
	return true;
}

/* One header line without its end. Returns what is wrong with it, or NULL. */
static const char *take_header(struct framer *framer, const char *line, size_t len)
{
	size_t name_len = strlen(length_name);

	if (!len)
		return framer->has_length ? NULL : "there is no Content-Length header";

	if (!memchr(line, ':', len))
		return "a header line has no colon";

	if (len < name_len || !begins_with(line, len, length_name))
		return NULL;

	if (framer->has_length)
		return "there are two Content-Length headers";

	if (!parse_length(line + name_len, len - name_len, &framer->body_left))
		return "Content-Length is not a number";

	framer->has_length = true;
	return NULL;
}

static enum frame_kind next_header(struct framer *framer, struct buffer *in, struct frame *ret)
{
	size_t len = buffer_len(in), line_len, text_len;
	const char *line = buffer_at(in), *newline, *why;

	newline = memchr(line + framer->scanned, '\n', len - framer->scanned);
	line_len = newline ? (size_t)(newline - line) + 1 : len;
	framer->scanned = len;
	if (framer->header_bytes + line_len > FRAMER_HEADERS_MAX) {
		buffer_consume(in, len);
		return report(framer, PHASE_DEAD, FRAME_BAD_HEADER,
			      "the headers are longer than 4096 bytes", ret);
	}
	if (!newline)
		return FRAME_NONE;

	text_len = line_len - 1;
	if (text_len && line[text_len - 1] == '\r')
		text_len--;

	why = take_header(framer, line, text_len);
	buffer_consume(in, line_len);
	framer->header_bytes += line_len;
	framer->scanned = 0;
	if (why)
		return report(framer, PHASE_DEAD, FRAME_BAD_HEADER, why, ret);
	if (text_len)
		return FRAME_NONE;

	if (framer->body_left > framer->max_bytes)
		return report(framer, PHASE_SKIP_BODY, FRAME_TOO_LARGE,
			      "the message is longer than max_request_bytes", ret);

	framer->phase = PHASE_BODY;
	return FRAME_NONE;
}

/* JSON_MORE while the body is not all there. */
static enum json_verdict scan_body(struct framer *framer, const struct buffer *in)
{
	size_t body_len = (size_t)framer->body_left;
	size_t len = MIN(buffer_len(in), body_len), used;
	enum json_verdict verdict = JSON_MORE;

	if (len > framer->scanned) {
		verdict = json_scan_feed(&framer->scan, buffer_at(in) + framer->scanned,
					 len - framer->scanned, &used);
		framer->scanned += used;
	}

	if (verdict == JSON_DONE) {
		for (; framer->scanned < len; framer->scanned++)
			if (!json_is_space(buffer_at(in)[framer->scanned]))
				return JSON_BAD;
		verdict = JSON_MORE;
	}

	if (verdict == JSON_MORE && framer->scanned == body_len)
		return json_scan_end(&framer->scan);

	return verdict;
}

static enum frame_kind next_body(struct framer *framer, struct buffer *in, struct frame *ret)
{
	enum json_verdict verdict = scan_body(framer, in);
	size_t body_len = (size_t)framer->body_left;

	if (verdict == JSON_MORE)
		return FRAME_NONE;
	if (verdict == JSON_DONE)
		return accept(framer, json_text_from(buffer_at(in), body_len), body_len, ret);

	return refuse(framer, PHASE_SKIP_BODY, verdict, ret);
}

static void skip_body(struct framer *framer, struct buffer *in)
{
	size_t n = (size_t)MIN((uint64_t)buffer_len(in), framer->body_left);

	buffer_consume(in, n);
	framer->body_left -= n;
	if (!framer->body_left)
		begin_message(framer);
}

static enum frame_kind next_framed(struct framer *framer, struct buffer *in, struct frame *ret)
{
	enum frame_kind kind = FRAME_NONE;

	if (framer->phase == PHASE_SKIP_BODY)
		skip_body(framer, in);

	while (kind == FRAME_NONE && framer->phase == PHASE_HEADER &&
	       buffer_len(in) > framer->scanned)
		kind = next_header(framer, in, ret);

	if (kind == FRAME_NONE && framer->phase == PHASE_BODY)
		kind = next_body(framer, in, ret);
	if (framer->phase == PHASE_DEAD)
		buffer_consume(in, buffer_len(in));

	return kind;
}

enum frame_kind framer_next(struct framer *framer, struct buffer *in, struct frame *ret)
{
	*ret = (struct frame){ 0 };

	if (framer->mode == MODE_UNDECIDED)
		decide(framer, in);
	if (framer->mode == MODE_UNDECIDED)
		return FRAME_NONE;

	return framer->mode == MODE_STREAM ? next_text(framer, in, ret)
					   : next_framed(framer, in, ret);
}

void framer_done(struct framer *framer, struct buffer *in, const struct frame *frame)
{
	/* An error has consumed what it will, and goes on skipping. */
	if (!frame->used)
		return;

	buffer_consume(in, frame->used);
	begin_message(framer);
}

bool framer_is_mid_message(const struct framer *framer, const struct buffer *in)
{
	return buffer_len(in) > 0 || framer->header_bytes > 0 || framer->phase == PHASE_SKIP_LINE ||
	       framer->phase == PHASE_SKIP_BODY;
}

bool framer_wants_headers(const struct framer *framer)
{
	return framer->mode == MODE_HEADERS;
}
