/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A strict JSON scanner: RFC 8259 grammar, UTF-8, limits on depth and on the
 * number of values. It builds nothing. It is fed bytes as they come, in pieces
 * of any size, and tells where a text ends; what it has passed can be read
 * without any further check (base/jsontext.h) and given to json-c, which alone
 * is neither strict nor bounded.
 *
 * Refused though some parsers take it: a byte order mark, comments, trailing
 * commas, single quotes, NaN and Infinity, leading zeros, raw control
 * characters in strings, invalid or overlong UTF-8, surrogates in UTF-8. An
 * escaped lone surrogate (\ud800) is grammatical and passes. So does a NUL
 * escape (\u0000) in a member name, but it is remembered: who reads names as C
 * strings must refuse such a text, as json_check() and the framer do.
 *
 * A text that is an object, an array or a string ends with its last byte. A
 * number, true, false or null by itself ends at the next white space, or where
 * the input does: "12" could still become "123", and "true1" is nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define JSON_DEPTH_MAX 64     /* of our own texts and of requests */
#define JSON_VALUES_MAX 65536 /* a parsed tree can cost 100 times its text */

enum json_verdict {
	JSON_MORE, /* all bytes taken, the text goes on */
	JSON_DONE, /* the text has ended: *ret_used says where */
	JSON_BAD,  /* not JSON; *ret_used is the offending byte */
	JSON_TOO_DEEP,
	JSON_TOO_MANY, /* values */
};

struct json_scan {
	uint64_t is_object; /* a bit a level that is open, the innermost lowest */
	uint32_t depth;
	uint32_t values;    /* scalars and containers; member names are not values */
	uint32_t max_depth; /* <= JSON_DEPTH_MAX */
	uint32_t max_values;
	const char *literal; /* what must still come of true, false or null */
	uint16_t escape_value;
	uint8_t escape_left; /* hex digits still to come */
	uint8_t utf8_left;
	uint8_t utf8_low, utf8_high; /* range of the next continuation byte */
	uint8_t state;
	bool in_name;
	bool nul_in_name; /* some member's name holds \u0000 */
};

void json_scan_init(struct json_scan *scan, uint32_t max_depth, uint32_t max_values);

/*
 * White space before the text is skipped, none after it is taken. Everything but
 * JSON_MORE is final. *ret_used counts from the front of this piece.
 */
enum json_verdict json_scan_feed(struct json_scan *scan, const char *bytes, size_t len,
				 size_t *ret_used);

/* Whether nothing but white space was fed so far. */
bool json_scan_is_empty(const struct json_scan *scan);

/* The end of input: JSON_DONE when what was fed is a whole text, JSON_BAD otherwise. */
enum json_verdict json_scan_end(struct json_scan *scan);

/*
 * A whole text, white space around it allowed. 0, or -EINVAL: ERROR_PARSE with
 * the offset, or ERROR_TOO_LARGE for too many values. A NUL in a member name is
 * ERROR_PARSE too.
 */
int json_check(const char *text, size_t len, uint32_t max_depth, uint32_t max_values,
	       struct error *err);
