/* SPDX-License-Identifier: MIT */
/*
 * The scanner is one automaton in four parts: between values, in strings, in
 * numbers, in literals. Each part runs as far as it can and leaves its state
 * for the next byte, which may be a week away.
 */

#include "base/jsonscan.h"

#include <assert.h>
#include <errno.h>

#include "base/jsonbytes.h"

enum scan_state {
	/* Between values. */
	STATE_START, /* nothing but white space so far */
	STATE_VALUE,
	STATE_FIRST_ELEMENT, /* or the end of the array */
	STATE_FIRST_NAME,    /* or the end of the object */
	STATE_NAME,
	STATE_COLON,
	STATE_AFTER, /* a comma, or the end of what we are in */
	/* In a string. */
	STATE_STRING,
	STATE_ESCAPE,
	STATE_HEX,
	STATE_UTF8,
	/* In a number, named by what was there last. */
	STATE_MINUS,
	STATE_ZERO,
	STATE_INTEGER,
	STATE_POINT,
	STATE_FRACTION,
	STATE_E,
	STATE_E_SIGN,
	STATE_EXPONENT,
	/* In true, false or null, and behind one that is the whole text. */
	STATE_LITERAL,
	STATE_SPACE,
	STATE_DONE,
	STATE_BAD,
};

void json_scan_init(struct json_scan *scan, uint32_t max_depth, uint32_t max_values)
{
	assert(max_depth <= JSON_DEPTH_MAX);
	*scan = (struct json_scan){ .max_depth = max_depth, .max_values = max_values };
}

bool json_scan_is_empty(const struct json_scan *scan)
{
	return scan->state == STATE_START;
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline enum json_verdict value_ended(struct json_scan *scan)
{
	if (scan->depth) {
		scan->state = STATE_AFTER;
		return JSON_MORE;
	}

	scan->state = STATE_DONE;
	return JSON_DONE;
}

static enum json_verdict open_container(struct json_scan *scan, bool is_object)
{
	if (scan->depth == scan->max_depth)
		return JSON_TOO_DEEP;

	scan->depth++;
	scan->is_object = scan->is_object << 1 | is_object;
	scan->state = is_object ? STATE_FIRST_NAME : STATE_FIRST_ELEMENT;
	return JSON_MORE;
}

static inline enum json_verdict close_container(struct json_scan *scan, bool is_object)
{
	if ((scan->is_object & 1) != is_object)
		return JSON_BAD;

	scan->depth--;
	scan->is_object >>= 1;
	return value_ended(scan);
}

static enum json_verdict begin_literal(struct json_scan *scan, const char *rest)
{
	scan->literal = rest;
	scan->state = STATE_LITERAL;
	return JSON_MORE;
}

static inline enum json_verdict begin_value(struct json_scan *scan, char c)
{
	if (c == ']' && scan->state == STATE_FIRST_ELEMENT)
		return close_container(scan, false);

	if (scan->values == scan->max_values)
		return JSON_TOO_MANY;
	scan->values++;

	switch (c) {
	case '"':
		scan->state = STATE_STRING;
		scan->in_name = false;
		return JSON_MORE;
	case '{':
		return open_container(scan, true);
	case '[':
		return open_container(scan, false);
	case 't':
		return begin_literal(scan, "rue");
	case 'f':
		return begin_literal(scan, "alse");
	case 'n':
		return begin_literal(scan, "ull");
	case '-':
		scan->state = STATE_MINUS;
		return JSON_MORE;
	case '0':
		scan->state = STATE_ZERO;
		return JSON_MORE;
	default:
		scan->state = STATE_INTEGER;
		return is_digit(c) ? JSON_MORE : JSON_BAD;
	}
}

static inline enum json_verdict after_value(struct json_scan *scan, char c)
{
	switch (c) {
	case ',':
		scan->state = scan->is_object & 1 ? STATE_NAME : STATE_VALUE;
		return JSON_MORE;
	case '}':
		return close_container(scan, true);
	case ']':
		return close_container(scan, false);
	default:
		return JSON_BAD;
	}
}

static inline enum json_verdict begin_name(struct json_scan *scan, char c)
{
	if (c == '}' && scan->state == STATE_FIRST_NAME)
		return close_container(scan, true);
	if (c != '"')
		return JSON_BAD;

	scan->state = STATE_STRING;
	scan->in_name = true;
	return JSON_MORE;
}

/* The table of well-formed UTF-8 (Unicode 3.9): no overlong forms, no surrogates. */
static enum json_verdict begin_utf8(struct json_scan *scan, unsigned char lead)
{
	scan->state = STATE_UTF8;
	scan->utf8_low = 0x80;
	scan->utf8_high = 0xbf;

	if (lead >= 0xc2 && lead <= 0xdf) {
		scan->utf8_left = 1;
	} else if (lead >= 0xe0 && lead <= 0xef) {
		scan->utf8_left = 2;
		if (lead == 0xe0)
			scan->utf8_low = 0xa0;
		if (lead == 0xed)
			scan->utf8_high = 0x9f;
	} else if (lead >= 0xf0 && lead <= 0xf4) {
		scan->utf8_left = 3;
		if (lead == 0xf0)
			scan->utf8_low = 0x90;
		if (lead == 0xf4)
			scan->utf8_high = 0x8f;
	} else {
		return JSON_BAD;
	}

	return JSON_MORE;
}

/* A byte that is not plain: the end, an escape, the first of several, or wrong. */
static inline enum json_verdict special_byte(struct json_scan *scan, char c)
{
	if (c == '"' && scan->in_name) {
		scan->state = STATE_COLON;
		return JSON_MORE;
	}
	if (c == '"')
		return value_ended(scan);
	if (c == '\\') {
		scan->state = STATE_ESCAPE;
		return JSON_MORE;
	}

	return begin_utf8(scan, (unsigned char)c);
}

/* Where a string that is plain and all there ends: at its closing quote. Else NULL. */
static inline const char *plain_string_end(const char *at, const char *end)
{
	at = json_plain_end(at, end);
	return at < end && *at == '"' ? at : NULL;
}

static inline enum json_verdict scan_between(struct json_scan *scan, const char **at,
					     const char *end)
{
	enum json_verdict verdict = JSON_MORE;
	const char *string_end;

	for (; *at < end && scan->state <= STATE_AFTER; (*at)++) {
		char c = **at;

		if (json_is_space(c))
			continue;

		switch (scan->state) {
		case STATE_COLON:
			scan->state = STATE_VALUE;
			verdict = c == ':' ? JSON_MORE : JSON_BAD;
			break;
		case STATE_AFTER:
			verdict = after_value(scan, c);
			break;
		case STATE_FIRST_NAME:
		case STATE_NAME:
			verdict = begin_name(scan, c);
			break;
		default:
			verdict = begin_value(scan, c);
			break;
		}
		/* Most strings can be passed at once, without leaving for another part. */
		if (scan->state == STATE_STRING) {
			string_end = plain_string_end(*at + 1, end);
			if (string_end) {
				*at = string_end;
				verdict = special_byte(scan, '"');
			}
		}
		if (verdict == JSON_DONE)
			(*at)++;
		if (verdict != JSON_MORE)
			break;
	}

	return verdict;
}

static enum json_verdict continue_utf8(struct json_scan *scan, unsigned char c)
{
	if (c < scan->utf8_low || c > scan->utf8_high)
		return JSON_BAD;

	scan->utf8_low = 0x80;
	scan->utf8_high = 0xbf;
	scan->utf8_left--;
	if (!scan->utf8_left)
		scan->state = STATE_STRING;
	return JSON_MORE;
}

static enum json_verdict continue_escape(struct json_scan *scan, char c)
{
	scan->state = STATE_STRING;

	switch (c) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return JSON_MORE;
	case 'u':
		scan->state = STATE_HEX;
		scan->escape_left = 4;
		scan->escape_value = 0;
		return JSON_MORE;
	default:
		return JSON_BAD;
	}
}

