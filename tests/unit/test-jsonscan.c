/* SPDX-License-Identifier: MIT */
#include "base/jsonscan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "lib/test.h"

static enum json_verdict feed(struct json_scan *scan, const char *text, size_t len,
			      size_t *ret_used)
{
	json_scan_init(scan, JSON_DEPTH_MAX, JSON_VALUES_MAX);
	return json_scan_feed(scan, text, len, ret_used);
}

/* The same byte by byte. */
static enum json_verdict trickle(struct json_scan *scan, const char *text, size_t len,
				 size_t *ret_used)
{
	enum json_verdict verdict = JSON_MORE;
	size_t at, used = 0;

	json_scan_init(scan, JSON_DEPTH_MAX, JSON_VALUES_MAX);
	for (at = 0; at < len && verdict == JSON_MORE; at += used)
		verdict = json_scan_feed(scan, text + at, 1, &used);
	*ret_used = at;
	return verdict;
}

static bool is_json(const char *text, size_t len)
{
	struct error err = { 0 };
	int r = json_check(text, len, JSON_DEPTH_MAX, JSON_VALUES_MAX, &err);

	CHECK(r == 0 ? err.kind == ERROR_NONE : err.kind != ERROR_NONE && err.text[0]);
	return r == 0;
}

static const char *const good_texts[] = {
	"null",
	"true",
	"false",
	"0",
	"-0",
	"-1",
	"10",
	"1.5",
	"0.0",
	"-0.1e10",
	"1e1",
	"1E+1",
	"1e-400",
	"1e400",
	"123456789012345678901234567890",
	"\"\"",
	"\"a\"",
	" \t\r\n1 \t\r\n",
	"[]",
	"{}",
	"[ ]",
	"{ }",
	"[1]",
	"[1,2]",
	"[1 , 2]",
	"[-1,0,1.0e5,true,false,null,\"x\",[],{}]",
	"{\"a\":1}",
	"{\"a\" : 1 , \"b\" : 2}",
	"{\"a\":1,\"a\":2}",
	"{\"\":0}",
	"[[[[]]],{\"a\":{\"b\":[]}}]",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uABCD\\uabcd\"",
	"\"\\u0000\"",
	"\"\\ud83d\\ude00\"",
	"\"\\ud800\"",
	"\"\\udc00\\ud800\"",
	"\"\x7f\"",
	"\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf\"",
	"\"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\"",
	"\"12345678 plain text that is longer than a word \\n and goes on for a while\"",
};

TEST(json_is_taken)
{
	for (size_t i = 0; i < sizeof(good_texts) / sizeof(good_texts[0]); i++)
		if (!is_json(good_texts[i], strlen(good_texts[i])))
			test_fail(__FILE__, __LINE__, "refused %s", good_texts[i]);
}

static const char *const bad_texts[] = {
	"",
	" ",
	"\xef\xbb\xbf{}",
	"nul",
	"nulll",
	"True",
	"NaN",
	"-NaN",
	"Infinity",
	"-Infinity",
	"undefined",
	"01",
	"-01",
	"+1",
	".5",
	"1.",
	"1.e1",
	"1e",
	"1e+",
	"-",
	"--1",
	"0x10",
	"1_000",
	"1,",
	"1 2",
	"[1,]",
	"[,1]",
	"[,]",
	"[1 2]",
	"[1",
	"[",
	"]",
	"[}",
	"[1}",
	"{]",
	"{",
	"}",
	"{\"a\"}",
	"{\"a\":}",
	"{\"a\":1,}",
	"{a:1}",
	"{1:1}",
	"{'a':1}",
	"{\"a\" 1}",
	"{\"a\"::1}",
	"{,}",
	"{\"a\":1 \"b\":2}",
	"{\"a\":1",
	"'a'",
	"\"",
	"\"a",
	"\"\\",
	"\"\\x\"",
	"\"\\a\"",
	"\"\\u\"",
	"\"\\u12\"",
	"\"\\u123g\"",
	"\"\\U0041\"",
	"\"\n\"",
	"\"\t\"",
	"\"\x1f\"",
	"[] []",
	"[]x",
	"{}}",
	"// c\n1",
	"/**/1",
	"1//",
	"[1/**/]",
	"\f1",
	"\v1",
	"\xc2\xa0"
	"1",
	"\xe2\x80\xa8"
	"1",
	"truefalse",
	"true1",
	"1true",
	"1[",
	"1\"\"",
	"null{}",
	"[truefalse]",
	"[1true]",
	"{\"a\":tru}",
};

TEST(what_is_no_json_is_refused)
{
	for (size_t i = 0; i < sizeof(bad_texts) / sizeof(bad_texts[0]); i++)
		if (is_json(bad_texts[i], strlen(bad_texts[i])))
			test_fail(__FILE__, __LINE__, "took %s", bad_texts[i]);
}

