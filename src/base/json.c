/* SPDX-License-Identifier: MIT */
/*
 * json-c with its loose ends tied: what goes in was checked by our scanner,
 * what comes out is valid whatever was put into the tree.
 */

#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/jsonscan.h"
#include "base/jsontext.h"
#include "base/number.h"
#include "base/parse.h"

DEFINE_AUTO(struct json_tokener *, json_tokener_free);

int json_parse(const char *text, size_t len, struct json_object **ret, struct error *err)
{
	AUTO(json_tokener_free) struct json_tokener *tokener = NULL;
	AUTO(json_object_put) struct json_object *object = NULL;
	enum json_tokener_error why;
	int r;

	if (len > INT_MAX)
		return error_set(err, ERROR_TOO_LARGE, EINVAL, "a JSON text of %zu bytes", len);

	r = json_check(text, len, JSON_DEPTH_MAX, JSON_VALUES_MAX, err);
	if (r < 0)
		return r;

	/* json-c counts the scalars in the innermost container as a level. */
	tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
	if (!tokener)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a JSON text");

	object = json_tokener_parse_ex(tokener, text, (int)len);
	why = json_tokener_get_error(tokener);
	if (why == json_tokener_continue) {
		/* A number by itself: only what follows it ends it. */
		object = json_tokener_parse_ex(tokener, " ", 1);
		why = json_tokener_get_error(tokener);
	}
	if (why != json_tokener_success)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot keep a JSON text: %s",
				 json_tokener_error_desc(why));

	*ret = TAKE(object);
	return 0;
}

/* The last member of that name; NULL when there is none of this type. */
static struct json_object *get_typed(const struct json_object *object, const char *name,
				     enum json_type type)
{
	struct json_object *value;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, type))
		return NULL;

	return value;
}

const char *json_get_string(const struct json_object *object, const char *name)
{
	struct json_object *value = get_typed(object, name, json_type_string);
	const char *text;

	if (!value)
		return NULL;

	/* A string that C would cut short is none that C can have. */
	text = json_object_get_string(value);
	return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

struct json_object *json_get_object(const struct json_object *object, const char *name)
{
	return get_typed(object, name, json_type_object);
}

struct json_object *json_get_array(const struct json_object *object, const char *name)
{
	return get_typed(object, name, json_type_array);
}

bool json_get_bool(const struct json_object *object, const char *name, bool *ret)
{
	struct json_object *value = get_typed(object, name, json_type_boolean);

	if (!value)
		return false;

	*ret = json_object_get_boolean(value);
	return true;
}

bool json_get_int64(const struct json_object *object, const char *name, int64_t *ret)
{
	struct json_object *value = get_typed(object, name, json_type_int);

	/* json-c keeps up to UINT64_MAX, and cuts what is larger to that. */
	if (!value || json_object_get_uint64(value) > INT64_MAX)
		return false;

	*ret = json_object_get_int64(value);
	return true;
}

bool json_get_double(const struct json_object *object, const char *name, double *ret)
{
	struct json_object *value = get_typed(object, name, json_type_double);

	if (!value)
		value = get_typed(object, name, json_type_int);
	if (!value || !isfinite(json_object_get_double(value)))
		return false;

	*ret = json_object_get_double(value);
	return true;
}

int json_add(struct json_object *object, const char *name, struct json_object *value)
{
	if (!value)
		return -ENOMEM;

	if (json_object_object_add(object, name, value) < 0) {
		(void)json_object_put(value);
		return -ENOMEM;
	}

	return 0;
}

int json_add_null(struct json_object *object, const char *name)
{
	return json_object_object_add(object, name, NULL) < 0 ? -ENOMEM : 0;
}

int json_add_string(struct json_object *object, const char *name, const char *text)
{
	return text ? json_add(object, name, json_object_new_string(text))
		    : json_add_null(object, name);
}

int json_add_bool(struct json_object *object, const char *name, bool value)
{
	return json_add(object, name, json_object_new_boolean(value));
}

int json_add_int64(struct json_object *object, const char *name, int64_t value)
{
	return json_add(object, name, json_object_new_int64(value));
}

int json_add_double(struct json_object *object, const char *name, double value)
{
	return json_add(object, name, json_object_new_double(value));
}

int json_add_time(struct json_object *object, const char *name, int64_t unix_ms)
{
	char text[TIME_TEXT_SIZE];

	return json_add_string(object, name, unix_ms ? format_time(text, unix_ms) : NULL);
}

static void write_value(struct buffer *out, struct json_object *value);

static void write_object(struct buffer *out, struct json_object *object)
{
	char before = '{';

	json_object_object_foreach(object, name, value)
	{
		(void)buffer_append_char(out, before);
		(void)json_write_string(out, name, strlen(name));
		(void)buffer_append_char(out, ':');
		write_value(out, value);
		before = ',';
	}
	(void)buffer_append_text(out, before == '{' ? "{}" : "}");
}

static void write_array(struct buffer *out, struct json_object *array)
{
	size_t n = json_object_array_length(array);

	(void)buffer_append_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			(void)buffer_append_char(out, ',');
		write_value(out, json_object_array_get_idx(array, i));
	}
	(void)buffer_append_char(out, ']');
}

static void write_double(struct buffer *out, struct json_object *value)
{
	/* What was parsed goes back as it came: json-c keeps its text here. */
	const char *original = json_object_get_userdata(value);
	double number = json_object_get_double(value);
	char text[NUMBER_TEXT_SIZE];

	if (original)
		(void)buffer_append_text(out, original);
	else if (isfinite(number))
		(void)buffer_append_text(out, number_format(text, number));
	else
		(void)buffer_append_text(out, "null"); /* JSON has no word for it */
}

static void write_integer(struct buffer *out, struct json_object *value)
{
	if (json_object_get_int64(value) < 0)
		(void)buffer_printf(out, "%" PRId64, json_object_get_int64(value));
	else
		(void)buffer_printf(out, "%" PRIu64, json_object_get_uint64(value));
}

static void write_value(struct buffer *out, struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_null:
		(void)buffer_append_text(out, "null");
		break;
	case json_type_boolean:
		(void)buffer_append_text(out, json_object_get_boolean(value) ? "true" : "false");
		break;
	case json_type_double:
		write_double(out, value);
		break;
	case json_type_int:
		write_integer(out, value);
		break;
	case json_type_string:
		(void)json_write_string(out, json_object_get_string(value),
					(size_t)json_object_get_string_len(value));
		break;
	case json_type_object:
		write_object(out, value);
		break;
	case json_type_array:
		write_array(out, value);
		break;
	}
}

int json_write(struct buffer *out, struct json_object *object)
{
	write_value(out, object);
	return out->failed;
}