static enum json_verdict continue_hex(struct json_scan *scan, char c)
{
	unsigned digit;

	if (is_digit(c))
		digit = (unsigned)(c - '0');
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		digit = (unsigned)((c | 0x20) - 'a') + 10;
	else
		return JSON_BAD;

	scan->escape_value = (uint16_t)(scan->escape_value << 4 | digit);
	scan->escape_left--;
	if (!scan->escape_left) {
		scan->state = STATE_STRING;
		if (scan->in_name && !scan->escape_value)
			scan->nul_in_name = true;
	}
	return JSON_MORE;
}

static inline enum json_verdict scan_string(struct json_scan *scan, const char **at,
					    const char *end)
{
	enum json_verdict verdict = JSON_MORE;

	while (*at < end && verdict == JSON_MORE) {
		switch (scan->state) {
		case STATE_STRING:
			*at = json_plain_end(*at, end);
			if (*at == end)
				return JSON_MORE;
			verdict = special_byte(scan, **at);
			break;
		case STATE_ESCAPE:
			verdict = continue_escape(scan, **at);
			break;
		case STATE_HEX:
			verdict = continue_hex(scan, **at);
			break;
		case STATE_UTF8:
			verdict = continue_utf8(scan, (unsigned char)**at);
			break;
		default:
			return JSON_MORE;
		}
		if (verdict <= JSON_DONE)
			(*at)++;
	}

	return verdict;
}