TEST(a_raw_nul_is_refused_everywhere)
{
	CHECK(!is_json("\0", 1));
	CHECK(!is_json("1\0", 2));
	CHECK(!is_json("[1,\0]", 5));
	CHECK(!is_json("\"a\0b\"", 5));
	CHECK(!is_json("tru\0", 4));
}

TEST(malformed_utf8_is_refused_even_at_the_end_of_a_piece)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc2",
		"\xc2\x7f",
		"\xc2\xc0",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xe1\x80",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf1\x80\x80",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xfe",
		"\xe1\x80\xc0",
		"\xf8\x88\x80\x80\x80",
	};
	char text[32];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (size_t before = 0; before < 10; before++) {
			size_t len = strlen(bad[i]);
			struct json_scan scan;
			size_t used;

			text[0] = '"';
			memset(text + 1, 'a', before);
			memcpy(text + 1 + before, bad[i], len);
			text[1 + before + len] = '"';
			CHECK(!is_json(text, before + len + 2));
			CHECK_INT(trickle(&scan, text, before + len + 2, &used), JSON_BAD);
		}
}

TEST(the_end_of_a_text_is_found_and_nothing_after_it_is_taken)
{
	static const struct {
		const char *text;
		size_t used;
	} cases[] = {
		{ "{}{}", 2 },   { " [1] ", 4 },          { "\"a\"\"b\"", 3 },   { "12 ", 2 },
		{ "true\n", 4 }, { "{\"a\":\"}\"}x", 9 }, { "[\"\\\"]\"]]", 7 }, { "-1.5e3\t", 6 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_scan scan;
		size_t used;

		CHECK_INT(feed(&scan, cases[i].text, strlen(cases[i].text), &used), JSON_DONE);
		CHECK_INT(used, cases[i].used);
		CHECK_INT(trickle(&scan, cases[i].text, strlen(cases[i].text), &used), JSON_DONE);
		CHECK_INT(used, cases[i].used);
		CHECK_INT(json_scan_feed(&scan, "x", 1, &used), JSON_DONE);
		CHECK_INT(used, 0);
	}
}

TEST(the_offending_byte_is_named)
{
	static const struct {
		const char *text;
		size_t at;
	} cases[] = {
		{ "x", 0 },        { "{\"a\":tru}", 8 }, { "[1,]", 3 },  { "[01]", 2 },
		{ "\"a\nb\"", 2 }, { "12,", 2 },         { "truex", 4 }, { "\"\\q\"", 2 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_scan scan;
		size_t used;

		CHECK_INT(feed(&scan, cases[i].text, strlen(cases[i].text), &used), JSON_BAD);
		CHECK_INT(used, cases[i].at);
		CHECK_INT(trickle(&scan, cases[i].text, strlen(cases[i].text), &used), JSON_BAD);
		CHECK_INT(used, cases[i].at);
		CHECK_INT(json_scan_feed(&scan, "1", 1, &used), JSON_BAD);
		CHECK_INT(json_scan_end(&scan), JSON_BAD);
	}
}

TEST(the_end_of_input_ends_a_number_or_a_word_and_nothing_else)
{
	static const char *const whole[] = { "12", "-0", "1.5", "1e5", "true", "null", " 7", "{}" };
	static const char *const half[] = {
		"", " ", "-", "1.", "1e", "1e+", "tru", "\"a", "[1", "{"
	};
	struct json_scan scan;
	size_t used;

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		(void)feed(&scan, whole[i], strlen(whole[i]), &used);
		CHECK_INT(used, strlen(whole[i]));
		CHECK_INT(json_scan_end(&scan), JSON_DONE);
	}
	for (size_t i = 0; i < sizeof(half) / sizeof(half[0]); i++) {
		CHECK_INT(feed(&scan, half[i], strlen(half[i]), &used), JSON_MORE);
		CHECK_INT(json_scan_end(&scan), JSON_BAD);
	}
}

TEST(it_knows_when_nothing_but_space_came)
{
	struct json_scan scan;
	size_t used;

	CHECK_INT(feed(&scan, " \r\n\t", 4, &used), JSON_MORE);
	CHECK_INT(used, 4);
	CHECK(json_scan_is_empty(&scan));
	CHECK_INT(json_scan_feed(&scan, "[", 1, &used), JSON_MORE);
	CHECK(!json_scan_is_empty(&scan));
}

/* Brackets n deep, around nothing. */
static char *nested(size_t n, char open, char close)
{
	char *text = malloc(2 * n + 1);

	CHECK(text);
	memset(text, open, n);
	memset(text + n, close, n);
	text[2 * n] = '\0';
	return text;
}

TEST(depth_64_is_taken_and_65_is_not)
{
	AUTO(free) char *fits = nested(64, '[', ']');
	AUTO(free) char *deep = nested(65, '[', ']');
	AUTO(free) char *far = nested(100000, '[', ']');
	struct json_scan scan;
	size_t used;

	CHECK(is_json(fits, strlen(fits)));
	CHECK_INT(feed(&scan, deep, strlen(deep), &used), JSON_TOO_DEEP);
	CHECK_INT(used, 64);
	CHECK_INT(feed(&scan, far, strlen(far), &used), JSON_TOO_DEEP);
	CHECK_INT(used, 64);
}

TEST(objects_and_arrays_are_told_apart_at_every_depth)
{
	char text[1024] = "";
	size_t len = 0;

	for (int i = 0; i < 64; i++)
		len += (size_t)(stpcpy(text + len, i % 3 ? "[" : "{\"a\":") - (text + len));
	text[len++] = '1';
	for (int i = 63; i >= 0; i--)
		text[len++] = i % 3 ? ']' : '}';
	CHECK(is_json(text, len));
	for (size_t at = len - 64; at < len; at++) {
		text[at] ^= ']' ^ '}';
		CHECK(!is_json(text, len));
		text[at] ^= ']' ^ '}';
	}
}

TEST(a_depth_limit_of_its_own_is_kept)
{
	struct error err = { 0 };

	CHECK_INT(json_check("[[1]]", 5, 2, 10, &err), 0);
	CHECK_INT(json_check("[[1]]", 5, 1, 10, &err), -EINVAL);
	CHECK_INT(err.kind, ERROR_PARSE);
	CHECK_TEXT(err.text, "the JSON text is nested deeper than 1 levels at byte 1");
	CHECK_INT(json_check("1", 1, 0, 10, &err), 0);
}

TEST(every_value_counts_and_no_name_does)
{
	static const char text[] = "{\"a\":1,\"b\":[true,null,\"x\"],\"c\":{}}"; /* 7 */
	struct error err = { 0 };

	CHECK_INT(json_check(text, strlen(text), 64, 7, &err), 0);
	CHECK_INT(json_check(text, strlen(text), 64, 6, &err), -EINVAL);
	CHECK_INT(err.kind, ERROR_TOO_LARGE);
	CHECK_TEXT(err.text, "the JSON text has more than 6 values");
}

TEST(a_nul_in_a_name_is_remembered_and_checked_texts_have_none)
{
	static const char *const with[] = { "{\"a\\u0000b\":1}", "[{\"\\u0000\":{}}]",
					    "{\"\\u00000\":[]}" };
	static const char *const without[] = { "{\"a\":\"\\u0000\"}", "{\"\\\\u0000\":1}",
					       "[\"\\u0000\"]" };
	struct error err = { 0 };
	struct json_scan scan;
	size_t used;

	for (size_t i = 0; i < 3; i++) {
		CHECK_INT(feed(&scan, with[i], strlen(with[i]), &used), JSON_DONE);
		CHECK(scan.nul_in_name);
		CHECK_INT(json_check(with[i], strlen(with[i]), 64, 10, &err), -EINVAL);
		CHECK_INT(err.kind, ERROR_PARSE);
		CHECK_INT(trickle(&scan, without[i], strlen(without[i]), &used), JSON_DONE);
		CHECK(!scan.nul_in_name);
	}
}

TEST(any_split_gives_the_same_verdict)
{
	static const char *const texts[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":-1.5e-3,\"method\":\"a\\u00e9\xc3\xa9\\n\",\"p\":[true,false,null]} ",
		"[\"\xf0\x9f\x98\x80 and a longer run of plain text\", 0.0, {\"\\ud83d\\ude00\": {}}]",
		"{\"a\":[1,2,{\"b\":tru]}",
		"\"\xe2\x82\"",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t len = strlen(texts[i]), whole_used, used, more_used;
		enum json_verdict whole, verdict;
		struct json_scan scan;

		whole = feed(&scan, texts[i], len, &whole_used);
		for (size_t cut = 0; cut <= len; cut++) {
			verdict = feed(&scan, texts[i], cut, &used);
			if (verdict == JSON_MORE) {
				verdict = json_scan_feed(&scan, texts[i] + cut, len - cut,
							 &more_used);
				used += more_used;
			}
			CHECK_INT(verdict, whole);
			CHECK_INT(used, whole_used);
		}
	}
}

TEST(the_sentence_says_where_a_text_is_wrong)
{
	struct error err = { 0 };

	CHECK(json_check("{\"a\":x}", 7, 64, 10, &err) < 0);
	CHECK_TEXT(err.text, "the JSON text is wrong at byte 5");
	CHECK(json_check("{\"a\":", 5, 64, 10, &err) < 0);
	CHECK_TEXT(err.text, "the JSON text breaks off at byte 5");
	CHECK(json_check("{} x", 4, 64, 10, &err) < 0);
	CHECK_TEXT(err.text, "the JSON text is wrong at byte 3");
	CHECK(json_check("1", 1, 64, 10, NULL) == 0);
}
