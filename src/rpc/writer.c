/* SPDX-License-Identifier: MIT */
/*
 * A value always ends in a quote, a digit, a letter or a closing bracket; only
 * what opens, or a name, leaves the buffer at '{', '[' or ':'.
 */

#include "rpc/writer.h"

#include <inttypes.h>
#include <string.h>

#include "base/jsontext.h"
#include "base/number.h"
#include "base/parse.h"

static void writer_begin(struct buffer *out, const char *name)
{
	char last = buffer_len(out) ? out->bytes[out->tail - 1] : '[';

	if (last != '{' && last != '[' && last != ':')
		(void)buffer_append_char(out, ',');
	if (!name)
		return;

	(void)json_write_string(out, name, strlen(name));
	(void)buffer_append_char(out, ':');
}

void writer_open(struct buffer *out, const char *name, char bracket)
{
	writer_begin(out, name);
	(void)buffer_append_char(out, bracket);
}

void writer_close(struct buffer *out, char bracket)
{
	(void)buffer_append_char(out, bracket);
}

void writer_raw(struct buffer *out, const char *name, const char *json, size_t len)
{
	writer_begin(out, name);
	(void)buffer_append(out, json, len);
}

void writer_text(struct buffer *out, const char *name, const char *text)
{
	writer_begin(out, name);
	if (text)
		(void)json_write_string(out, text, strlen(text));
	else
		(void)buffer_append_text(out, "null");
}

void writer_int(struct buffer *out, const char *name, int64_t value)
{
	writer_begin(out, name);
	(void)buffer_printf(out, "%" PRId64, value);
}

void writer_number(struct buffer *out, const char *name, double value)
{
	char text[NUMBER_TEXT_SIZE];

	(void)number_format(text, value);
	writer_raw(out, name, text, strlen(text));
}

void writer_bool(struct buffer *out, const char *name, bool value)
{
	const char *text = value ? "true" : "false";

	writer_raw(out, name, text, strlen(text));
}

void writer_time(struct buffer *out, const char *name, int64_t unix_ms)
{
	char text[TIME_TEXT_SIZE + 2] = "\"";

	if (!unix_ms) {
		writer_text(out, name, NULL);
		return;
	}

	(void)format_time(text + 1, unix_ms);
	text[TIME_TEXT_SIZE] = '"';
	writer_raw(out, name, text, TIME_TEXT_SIZE + 1);
}
