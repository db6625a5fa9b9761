/* SPDX-License-Identifier: MIT */
/*
 * Finding a method, and reading its arguments, both without copying anything.
 */

#include "rpc/schema.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;

	return memcmp(a, b, a_len);
}

static void add(struct schema *schema, const struct method *method)
{
	size_t len = strlen(method->name), at = schema->n;

	assert(schema->n < SCHEMA_METHODS_MAX);
	for (; at > 0; at--) {
		if (compare(schema->by_name[at - 1].name, schema->by_name[at - 1].len, method->name,
			    len) < 0)
			break;
		schema->by_name[at] = schema->by_name[at - 1];
	}
	schema->by_name[at].name = method->name;
	schema->by_name[at].len = len;
	schema->by_name[at].at = (int)schema->n;
	schema->list[schema->n++] = method;
}

void schema_init(struct schema *schema, const struct method *const tables[], size_t n_tables)
{
	*schema = (struct schema){ 0 };
	for (size_t i = 0; i < n_tables; i++)
		for (const struct method *method = tables[i]; method->name; method++)
			add(schema, method);
}

static int find(const struct schema *schema, const char *name, size_t len)
{
	size_t low = 0, high = schema->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int r = compare(name, len, schema->by_name[middle].name,
				schema->by_name[middle].len);

		if (r == 0)
			return schema->by_name[middle].at;
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}

	return -1;
}

int schema_find(const struct schema *schema, struct json_text name)
{
	char decoded[64];
	ssize_t len;

	/* Nobody writes them with escapes, though anybody may. */
	if (!memchr(name.at, '\\', name.len))
		return find(schema, name.at + 1, name.len - 2);

	len = json_text_decode(name, decoded, sizeof(decoded));
	return len < 0 ? -1 : find(schema, decoded, (size_t)len);
}

const char *field_type_name(enum field_type type)
{
	switch (type) {
	case FIELD_END:
		break;
	case FIELD_WORKSPACE:
	case FIELD_STRING:
		return "a string";
	case FIELD_INTEGER:
		return "an integer";
	case FIELD_NUMBER:
		return "a number";
	case FIELD_BOOLEAN:
		return "true or false";
	case FIELD_STRINGS:
		return "an array of strings";
	case FIELD_OBJECT:
		return "an object";
	case FIELD_ID:
		return "a string or a number";
	case FIELD_OBJECTS:
		return "an array of objects";
	case FIELD_TIME:
		return "a time";
	}
	return "nothing";
}

static int wrong_type(const struct field *field, struct error *err)
{
	return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "%s must be %s", field->name,
			 field_type_name(field->type));
}

static int read_integer(const struct field *field, struct arg *arg, struct error *err)
{
	int64_t max = field->max ? field->max : INT64_MAX;
	int r;

	r = json_text_int64(arg->text, &arg->integer);
	if (r == -EINVAL)
		return wrong_type(field, err);

	if (r < 0 || arg->integer < field->min || arg->integer > max)
		return error_set(err, ERROR_INVALID_PARAMS, ERANGE,
				 "%s must be between %" PRId64 " and %" PRId64, field->name,
				 field->min, max);

	return 0;
}

static int read_number(const struct field *field, struct arg *arg, struct error *err)
{
	int r;

	r = json_text_double(arg->text, &arg->number);
	if (r < 0 || !(arg->number >= (double)field->min && arg->number <= (double)field->max))
		return error_set(err, ERROR_INVALID_PARAMS, ERANGE,
				 "%s must be between %" PRId64 " and %" PRId64, field->name,
				 field->min, field->max);

	return 0;
}

static int read_strings(const struct field *field, struct arg *arg, struct error *err)
{
	struct json_iter iter = json_iter(arg->text);
	struct json_text element;
	int64_t n = 0;

	while (json_next_element(&iter, &element)) {
		if (json_text_kind(element) != JSON_STRING)
			return wrong_type(field, err);
		n++;
	}

	if (field->max && n > field->max)
		return error_set(err, ERROR_INVALID_PARAMS, E2BIG,
				 "%s must have at most %" PRId64 " elements", field->name,
				 field->max);

	return 0;
}

