/* SPDX-License-Identifier: MIT */
/*
 * Spans of checked text. Because the grammar is known to hold, a string ends at
 * the next quote without a backslash, a container where its brackets balance,
 * and anything else where a comma, a bracket or white space comes.
 */

#include "base/jsontext.h"

#include <errno.h>
#include <string.h>

#include "base/jsonbytes.h"
#include "base/number.h"
#include "base/util.h"

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && json_is_space(*at))
		at++;

	return at;
}

/* Behind the string's closing quote; at is its opening one. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end; at++) {
		at = json_quote_or_escape(at, end);
		if (at == end || *at == '"')
			break;
		at++;
	}

	return at < end ? at + 1 : end;
}

static const char *skip_container(const char *at, const char *end)
{
	size_t depth = 0;

	while (at < end) {
		switch (*at) {
		case '"':
			at = skip_string(at, end);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			depth--;
			break;
		}
		at++;
		if (!depth)
			break;
	}

	return at;
}

static const char *skip_value(const char *at, const char *end)
{
	if (at == end)
		return end;
	if (*at == '"')
		return skip_string(at, end);
	if (*at == '{' || *at == '[')
		return skip_container(at, end);

	while (at < end && *at != ',' && *at != '}' && *at != ']' && !json_is_space(*at))
		at++;

	return at;
}

struct json_text json_text_from(const char *text, size_t len)
{
	const char *end = text + len;

	text = skip_space(text, end);
	while (end > text && json_is_space(end[-1]))
		end--;

	return (struct json_text){ .at = text, .len = (size_t)(end - text) };
}

enum json_kind json_text_kind(struct json_text text)
{
	if (!text.len)
		return JSON_NONE;

	switch (text.at[0]) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

const char *json_kind_name(enum json_kind kind)
{
	switch (kind) {
	case JSON_NONE:
		return "nothing";
	case JSON_NULL:
		return "null";
	case JSON_BOOL:
		return "a boolean";
	case JSON_NUMBER:
		return "a number";
	case JSON_STRING:
		return "a string";
	case JSON_ARRAY:
		return "an array";
	case JSON_OBJECT:
		return "an object";
	}
	return "nothing";
}

struct json_iter json_iter(struct json_text container)
{
	/* Neither the opening bracket nor the closing one. */
	if (container.len < 2 || (container.at[0] != '{' && container.at[0] != '['))
		return (struct json_iter){ 0 };

	return (struct json_iter){ .at = container.at + 1,
				   .end = container.at + container.len - 1 };
}

static struct json_text take_value(struct json_iter *iter)
{
	const char *start = skip_space(iter->at, iter->end);

	iter->at = skip_value(start, iter->end);
	return (struct json_text){ .at = start, .len = (size_t)(iter->at - start) };
}

/* The comma or colon behind a value, if there is one. */
static void skip_separator(struct json_iter *iter)
{
	iter->at = skip_space(iter->at, iter->end);
	if (iter->at < iter->end)
		iter->at++;
}

bool json_next_member(struct json_iter *iter, struct json_text *ret_name,
		      struct json_text *ret_value)
{
	struct json_text name;

	if (!json_next_element(iter, &name))
		return false;

	*ret_name = name;
	return json_next_element(iter, ret_value);
}

bool json_next_element(struct json_iter *iter, struct json_text *ret_value)
{
	struct json_text value = take_value(iter);

	if (!value.len)
		return false;

	skip_separator(iter);
	*ret_value = value;
	return true;
}

struct json_text json_text_member(struct json_text object, const char *name)
{
	struct json_text found;

	json_text_members(object, &name, 1, &found);
	return found;
}

void json_text_members(struct json_text object, const char *const *names, size_t n,
		       struct json_text *ret_values)
{
	struct json_text its_name, value;
	struct json_iter iter = { 0 };

	for (size_t i = 0; i < n; i++)
		ret_values[i] = (struct json_text){ 0 };

	if (json_text_kind(object) == JSON_OBJECT)
		iter = json_iter(object);
	while (json_next_member(&iter, &its_name, &value))
		for (size_t i = 0; i < n; i++)
			if (json_may_begin(its_name.at[1], names[i]) &&
			    json_text_equals(its_name, names[i]))
				ret_values[i] = value;
}

/* The value of four hex digits; -1 when there are none. */
static int32_t hex4(const char *at, const char *end)
{
	int32_t value = 0;

	if (end - at < 4)
		return -1;

	for (int i = 0; i < 4; i++) {
		char c = (char)(at[i] | 0x20); /* digits have that bit already */

		value = value << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
	}

	return value;
}

