/* SPDX-License-Identifier: MIT */
#include "base/jsontext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonscan.h"
#include "base/util.h"
#include "lib/test.h"

/* Checked, as everything that is read in place must be. */
static struct json_text checked(const char *text)
{
	CHECK_INT(json_check(text, strlen(text), 64, 65536, NULL), 0);
	return json_text_from(text, strlen(text));
}

static bool is(struct json_text text, const char *expected)
{
	return text.len == strlen(expected) && memcmp(text.at, expected, text.len) == 0;
}

TEST(the_first_byte_tells_the_kind)
{
	CHECK_INT(json_text_kind((struct json_text){ 0 }), JSON_NONE);
	CHECK_INT(json_text_kind(checked(" null ")), JSON_NULL);
	CHECK_INT(json_text_kind(checked("true")), JSON_BOOL);
	CHECK_INT(json_text_kind(checked("false")), JSON_BOOL);
	CHECK_INT(json_text_kind(checked("-1")), JSON_NUMBER);
	CHECK_INT(json_text_kind(checked("0")), JSON_NUMBER);
	CHECK_INT(json_text_kind(checked("\"\"")), JSON_STRING);
	CHECK_INT(json_text_kind(checked("\n[]")), JSON_ARRAY);
	CHECK_INT(json_text_kind(checked("{}")), JSON_OBJECT);
	CHECK_TEXT(json_kind_name(JSON_ARRAY), "an array");
}

TEST(space_around_a_text_is_not_of_it)
{
	CHECK(is(json_text_from(" \t\r\n{ } \n", 9), "{ }"));
	CHECK_INT(json_text_from("  ", 2).len, 0);
}

TEST(members_come_in_order_without_space)
{
	struct json_text name, value;
	struct json_iter iter = json_iter(checked(
		"{ \"a\" : 1 ,\n\"b,\\\"}\":\t\"x,}]\\\\\" , \"c\":[ {\"d\":\"]\"} , 2 ],\"e\":{} , "
		"\"f\" : -1.5e3 }"));

	CHECK(json_next_member(&iter, &name, &value));
	CHECK(is(name, "\"a\"") && is(value, "1"));
	CHECK(json_next_member(&iter, &name, &value));
	CHECK(is(name, "\"b,\\\"}\"") && is(value, "\"x,}]\\\\\""));
	CHECK(json_next_member(&iter, &name, &value));
	CHECK(is(name, "\"c\"") && is(value, "[ {\"d\":\"]\"} , 2 ]"));
	CHECK(json_next_member(&iter, &name, &value));
	CHECK(is(name, "\"e\"") && is(value, "{}"));
	CHECK(json_next_member(&iter, &name, &value));
	CHECK(is(name, "\"f\"") && is(value, "-1.5e3"));
	CHECK(!json_next_member(&iter, &name, &value));
	CHECK(!json_next_member(&iter, &name, &value));
}

TEST(elements_come_in_order_without_space)
{
	struct json_text value;
	struct json_iter iter = json_iter(
		checked("[ 1,true , \"a long string with \\\" and \xe2\x82\xac in it\", [ ]]"));

	CHECK(json_next_element(&iter, &value) && is(value, "1"));
	CHECK(json_next_element(&iter, &value) && is(value, "true"));
	CHECK(json_next_element(&iter, &value) &&
	      is(value, "\"a long string with \\\" and \xe2\x82\xac in it\""));
	CHECK(json_next_element(&iter, &value) && is(value, "[ ]"));
	CHECK(!json_next_element(&iter, &value));
}

TEST(empty_containers_and_scalars_have_nothing_in_them)
{
	static const char *const texts[] = { "[]", "{}", "[ ]", "{ \n }", "1", "\"abc\"", "null" };
	struct json_text name, value;
	struct json_iter iter;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		iter = json_iter(checked(texts[i]));
		CHECK(!json_next_element(&iter, &value));
		iter = json_iter(checked(texts[i]));
		CHECK(!json_next_member(&iter, &name, &value));
	}
	iter = json_iter((struct json_text){ 0 });
	CHECK(!json_next_element(&iter, &value));
}

TEST(a_member_is_found_by_its_decoded_name_and_the_last_one_counts)
{
	struct json_text object = checked("{\"a\":1,\"\\u0062\":2,\"a\":3,\"c\":{\"d\":4}}");

	CHECK(is(json_text_member(object, "a"), "3"));
	CHECK(is(json_text_member(object, "b"), "2"));
	CHECK_INT(json_text_member(object, "d").len, 0);
	CHECK_INT(json_text_member(object, "").len, 0);
	CHECK_INT(json_text_member(checked("[\"a\",1]"), "a").len, 0);
}

