/* SPDX-License-Identifier: MIT */
/*
 * The table of methods: that it is sound, that it can be discovered, and that
 * the manual has all of it.
 */

#include "rpc/method.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "lib/test.h"
#include "rpc/discover.h"

#define PAGE SOURCE_ROOT "/docs/man/molecule-agent-rpc.7.scd"
#define PAGE_MAX ((size_t)1 << 20)

static struct schema schema;

/* The part of the page that is about a method: from its line to the next one's, or NULL. */
static char *section_of(const char *page, const char *method)
{
	char begins[80];
	const char *section, *end;

	(void)snprintf(begins, sizeof(begins), "\n*%s*", method);
	section = strstr(page, begins);
	if (!section)
		return NULL;

	section++;
	end = strstr(section, "\n*");
	return end ? strndup(section, (size_t)(end - section)) : strdup(section);
}

static void check_mentions(const char *section, const char *method, const char *before,
			   const char *name, const char *after)
{
	char text[80];

	(void)snprintf(text, sizeof(text), "%s%s%s", before, name, after);
	if (!strstr(section, text))
		test_fail(__FILE__, __LINE__, "the page does not say %s of %s", text, method);
}

TEST(the_manual_has_every_method_and_every_param_and_result)
{
	char *page, *section;
	size_t len;

	method_init_schema(&schema);
	CHECK_INT(file_read(AT_FDCWD, PAGE, PAGE_MAX, &page, &len, NULL), 0);
	for (size_t i = 0; i < schema.n; i++) {
		const struct method *method = schema.list[i];

		section = section_of(page, method->name);
		if (!section)
			test_fail(__FILE__, __LINE__, "the page has no %s", method->name);

		check_mentions(section, method->name, "(*", policy_class_name(method->class), "*)");
		field_for_each(field, method->params)
			check_mentions(section, method->name, "\n\t_", field->name, "_ (");
		if (!strstr(section, "As *workspace.status*"))
			field_for_each(field, method->results)
				check_mentions(section, method->name, "*", field->name, "*");
		free(section);
	}
	free(page);
}

/* As a client would write it. */
static int find(const char *name)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "\"%s\"", name);
	return schema_find(&schema, json_text_from(text, strlen(text)));
}

TEST(every_method_is_found_and_nothing_else)
{
	char name[64];

	method_init_schema(&schema);
	CHECK(schema.n >= 23);
	for (size_t i = 0; i < schema.n; i++) {
		CHECK_INT(find(schema.list[i]->name), i);
		(void)snprintf(name, sizeof(name), "%s%s", schema.list[i]->name, "x");
		CHECK_INT(find(name), -1);
		(void)snprintf(name, sizeof(name), "%.*s", (int)strlen(schema.list[i]->name) - 1,
			       schema.list[i]->name);
		CHECK_INT(find(name), -1);
	}
	CHECK_INT(find(""), -1);
	CHECK_INT(find("rpc.this_is_longer_than_any_method_of_ours_has_ever_been_or_will_be_.."),
		  -1);
	CHECK_INT(find("rpc.\\u0063ancel"), find("rpc.cancel"));
}

TEST(every_line_of_the_table_is_complete)
{
	method_init_schema(&schema);
	for (size_t i = 0; i < schema.n; i++) {
		const struct method *method = schema.list[i];
		size_t n = 0;

		CHECK(method->fn && method->help && method->help[0]);
		CHECK(method->class == POLICY_READ || method->class == POLICY_USE ||
		      method->class == POLICY_ADMIN);
		CHECK(method->results->type != FIELD_END);
		field_for_each(field, method->params)
		{
			CHECK(field->name && field->help && n++ < SCHEMA_PARAMS_MAX);
			CHECK(field->type != FIELD_OBJECTS && field->type != FIELD_TIME);
			/* A number without an upper end would be one that nothing is between. */
			CHECK(field->type != FIELD_NUMBER || field->max > field->min);
		}
		field_for_each(field, method->results) CHECK(field->name && field->help);
	}
}

static void check_param(struct json_object *param)
{
	bool required;

	CHECK(json_get_string(param, "name"));
	CHECK(json_get_string(param, "description"));
	CHECK(json_get_bool(param, "required", &required));
	CHECK(json_get_object(param, "schema"));
}

static void check_method(struct json_object *method)
{
	struct json_object *params = json_get_array(method, "params");
	struct json_object *result = json_get_object(method, "result");

	CHECK(find(json_get_string(method, "name")) >= 0);
	CHECK(json_get_string(method, "summary"));
	CHECK_TEXT(json_get_string(method, "paramStructure"), "either");
	CHECK(params && result);
	CHECK(json_get_string(result, "name"));
	CHECK(json_get_object(json_get_object(result, "schema"), "properties"));
	for (size_t i = 0; i < json_object_array_length(params); i++)
		check_param(json_object_array_get_idx(params, i));
}

TEST(the_table_can_be_discovered_as_openrpc)
{
	struct buffer out = BUFFER_INIT(PAGE_MAX);
	struct json_object *document, *methods, *errors;

	method_init_schema(&schema);
	discover_write(&out, &schema, "1.2.3");
	CHECK_INT(out.failed, 0);
	CHECK_INT(json_parse(buffer_at(&out), buffer_len(&out), &document, NULL), 0);

	CHECK(strncmp(json_get_string(document, "openrpc"), "1.", 2) == 0);
	CHECK_TEXT(json_get_string(json_get_object(document, "info"), "title"), "molecule-agentd");
	CHECK_TEXT(json_get_string(json_get_object(document, "info"), "version"), "1.2.3");
	methods = json_get_array(document, "methods");
	CHECK_INT(json_object_array_length(methods), schema.n);
	for (size_t i = 0; i < schema.n; i++)
		check_method(json_object_array_get_idx(methods, i));
	errors = json_get_object(json_get_object(document, "components"), "errors");
	CHECK_INT(json_object_object_length(errors), ERROR_CONFIG - ERROR_PARSE);

	(void)json_object_put(document);
	buffer_fini(&out);
}