/* The character of an escape; *at is behind the backslash. Lone surrogates become U+FFFD. */
static uint32_t take_escape(const char **at, const char *end)
{
	static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	char c = *(*at)++;
	const char *letter;
	int32_t unit, low;

	if (c != 'u') {
		letter = memchr(letters, c, strlen(letters));
		return (unsigned char)(letter ? meanings[letter - letters] : c);
	}

	unit = hex4(*at, end);
	if (unit < 0)
		return 0xfffd;
	*at += 4;
	if (unit < 0xd800 || unit > 0xdfff)
		return (uint32_t)unit;
	if (unit > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return 0xfffd;

	low = hex4(*at + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return 0xfffd;
	*at += 6;
	return 0x10000 + (((uint32_t)unit & 0x3ff) << 10 | ((uint32_t)low & 0x3ff));
}

static size_t put_utf8(uint32_t c, char dst[static 4])
{
	if (c < 0x80) {
		dst[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		dst[0] = (char)(0xc0 | c >> 6);
		dst[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		dst[0] = (char)(0xe0 | c >> 12);
		dst[1] = (char)(0x80 | (c >> 6 & 0x3f));
		dst[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	dst[0] = (char)(0xf0 | c >> 18);
	dst[1] = (char)(0x80 | (c >> 12 & 0x3f));
	dst[2] = (char)(0x80 | (c >> 6 & 0x3f));
	dst[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* A string's content, piece by piece: a run without escapes, or one escaped character. */
struct pieces {
	const char *at, *end;
	char character[4];
};

static struct pieces pieces_of(struct json_text string)
{
	return (struct pieces){ .at = string.at + 1, .end = string.at + string.len - 1 };
}

static bool next_piece(struct pieces *pieces, const char **ret, size_t *ret_len)
{
	const char *start = pieces->at;

	if (start == pieces->end)
		return false;

	if (*start == '\\') {
		pieces->at++;
		*ret_len = put_utf8(take_escape(&pieces->at, pieces->end), pieces->character);
		*ret = pieces->character;
		return true;
	}

	pieces->at = memchr(start, '\\', (size_t)(pieces->end - start));
	if (!pieces->at)
		pieces->at = pieces->end;
	*ret_len = (size_t)(pieces->at - start);
	*ret = start;
	return true;
}

bool json_text_equals(struct json_text string, const char *text)
{
	size_t text_len, len;
	struct pieces pieces;
	const char *piece;

	if (!string.len || string.at[0] != '"')
		return false;

	if (!json_may_begin(string.at[1], text))
		return false;
	text_len = strlen(text);
	/* An escape is longer than what it means: most names need no decoding. */
	if (string.len - 2 <= text_len)
		return string.len - 2 == text_len && memcmp(string.at + 1, text, text_len) == 0 &&
		       !memchr(text, '\\', text_len);
	if (!memchr(string.at + 1, '\\', string.len - 2))
		return false;

	pieces = pieces_of(string);
	while (next_piece(&pieces, &piece, &len)) {
		if (len > text_len || memcmp(piece, text, len) != 0)
			return false;
		text += len;
		text_len -= len;
	}

	return text_len == 0;
}

ssize_t json_text_decode(struct json_text string, char *dst, size_t dst_size)
{
	struct pieces pieces;
	const char *piece;
	size_t n = 0, len;

	if (json_text_kind(string) != JSON_STRING)
		return -EINVAL;

	pieces = pieces_of(string);
	while (next_piece(&pieces, &piece, &len)) {
		if (len > dst_size - n)
			return -ENOBUFS;
		memcpy(dst + n, piece, len);
		n += len;
	}

	return (ssize_t)n;
}

int json_text_cstring(struct json_text string, char *dst, size_t dst_size)
{
	ssize_t len;

	if (!dst_size)
		return -ENOBUFS;

	len = json_text_decode(string, dst, dst_size - 1);
	if (len < 0)
		return (int)len;

	dst[len] = '\0';
	return memchr(dst, '\0', (size_t)len) ? -EINVAL : 0;
}

int json_text_dup(struct json_text string, char **ret)
{
	AUTO(free) char *text = NULL;
	int r;

	if (json_text_kind(string) != JSON_STRING)
		return -EINVAL;

	text = malloc(string.len);
	if (!text)
		return -ENOMEM;

	r = json_text_cstring(string, text, string.len);
	if (r < 0)
		return r;

	*ret = TAKE(text);
	return 0;
}

/* A number as digits and a power of ten: first..last are its digits that are not outer zeros. */
struct decimal {
	const char *first, *last; /* NULL: the number is zero */
	int64_t exponent;         /* of *last */
};

#define EXPONENT_MAX INT64_C(1000000000000) /* more than any text has digits */

static int64_t read_exponent(const char *at, const char *end)
{
	int64_t value = 0;
	bool negative;

	if (at == end)
		return 0;

	at++; /* the e */
	negative = *at == '-';
	if (negative || *at == '+')
		at++;
	for (; at < end && value < EXPONENT_MAX; at++)
		value = value * 10 + (*at - '0');

	return negative ? -value : value;
}

static struct decimal decimal_from(struct json_text number)
{
	const char *at = number.at, *end = number.at + number.len;
	int64_t places = 0, after_last = 0;
	struct decimal decimal = { 0 };
	bool behind_point = false;

	for (; at < end && (*at | 0x20) != 'e'; at++) {
		if (*at == '.')
			behind_point = true;
		if (*at == '.' || *at == '-')
			continue;

		places += behind_point;
		after_last++;
		if (*at == '0')
			continue;
		if (!decimal.first)
			decimal.first = at;
		decimal.last = at;
		after_last = 0;
	}

	decimal.exponent = read_exponent(at, end) + after_last - places;
	return decimal;
}

int json_text_int64(struct json_text number, int64_t *ret)
{
	struct decimal decimal;
	int64_t value = 0;
	bool negative;

	if (json_text_kind(number) != JSON_NUMBER)
		return -EINVAL;

	decimal = decimal_from(number);
	if (!decimal.first) {
		*ret = 0;
		return 0;
	}
	if (decimal.exponent < 0)
		return -EINVAL;
	if (decimal.exponent > 18)
		return -ERANGE;

	/* Downwards when negative: that side has one number more. */
	negative = number.at[0] == '-';
	for (const char *at = decimal.first; at <= decimal.last; at++) {
		int digit = negative ? '0' - *at : *at - '0';

		if (*at == '.')
			continue;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return -ERANGE;
	}
	for (; decimal.exponent; decimal.exponent--)
		if (__builtin_mul_overflow(value, 10, &value))
			return -ERANGE;

	*ret = value;
	return 0;
}

int json_text_double(struct json_text number, double *ret)
{
	AUTO(free) char *copy = NULL;

	if (json_text_kind(number) != JSON_NUMBER)
		return -EINVAL;

	copy = strndup(number.at, number.len);
	if (!copy)
		return -ENOMEM;

	return number_parse(copy, ret);
}

bool json_text_is_true(struct json_text text)
{
	return text.len == 4 && text.at[0] == 't';
}

/* The length of the well-formed UTF-8 sequence at the front, 0 when there is none. */
static size_t utf8_len(const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;

	n = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (len < n)
		return 0;

	/* Overlong forms, surrogates, and what is past the last character. */
	if (at[0] == 0xe0)
		low = 0xa0;
	if (at[0] == 0xed)
		high = 0x9f;
	if (at[0] == 0xf0)
		low = 0x90;
	if (at[0] == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;

	for (size_t i = 2; i < n; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;

	return n;
}

static int write_escape(struct buffer *out, char c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	static const char hex[] = "0123456789abcdef";
	unsigned char byte = (unsigned char)c;
	const char *found = memchr(from, c, strlen(from));
	char escape[6] = { '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] };

	if (!found)
		return buffer_append(out, escape, 6);

	escape[1] = to[found - from];
	return buffer_append(out, escape, 2);
}

int json_write_string(struct buffer *out, const char *text, size_t len)
{
	const char *end = text + len, *start = text;

	(void)buffer_append_char(out, '"');
	while (text < end) {
		size_t n;

		text = json_plain_end(text, end);
		if (text == end)
			break;

		n = utf8_len(text, (size_t)(end - text));
		if (n > 1) {
			text += n;
			continue;
		}

		(void)buffer_append(out, start, (size_t)(text - start));
		if (n)
			(void)write_escape(out, *text);
		else
			(void)buffer_append_text(out, "\xef\xbf\xbd");
		start = ++text;
	}

	(void)buffer_append(out, start, (size_t)(end - start));
	return buffer_append_char(out, '"');
}

int json_write_compact(struct buffer *out, struct json_text text)
{
	const char *at = text.at, *end = text.at + text.len, *start;

	while (at < end) {
		start = at;
		while (at < end && !json_is_space(*at))
			at = *at == '"' ? skip_string(at, end) : at + 1;
		(void)buffer_append(out, start, (size_t)(at - start));
		at = skip_space(at, end);
	}

	return out->failed;
}