TEST(finds_members_all_at_once)
{
	static const char *const names[] = { "b", "none", "a", "" };
	struct json_text found[ARRAY_LEN(names)];

	json_text_members(checked("{\"a\":1,\"b\":{\"none\":4},\"c\":5,\"\\u0061\":3}"), names,
			  ARRAY_LEN(names), found);
	CHECK(is(found[0], "{\"none\":4}"));
	CHECK_INT(found[1].len, 0);
	CHECK(is(found[2], "3"));
	CHECK_INT(found[3].len, 0);

	json_text_members(checked("[\"a\",1]"), names, ARRAY_LEN(names), found);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		CHECK_INT(found[i].len, 0);
}

TEST(strings_compare_decoded)
{
	CHECK(json_text_equals(checked("\"abc\""), "abc"));
	CHECK(json_text_equals(checked("\"\""), ""));
	CHECK(json_text_equals(checked("\"a\\n\\/\\u00e9\""), "a\n/\xc3\xa9"));
	CHECK(!json_text_equals(checked("\"abc\""), "ab"));
	CHECK(!json_text_equals(checked("\"ab\""), "abc"));
	CHECK(!json_text_equals(checked("\"ab\\u0000\""), "ab"));
	CHECK(!json_text_equals(checked("12"), "12"));
	CHECK(!json_text_equals((struct json_text){ 0 }, ""));
}

static const struct {
	const char *json, *text;
} strings[] = {
	{ "\"\"", "" },
	{ "\"plain\"", "plain" },
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
	{ "\"\\u0041\\u00e9\\u20ac\\uFFFD\"", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbd" },
	{ "\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!" },
	{ "\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf" },
	{ "\"\\ud800\"", "\xef\xbf\xbd" },
	{ "\"\\udc00x\"", "\xef\xbf\xbdx" },
	{ "\"\\ud800\\u0041\"", "\xef\xbf\xbd"
				"A" },
	{ "\"\\ud800\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80" },
	{ "\"\\ud800\\n\"", "\xef\xbf\xbd\n" },
	{ "\"\\ud800abcdef\"", "\xef\xbf\xbd"
			       "abcdef" },
	{ "\"\xf0\x9f\x98\x80\"", "\xf0\x9f\x98\x80" },
};

TEST(strings_are_decoded)
{
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		struct json_text string = checked(strings[i].json);
		size_t len = strlen(strings[i].text);
		char dst[64];

		CHECK_INT(json_text_decode(string, dst, string.len), len);
		CHECK(memcmp(dst, strings[i].text, len) == 0);
		CHECK_INT(json_text_decode(string, dst, len), len);
		if (len)
			CHECK_INT(json_text_decode(string, dst, len - 1), -ENOBUFS);
		CHECK_INT(json_text_cstring(string, dst, len + 1), 0);
		CHECK_TEXT(dst, strings[i].text);
		CHECK_INT(json_text_cstring(string, dst, len), -ENOBUFS);
	}
}

TEST(a_string_with_a_nul_is_no_c_string)
{
	struct json_text string = checked("\"a\\u0000b\"");
	char *copy = NULL;
	char dst[8];

	CHECK_INT(json_text_decode(string, dst, sizeof(dst)), 3);
	CHECK(memcmp(dst, "a\0b", 3) == 0);
	CHECK_INT(json_text_cstring(string, dst, sizeof(dst)), -EINVAL);
	CHECK_INT(json_text_dup(string, &copy), -EINVAL);
	CHECK(!copy);
}

TEST(a_string_can_be_copied)
{
	AUTO(free) char *copy = NULL;
	char *none = NULL;

	CHECK_INT(json_text_dup(checked("\"a\\nb\""), &copy), 0);
	CHECK_TEXT(copy, "a\nb");
	CHECK_INT(json_text_dup(checked("1"), &none), -EINVAL);
	CHECK_INT(json_text_decode(checked("[]"), NULL, 0), -EINVAL);
}

TEST(integral_numbers_are_read_exactly)
{
	static const struct {
		const char *json;
		int64_t value;
	} cases[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "0.000", 0 },
		{ "0e999999999999999999999", 0 },
		{ "42", 42 },
		{ "-1", -1 },
		{ "1.0", 1 },
		{ "1e3", 1000 },
		{ "1E+3", 1000 },
		{ "1.5e1", 15 },
		{ "1500e-2", 15 },
		{ "12.3400e2", 1234 },
		{ "0.001e3", 1 },
		{ "9007199254740993", INT64_C(9007199254740993) },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
		{ "-9223372036854775808.000", INT64_MIN },
		{ "922337203685477580.7e1", INT64_MAX },
		{ "1e18", INT64_C(1000000000000000000) },
		{ "1000000000000000000000e-21", 1 },
	};
	int64_t value;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_INT(json_text_int64(checked(cases[i].json), &value), 0);
		CHECK_INT(value, cases[i].value);
	}
}

