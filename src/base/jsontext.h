/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reading JSON in place. A json_text is a span of text that json_scan has
 * passed, without white space around it; nothing here checks the grammar
 * again, and nothing is built or copied unless asked for.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"

struct json_text {
	const char *at; /* borrowed */
	size_t len;     /* 0: no value */
};

enum json_kind {
	JSON_NONE, /* the empty span */
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* From a checked buffer: strips the white space around. */
struct json_text json_text_from(const char *text, size_t len);

enum json_kind json_text_kind(struct json_text text);
const char *json_kind_name(enum json_kind kind); /* "a string", "an object" */

/* Iterates the members of an object or the elements of an array; over anything else, nothing. */
struct json_iter {
	const char *at, *end;
};

struct json_iter json_iter(struct json_text container);
bool json_next_member(struct json_iter *iter, struct json_text *ret_name,
		      struct json_text *ret_value);
bool json_next_element(struct json_iter *iter, struct json_text *ret_value);

/* The last member of that name, as most parsers have it; JSON_NONE when there is none. */
struct json_text json_text_member(struct json_text object, const char *name);

/* The same for n names at once: ret_values[i] is the member names[i], all in one pass. */
void json_text_members(struct json_text object, const char *const *names, size_t n,
		       struct json_text *ret_values);

/* Whether a JSON string (escapes decoded) is this text. */
bool json_text_equals(struct json_text string, const char *text);

/*
 * Decodes a string's escapes into at most dst_size bytes; returns the length,
 * or -ENOBUFS; -EINVAL when it is no string. Lone surrogates become U+FFFD. The
 * result may hold NULs.
 * A dst of text.len bytes always suffices. No NUL is added.
 */
ssize_t json_text_decode(struct json_text string, char *dst, size_t dst_size);

/* The same as a C string; -EINVAL also when it holds a NUL, -ENOBUFS when it does not fit. */
int json_text_cstring(struct json_text string, char *dst, size_t dst_size);
/* The same, allocated; the caller frees it. */
int json_text_dup(struct json_text string, char **ret);

/* Integral numbers only ("1.0" and "1e3" are); -ERANGE past 64 bits, -EINVAL for a fraction. */
int json_text_int64(struct json_text number, int64_t *ret);
/* Independent of the locale; -ERANGE when it is too large, -ENOMEM. */
int json_text_double(struct json_text number, double *ret);
bool json_text_is_true(struct json_text text);

/* Writing: appends a quoted, escaped string. Invalid UTF-8 becomes U+FFFD. */
int json_write_string(struct buffer *out, const char *text, size_t len);
/* Appends a checked text without the white space between its tokens: on one line, that is. */
int json_write_compact(struct buffer *out, struct json_text text);