/* The state after one more byte of a number; STATE_BAD when c cannot be one. */
static inline enum scan_state number_step(enum scan_state state, char c)
{
	switch (state) {
	case STATE_MINUS:
		return c == '0' ? STATE_ZERO : is_digit(c) ? STATE_INTEGER : STATE_BAD;
	case STATE_INTEGER:
		if (is_digit(c))
			return STATE_INTEGER;
		__attribute__((fallthrough));
	case STATE_ZERO:
		return c == '.' ? STATE_POINT : (c | 0x20) == 'e' ? STATE_E : STATE_BAD;
	case STATE_POINT:
		return is_digit(c) ? STATE_FRACTION : STATE_BAD;
	case STATE_FRACTION:
		return is_digit(c) ? STATE_FRACTION : (c | 0x20) == 'e' ? STATE_E : STATE_BAD;
	case STATE_E:
		if (c == '+' || c == '-')
			return STATE_E_SIGN;
		__attribute__((fallthrough));
	default: /* STATE_E_SIGN, STATE_EXPONENT */
		return is_digit(c) ? STATE_EXPONENT : STATE_BAD;
	}
}

static bool is_whole_number(enum scan_state state)
{
	return state == STATE_ZERO || state == STATE_INTEGER || state == STATE_FRACTION ||
	       state == STATE_EXPONENT;
}

static enum json_verdict scan_number(struct json_scan *scan, const char **at, const char *end)
{
	enum scan_state state = scan->state, next;

	for (; *at < end; (*at)++) {
		next = number_step(state, **at);
		if (next == STATE_BAD)
			break;
		state = next;
	}

	scan->state = (uint8_t)state;
	if (*at == end)
		return JSON_MORE;

	/* What ends a number is not of it: it is looked at again, behind the value. */
	if (!is_whole_number(state) || (!scan->depth && !json_is_space(**at)))
		return JSON_BAD;

	return value_ended(scan);
}

static enum json_verdict scan_literal(struct json_scan *scan, const char **at, const char *end)
{
	for (; *at < end && *scan->literal; (*at)++, scan->literal++)
		if (**at != *scan->literal)
			return JSON_BAD;

	if (!*scan->literal)
		scan->state = scan->depth ? STATE_AFTER : STATE_SPACE;
	return JSON_MORE;
}

static inline enum json_verdict scan_some(struct json_scan *scan, const char **at, const char *end)
{
	if (scan->state <= STATE_AFTER)
		return scan_between(scan, at, end);
	if (scan->state <= STATE_UTF8)
		return scan_string(scan, at, end);
	if (scan->state <= STATE_EXPONENT)
		return scan_number(scan, at, end);
	if (scan->state == STATE_LITERAL)
		return scan_literal(scan, at, end);
	if (scan->state == STATE_SPACE && json_is_space(**at))
		return value_ended(scan);

	return scan->state == STATE_DONE ? JSON_DONE : JSON_BAD;
}

enum json_verdict json_scan_feed(struct json_scan *scan, const char *bytes, size_t len,
				 size_t *ret_used)
{
	enum json_verdict verdict = JSON_MORE;
	const char *at = bytes, *end = bytes + len;

	while (at < end && verdict == JSON_MORE)
		verdict = scan_some(scan, &at, end);

	if (verdict > JSON_DONE)
		scan->state = STATE_BAD;
	*ret_used = (size_t)(at - bytes);
	return verdict;
}

enum json_verdict json_scan_end(struct json_scan *scan)
{
	bool whole = scan->state == STATE_DONE || scan->state == STATE_SPACE ||
		     (!scan->depth && is_whole_number(scan->state));

	scan->state = whole ? STATE_DONE : STATE_BAD;
	return whole ? JSON_DONE : JSON_BAD;
}

/* What a verdict means for a whole text; at is where it was given. */
static int check_verdict(enum json_verdict verdict, size_t at, const struct json_scan *scan,
			 struct error *err)
{
	switch (verdict) {
	case JSON_DONE:
		if (!scan->nul_in_name)
			return 0;
		return error_set(err, ERROR_PARSE, EINVAL, "a member's name holds a NUL");
	case JSON_MORE:
		return error_set(err, ERROR_PARSE, EINVAL, "the JSON text breaks off at byte %zu",
				 at);
	case JSON_TOO_DEEP:
		return error_set(err, ERROR_PARSE, EINVAL,
				 "the JSON text is nested deeper than %u levels at byte %zu",
				 scan->max_depth, at);
	case JSON_TOO_MANY:
		return error_set(err, ERROR_TOO_LARGE, EINVAL,
				 "the JSON text has more than %u values", scan->max_values);
	case JSON_BAD:
		break;
	}
	return error_set(err, ERROR_PARSE, EINVAL, "the JSON text is wrong at byte %zu", at);
}

int json_check(const char *text, size_t len, uint32_t max_depth, uint32_t max_values,
	       struct error *err)
{
	enum json_verdict verdict;
	struct json_scan scan;
	size_t used;

	json_scan_init(&scan, max_depth, max_values);
	verdict = json_scan_feed(&scan, text, len, &used);
	if (verdict == JSON_MORE && json_scan_end(&scan) == JSON_DONE)
		verdict = JSON_DONE;

	while (verdict == JSON_DONE && used < len)
		if (!json_is_space(text[used++])) {
			used--;
			verdict = JSON_BAD;
		}

	return check_verdict(verdict, used, &scan, err);
}
