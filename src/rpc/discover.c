/* SPDX-License-Identifier: MIT */
/*
 * OpenRPC (https://spec.open-rpc.org), version 1.3.2.
 */

#include "rpc/discover.h"

#include "base/error.h"
#include "rpc/policy.h"
#include "rpc/writer.h"

static const char *json_type(enum field_type type)
{
	switch (type) {
	case FIELD_WORKSPACE:
	case FIELD_STRING:
	case FIELD_TIME:
		return "string";
	case FIELD_INTEGER:
		return "integer";
	case FIELD_NUMBER:
		return "number";
	case FIELD_BOOLEAN:
		return "boolean";
	case FIELD_STRINGS:
	case FIELD_OBJECTS:
		return "array";
	case FIELD_OBJECT:
		return "object";
	case FIELD_ID:
	case FIELD_END:
		break;
	}
	return "null";
}

static void write_type(struct buffer *out, const struct field *field)
{
	const char *type = json_type(field->type);

	if (field->type == FIELD_ID) {
		writer_raw(out, "type", "[\"string\",\"number\",\"null\"]", 26);
		return;
	}

	if (!(field->flags & FIELD_NULLABLE)) {
		writer_text(out, "type", type);
		return;
	}

	writer_open(out, "type", '[');
	writer_text(out, NULL, type);
	writer_text(out, NULL, "null");
	writer_close(out, ']');
}

static void write_limits(struct buffer *out, const struct field *field)
{
	switch (field->type) {
	case FIELD_INTEGER:
	case FIELD_NUMBER:
		writer_int(out, "minimum", field->min);
		if (field->max)
			writer_int(out, "maximum", field->max);
		break;
	case FIELD_STRINGS:
		writer_raw(out, "items", "{\"type\":\"string\"}", 17);
		if (field->max)
			writer_int(out, "maxItems", field->max);
		break;
	case FIELD_OBJECTS:
		writer_raw(out, "items", "{\"type\":\"object\"}", 17);
		break;
	case FIELD_TIME:
		writer_text(out, "format", "date-time");
		break;
	case FIELD_END:
	case FIELD_WORKSPACE:
	case FIELD_STRING:
	case FIELD_BOOLEAN:
	case FIELD_OBJECT:
	case FIELD_ID:
		break;
	}
}

static void write_schema(struct buffer *out, const char *name, const struct field *field)
{
	writer_open(out, name, '{');
	write_type(out, field);
	write_limits(out, field);
	writer_close(out, '}');
}

static void write_param(struct buffer *out, const struct field *field)
{
	writer_open(out, NULL, '{');
	writer_text(out, "name", field->name);
	writer_text(out, "description", field->help);
	writer_bool(out, "required", field->flags & FIELD_REQUIRED);
	write_schema(out, "schema", field);
	writer_close(out, '}');
}

static void write_result(struct buffer *out, const struct method *method)
{
	writer_open(out, "result", '{');
	writer_text(out, "name", "result");
	writer_open(out, "schema", '{');
	writer_text(out, "type", "object");
	writer_open(out, "properties", '{');
	field_for_each(field, method->results)
	{
		writer_open(out, field->name, '{');
		writer_text(out, "description", field->help);
		write_type(out, field);
		write_limits(out, field);
		writer_close(out, '}');
	}
	writer_close(out, '}');
	writer_close(out, '}');
	writer_close(out, '}');
}

static void write_method(struct buffer *out, const struct method *method)
{
	writer_open(out, NULL, '{');
	writer_text(out, "name", method->name);
	writer_text(out, "summary", method->help);
	writer_text(out, "paramStructure", "either");
	writer_open(out, "params", '[');
	field_for_each(field, method->params) write_param(out, field);
	writer_close(out, ']');
	write_result(out, method);
	writer_text(out, "x-class", policy_class_name(method->class));
	writer_close(out, '}');
}

static void write_errors(struct buffer *out)
{
	writer_open(out, "errors", '{');
	for (int kind = ERROR_PARSE; kind < ERROR_CONFIG; kind++) {
		const char *name = error_name((enum error_kind)kind);

		writer_open(out, name, '{');
		writer_int(out, "code", error_code((enum error_kind)kind));
		writer_text(out, "message", name);
		writer_close(out, '}');
	}
	writer_close(out, '}');
}

void discover_write(struct buffer *out, const struct schema *schema, const char *version)
{
	writer_open(out, NULL, '{');
	writer_text(out, "openrpc", "1.3.2");
	writer_open(out, "info", '{');
	writer_text(out, "title", "molecule-agentd");
	writer_text(out, "description", "The local API of the agent host daemon");
	writer_text(out, "version", version);
	writer_close(out, '}');
	writer_open(out, "methods", '[');
	for (size_t i = 0; i < schema->n; i++)
		write_method(out, schema->list[i]);
	writer_close(out, ']');
	writer_open(out, "components", '{');
	write_errors(out);
	writer_close(out, '}');
	writer_close(out, '}');
}
