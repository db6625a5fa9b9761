/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/test.h"

static struct json_object *parsed(const char *text)
{
	struct json_object *object = NULL;
	struct error err = { 0 };

	if (json_parse(text, strlen(text), &object, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", text, err.text);
	return object;
}

/* As it is written. The caller frees it. */
static char *written(struct json_object *object)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(10000);

	CHECK_INT(json_write(&out, object), 0);
	return buffer_take_text(&out);
}

TEST(what_is_parsed_is_written_back_the_same)
{
	static const char *const texts[] = {
		"null",
		"true",
		"12",
		"-9223372036854775808",
		"18446744073709551615",
		"1.0",
		"1e400",
		"0.1",
		"\"a/b \\\" \\n \\u0001 \xc3\xa9\"",
		"\"a\\u0000b\"",
		"[]",
		"{}",
		"[1,[2,[]],{\"a\":{\"b\":null}}]",
		"{\"z\":1,\"a\":false}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		AUTO(json_object_put) struct json_object *object = parsed(texts[i]);
		AUTO(free) char *text = written(object);

		CHECK_TEXT(text, texts[i]);
	}
}

TEST(what_json_c_would_let_through_is_refused)
{
	static const char *const bad[] = { "",
					   "[1,]",
					   "{'a':1}",
					   "[1]x",
					   "/**/1",
					   "NaN",
					   "[01]",
					   "\"\t\"",
					   "\"\xff\"",
					   "nul",
					   "{\"a\\u0000\":1}",
					   "\xef\xbb\xbf{}" };
	struct json_object *object = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { 0 };

		CHECK_INT(json_parse(bad[i], strlen(bad[i]), &object, &err), -EINVAL);
		CHECK_INT(err.kind, ERROR_PARSE);
		CHECK(!object);
	}
}

TEST(the_deepest_text_the_scanner_takes_is_parsed)
{
	char text[200];

	memset(text, '[', 64);
	text[64] = '1';
	memset(text + 65, ']', 64);
	text[129] = '\0';
	(void)json_object_put(parsed(text));
}

TEST(members_of_another_type_are_as_if_not_there)
{
	AUTO(json_object_put)
	struct json_object *object =
		parsed("{\"s\":\"x\",\"i\":7,\"d\":1.5,\"b\":true,\"o\":{},\"a\":[],\"n\":null}");
	static const char *const names[] = { "s", "i", "d", "b", "o", "a", "n", "none" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *name = names[i];
		int64_t integer = 0;
		double number = 0;
		bool truth = false;

		CHECK_INT(json_get_string(object, name) != NULL, strcmp(name, "s") == 0);
		CHECK_INT(json_get_object(object, name) != NULL, strcmp(name, "o") == 0);
		CHECK_INT(json_get_array(object, name) != NULL, strcmp(name, "a") == 0);
		CHECK_INT(json_get_bool(object, name, &truth), strcmp(name, "b") == 0);
		CHECK_INT(json_get_int64(object, name, &integer), strcmp(name, "i") == 0);
		CHECK_INT(json_get_double(object, name, &number),
			  strcmp(name, "i") == 0 || strcmp(name, "d") == 0);
	}
	CHECK_TEXT(json_get_string(object, "s"), "x");
	CHECK(!json_get_string(NULL, "s"));
	CHECK(!json_get_string(json_get_array(object, "a"), "s"));
}

TEST(values_that_would_be_cut_are_not_had)
{
	AUTO(json_object_put)
	struct json_object *object =
		parsed("{\"nul\":\"a\\u0000b\",\"u64\":9223372036854775808,"
		       "\"big\":123456789012345678901234567890,\"inf\":1e400}");
	int64_t integer = 42;
	double number = 42;

	CHECK(!json_get_string(object, "nul"));
	CHECK(!json_get_int64(object, "u64", &integer));
	CHECK(!json_get_int64(object, "big", &integer));
	CHECK(!json_get_double(object, "inf", &number));
	CHECK_INT(integer, 42);
	CHECK(number == 42);
}

TEST(the_last_member_of_a_name_counts)
{
	AUTO(json_object_put) struct json_object *object = parsed("{\"a\":\"x\",\"a\":\"y\"}");

	CHECK_TEXT(json_get_string(object, "a"), "y");
}

TEST(an_object_is_built)
{
	AUTO(json_object_put) struct json_object *object = json_object_new_object();
	AUTO(free) char *text = NULL;

	CHECK_INT(json_add_string(object, "s", "a/\"b\""), 0);
	CHECK_INT(json_add_string(object, "null", NULL), 0);
	CHECK_INT(json_add_bool(object, "b", false), 0);
	CHECK_INT(json_add_int64(object, "i", INT64_MIN), 0);
	CHECK_INT(json_add_double(object, "d", 0.1), 0);
	CHECK_INT(json_add_double(object, "nan", NAN), 0);
	CHECK_INT(json_add_time(object, "t", INT64_C(784111777001)), 0);
	CHECK_INT(json_add_time(object, "never", 0), 0);
	CHECK_INT(json_add(object, "a", json_object_new_array()), 0);
	CHECK_INT(json_add_null(object, "n"), 0);
	text = written(object);
	CHECK_TEXT(text, "{\"s\":\"a/\\\"b\\\"\",\"null\":null,\"b\":false,"
			 "\"i\":-9223372036854775808,\"d\":0.1,\"nan\":null,"
			 "\"t\":\"1994-11-06T08:49:37.001Z\",\"never\":null,\"a\":[],\"n\":null}");
}

TEST(a_value_that_could_not_be_made_is_no_null)
{
	AUTO(json_object_put) struct json_object *object = json_object_new_object();

	CHECK_INT(json_add(object, "a", NULL), -ENOMEM);
	CHECK_INT(json_object_object_length(object), 0);
}

TEST(what_is_written_is_utf8_whatever_was_put_in)
{
	AUTO(json_object_put) struct json_object *object = json_object_new_object();
	AUTO(free) char *text = NULL;

	CHECK_INT(json_add_string(object, "a\xff", "b\xc3"), 0);
	text = written(object);
	CHECK_TEXT(text, "{\"a\xef\xbf\xbd\":\"b\xef\xbf\xbd\"}");
}

TEST(a_tree_that_does_not_fit_is_told)
{
	AUTO(json_object_put) struct json_object *object = parsed("{\"a\":[1,2,3]}");
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(12);

	CHECK_INT(json_write(&out, object), -EMSGSIZE);
}