/* Whether a value of this kind of JSON can be an argument of this type at all. */
static bool suits(enum field_type type, enum json_kind kind)
{
	switch (type) {
	case FIELD_WORKSPACE:
	case FIELD_STRING:
		return kind == JSON_STRING;
	case FIELD_INTEGER:
	case FIELD_NUMBER:
		return kind == JSON_NUMBER;
	case FIELD_BOOLEAN:
		return kind == JSON_BOOL;
	case FIELD_STRINGS:
		return kind == JSON_ARRAY;
	case FIELD_OBJECT:
		return kind == JSON_OBJECT;
	case FIELD_ID:
		return kind == JSON_STRING || kind == JSON_NUMBER || kind == JSON_NULL;
	case FIELD_END:
	case FIELD_OBJECTS:
	case FIELD_TIME:
		break;
	}
	return false;
}

static int read_arg(const struct field *field, struct json_text text, struct arg *arg,
		    struct error *err)
{
	enum json_kind kind = json_text_kind(text);

	/* As if it had not been said: that is what most languages make of an unset variable. */
	if (kind == JSON_NULL && field->type != FIELD_ID) {
		*arg = (struct arg){ 0 };
		return 0;
	}

	if (!suits(field->type, kind))
		return wrong_type(field, err);

	arg->text = text;
	switch (field->type) {
	case FIELD_INTEGER:
		return read_integer(field, arg, err);
	case FIELD_NUMBER:
		return read_number(field, arg, err);
	case FIELD_STRINGS:
		return read_strings(field, arg, err);
	case FIELD_BOOLEAN:
		arg->boolean = json_text_is_true(text);
		return 0;
	case FIELD_END:
	case FIELD_WORKSPACE:
	case FIELD_STRING:
	case FIELD_OBJECT:
	case FIELD_ID:
	case FIELD_OBJECTS:
	case FIELD_TIME:
		break;
	}
	return 0;
}

static int read_named(const struct method *method, struct json_text params, struct arg *args,
		      struct error *err)
{
	struct json_iter iter = json_iter(params);
	struct json_text name, value;

	while (json_next_member(&iter, &name, &value)) {
		field_for_each(field, method->params)
		{
			int r;

			if (!json_text_equals(name, field->name))
				continue;

			r = read_arg(field, value, &args[field - method->params], err);
			if (r < 0)
				return r;
			break;
		}
	}

	return 0;
}

static int read_positional(const struct method *method, struct json_text params, struct arg *args,
			   struct error *err)
{
	struct json_iter iter = json_iter(params);
	const struct field *field = method->params;
	struct json_text value;

	for (; json_next_element(&iter, &value); field++) {
		int r;

		if (field->type == FIELD_END)
			return error_set(err, ERROR_INVALID_PARAMS, E2BIG,
					 "%s takes at most %td positional params", method->name,
					 field - method->params);

		r = read_arg(field, value, &args[field - method->params], err);
		if (r < 0)
			return r;
	}

	return 0;
}

int schema_read_args(const struct method *method, struct json_text params,
		     struct arg args[static SCHEMA_PARAMS_MAX], struct error *err)
{
	enum json_kind kind = json_text_kind(params);
	int r = 0;

	field_for_each(field, method->params) args[field - method->params] = (struct arg){ 0 };

	if (kind == JSON_OBJECT)
		r = read_named(method, params, args, err);
	else if (kind == JSON_ARRAY)
		r = read_positional(method, params, args, err);
	if (r < 0)
		return r;

	field_for_each(field, method->params) if (
		(field->flags & FIELD_REQUIRED) &&
		!arg_given(&args[field -
				 method->params])) return error_set(err, ERROR_INVALID_PARAMS,
								    EINVAL,
								    "%s is missing: it must be %s",
								    field->name,
								    field_type_name(field->type));

	return 0;
}