TEST(fractions_and_numbers_past_64_bits_are_refused)
{
	static const char *const fractions[] = {
		"0.5", "1.5", "-1.25", "1e-1", "15e-2", "1e-400", "1e-99999999999999999999"
	};
	static const char *const large[] = { "9223372036854775808",
					     "-9223372036854775809",
					     "1e19",
					     "1e400",
					     "-1e400",
					     "123456789012345678901234567890",
					     "1e99999999999999999999",
					     "92233720368547758070" };
	int64_t value = 42;

	for (size_t i = 0; i < sizeof(fractions) / sizeof(fractions[0]); i++)
		CHECK_INT(json_text_int64(checked(fractions[i]), &value), -EINVAL);
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		CHECK_INT(json_text_int64(checked(large[i]), &value), -ERANGE);
	CHECK_INT(json_text_int64(checked("\"1\""), &value), -EINVAL);
	CHECK_INT(json_text_int64((struct json_text){ 0 }, &value), -EINVAL);
	CHECK_INT(value, 42);
}

TEST(a_number_of_a_megabyte_is_read_at_once)
{
	size_t len = 1 << 20;
	AUTO(free) char *digits = malloc(len);
	int64_t value;
	double number;

	CHECK(digits);
	memset(digits, '9', len);
	CHECK_INT(json_text_int64((struct json_text){ digits, len }, &value), -ERANGE);
	CHECK_INT(json_text_double((struct json_text){ digits, len }, &number), -ERANGE);
	memset(digits + 1, '0', len - 1);
	digits[1] = '.';
	CHECK_INT(json_text_int64((struct json_text){ digits, len }, &value), 0);
	CHECK_INT(value, 9);
}

TEST(numbers_with_a_point_are_read)
{
	double value = 0;

	CHECK_INT(json_text_double(checked("-1.5e3"), &value), 0);
	CHECK(value == -1500);
	CHECK_INT(json_text_double(checked("0.1"), &value), 0);
	CHECK(value == 0.1);
	CHECK_INT(json_text_double(checked("1e-400"), &value), 0);
	CHECK(value == 0);
	CHECK_INT(json_text_double(checked("1e400"), &value), -ERANGE);
	CHECK_INT(json_text_double(checked("null"), &value), -EINVAL);
	CHECK(value == 0);
}

TEST(truth_is_told)
{
	CHECK(json_text_is_true(checked("true")));
	CHECK(!json_text_is_true(checked("false")));
	CHECK(!json_text_is_true(checked("\"t\"")));
	CHECK(!json_text_is_true((struct json_text){ 0 }));
}

static char *written(const char *text, size_t len)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1000);

	CHECK_INT(json_write_string(&out, text, len), 0);
	return buffer_take_text(&out);
}

TEST(strings_are_written_escaped)
{
	static const struct {
		const char *text;
		size_t len;
		const char *json;
	} cases[] = {
		{ "", 0, "\"\"" },
		{ "plain and longer than eight", 27, "\"plain and longer than eight\"" },
		{ "\"\\/", 3, "\"\\\"\\\\/\"" },
		{ "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
		{ "\x01\x1f\x7f", 3, "\"\\u0001\\u001f\x7f\"" },
		{ "a\0b", 3, "\"a\\u0000b\"" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
		  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "\xff", 1, "\"\xef\xbf\xbd\"" },
		{ "a\xc3", 2, "\"a\xef\xbf\xbd\"" },
		{ "\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf4\x90\x80\x80x", 5, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(free) char *json = written(cases[i].text, cases[i].len);

		CHECK_TEXT(json, cases[i].json);
	}
}

TEST(whatever_is_written_is_json_and_reads_back)
{
	unsigned seed = 1;
	char text[40], back[200];

	for (int round = 0; round < 20000; round++) {
		size_t len = (size_t)round % sizeof(text);
		AUTO(free) char *json = NULL;
		ssize_t back_len;

		for (size_t i = 0; i < len; i++) {
			seed = seed * 1103515245 + 12345;
			text[i] = (char)(seed >> 16 & (round % 2 ? 0xff : 0x7f));
		}
		json = written(text, len);
		back_len = json_text_decode(checked(json), back, sizeof(back));
		CHECK(back_len >= 0);
		/* ASCII comes back as it went. */
		if (round % 2 == 0)
			CHECK(back_len == (ssize_t)len && memcmp(back, text, len) == 0);
	}
}

TEST(a_string_that_does_not_fit_is_told)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(5);

	CHECK_INT(json_write_string(&out, "abc", 3), 0);
	buffer_reset(&out);
	CHECK_INT(json_write_string(&out, "abcd", 4), -EMSGSIZE);
}

TEST(a_compact_text_is_on_one_line)
{
	static const char loose[] =
		" {\r\n\t\"a b\" : [ 1.0 , \"c \\\" \\\\\" ,\n\ttrue ] , \"\" : { } } ";
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(100);

	CHECK(json_write_compact(&out, json_text_from(loose, strlen(loose))) == 0);
	CHECK_TEXT(test_keep(buffer_take_text(&out)),
		   "{\"a b\":[1.0,\"c \\\" \\\\\",true],\"\":{}}");
	CHECK(json_write_compact(&out, json_text_from("7", 1)) == 0);
	CHECK_TEXT(test_keep(buffer_take_text(&out)), "7");
}
