/* SPDX-License-Identifier: MIT */
/*
 * Parameters are written as text: a tree would leave copies of a token behind.
 */

#include "ctl/params.h"

#include <inttypes.h>
#include <string.h>

#include "base/jsontext.h"

/* A comma, unless it is the first in its container. */
static void separate(struct buffer *params)
{
	char last;

	if (params->failed || !buffer_len(params))
		return;

	last = buffer_at(params)[buffer_len(params) - 1];
	if (last != '{' && last != '[')
		(void)buffer_append_char(params, ',');
}

static void begin_member(struct buffer *params, const char *name)
{
	separate(params);
	(void)json_write_string(params, name, strlen(name));
	(void)buffer_append_char(params, ':');
}

void params_begin(struct buffer *params)
{
	(void)buffer_append_char(params, '{');
}

void params_string(struct buffer *params, const char *name, const char *value)
{
	if (!value)
		return;

	begin_member(params, name);
	(void)json_write_string(params, value, strlen(value));
}

void params_json(struct buffer *params, const char *name, const char *json)
{
	if (!json)
		return;

	begin_member(params, name);
	(void)buffer_append_text(params, json);
}

void params_true(struct buffer *params, const char *name)
{
	begin_member(params, name);
	(void)buffer_append_text(params, "true");
}

void params_int64(struct buffer *params, const char *name, int64_t value)
{
	begin_member(params, name);
	(void)buffer_printf(params, "%" PRId64, value);
}

void params_begin_list(struct buffer *params, const char *name)
{
	begin_member(params, name);
	(void)buffer_append_char(params, '[');
}

void params_element(struct buffer *params, const char *value)
{
	separate(params);
	(void)json_write_string(params, value, strlen(value));
}

void params_end_list(struct buffer *params)
{
	(void)buffer_append_char(params, ']');
}

const char *params_end(struct buffer *params)
{
	(void)buffer_append(params, "}", 2); /* with its NUL */
	return params->failed ? NULL : buffer_at(params);
}
