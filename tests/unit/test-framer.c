/* SPDX-License-Identifier: MIT */
#include "base/framer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/test.h"

#define MAX_BYTES 64

static struct framer framer;
static struct buffer in;

static void start(size_t max_bytes)
{
	framer_init(&framer, max_bytes);
	buffer_fini(&in);
	buffer_init(&in, max_bytes + FRAMER_HEADERS_MAX);
}

/* Writes what framer_next() says as one word: a text, or what is wrong. */
static enum frame_kind take(struct buffer *out)
{
	struct frame frame;
	enum frame_kind kind = framer_next(&framer, &in, &frame);

	switch (kind) {
	case FRAME_NONE:
		return kind;
	case FRAME_MESSAGE:
		CHECK(frame.text.len > 0 && !frame.why);
		CHECK_INT(json_check(frame.text.at, frame.text.len, 64, 65536, NULL), 0);
		(void)buffer_append(out, frame.text.at, frame.text.len);
		break;
	case FRAME_INVALID_REQUEST:
		(void)buffer_append_text(out, "INVALID");
		break;
	case FRAME_PARSE_ERROR:
		(void)buffer_append_text(out, "PARSE");
		break;
	case FRAME_TOO_LARGE:
		(void)buffer_append_text(out, "LARGE");
		break;
	case FRAME_BAD_HEADER:
		(void)buffer_append_text(out, "HEADER");
		break;
	}
	CHECK(kind == FRAME_MESSAGE || frame.why);
	(void)buffer_append_char(out, '|');
	framer_done(&framer, &in, &frame);
	return kind;
}

/* All frames of the bytes, given in pieces of at most piece bytes. */
static char *frames(const char *bytes, size_t len, size_t piece)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1 << 20);

	while (len) {
		size_t n = MIN(len, piece);

		CHECK_INT(buffer_append(&in, bytes, n), 0);
		while (take(&out) != FRAME_NONE)
			;
		bytes += n;
		len -= n;
	}

	return buffer_take_text(&out);
}

static void check_frames(int line, const char *bytes, size_t len, const char *expected)
{
	for (size_t piece = 1; piece <= len; piece += piece < 20 ? 1 : len / 7 + 1) {
		AUTO(free) char *found = NULL;

		start(MAX_BYTES);
		found = frames(bytes, len, piece);
		if (!test_same(found, expected))
			test_fail(__FILE__, line, "pieces of %zu: \"%s\", not \"%s\"", piece, found,
				  expected);
	}
	buffer_fini(&in);
}

#define CHECK_FRAMES(bytes, expected) check_frames(__LINE__, bytes, strlen(bytes), expected)

TEST(texts_end_where_their_brackets_close)
{
	CHECK_FRAMES("{\"a\":1}", "{\"a\":1}|");
	CHECK_FRAMES("{}{}[]", "{}|{}|[]|");
	CHECK_FRAMES("{\"a\":\"}\"}\n{\"b\":[\"]\"]}\n", "{\"a\":\"}\"}|{\"b\":[\"]\"]}|");
	CHECK_FRAMES("\"a\"\"b\"{}", "\"a\"|\"b\"|{}|");
}

TEST(space_between_texts_is_nothing)
{
	CHECK_FRAMES("\r\n\t {} \n\n \r\n[]\n", "{}|[]|");
	CHECK_FRAMES("  \n \n", "");
	CHECK_FRAMES("{\n  \"a\": 1\n}\n", "{\n  \"a\": 1\n}|");
}

TEST(a_number_or_word_ends_at_the_next_space)
{
	CHECK_FRAMES("12 ", "12|");
	CHECK_FRAMES("12", "");
	CHECK_FRAMES("true\nnull\t-1.5e3\r\n", "true|null|-1.5e3|");
	CHECK_FRAMES("truefalse\n{}", "PARSE|{}|");
	CHECK_FRAMES("1{}\n[]", "PARSE|[]|");
}

TEST(after_what_is_no_json_the_rest_of_the_line_is_skipped)
{
	CHECK_FRAMES("hello world\n{}", "PARSE|{}|");
	CHECK_FRAMES("{\"a\":1,} {} []\n{}", "PARSE|{}|");
	CHECK_FRAMES("{}}{}\n[]", "{}|PARSE|[]|");
	CHECK_FRAMES("'\n'\n{}", "PARSE|PARSE|{}|");
	CHECK_FRAMES("\xef\xbb\xbf{}\n{}", "PARSE|{}|");
	CHECK_FRAMES("{\"a\":\"\xff\"}\n{}", "PARSE|{}|");
}

TEST(the_newline_that_is_wrong_ends_the_line_too)
{
	CHECK_FRAMES("{\"a\":\"x\n{}", "PARSE|{}|");
	CHECK_FRAMES("tru\n{}", "PARSE|{}|");
	CHECK_FRAMES("-\n{}", "PARSE|{}|");
}

TEST(a_text_of_the_limit_is_taken_and_a_byte_more_is_not)
{
	static const char fits[] = "\"0123456789012345678901234567890123456789012345678901234567890"
				   "1\"\n{}";
	static const char large[] = "\"012345678901234567890123456789012345678901234567890123456789"
				    "012\" {} [\n{}";

	CHECK_INT(strlen(fits), MAX_BYTES + 3);
	CHECK_FRAMES(fits,
		     "\"01234567890123456789012345678901234567890123456789012345678901\"|{}|");
	CHECK_FRAMES(large, "LARGE|{}|");
}

TEST(space_does_not_count_against_the_limit)
{
	char text[300];

	memset(text, ' ', 200);
	memcpy(text + 200, "{}", 3);
	CHECK_FRAMES(text, "{}|");
}

TEST(a_text_without_end_takes_no_memory)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(100);
	char block[MAX_BYTES];

	start(MAX_BYTES);
	memset(block, '1', sizeof(block));
	for (int i = 0; i < 10000; i++) {
		CHECK_INT(buffer_append(&in, block, sizeof(block)), 0);
		while (take(&out) != FRAME_NONE)
			;
		CHECK_INT(buffer_len(&in), 0);
	}
	CHECK(framer_is_mid_message(&framer, &in));
	CHECK_INT(buffer_append_text(&in, "\n{}"), 0);
	CHECK_INT(take(&out), FRAME_MESSAGE);
	CHECK_INT(buffer_append_char(&out, '\0'), 0);
	CHECK_TEXT(buffer_at(&out), "LARGE|{}|");
	buffer_fini(&in);
}

TEST(a_text_of_too_many_values_is_too_large)
{
	AUTO(buffer_fini) struct buffer text = BUFFER_INIT(1 << 20);
	AUTO(free) char *found = NULL;

	CHECK_INT(buffer_append_char(&text, '['), 0);
	for (int i = 0; i < 65536; i++)
		CHECK_INT(buffer_append_text(&text, "1,"), 0);
	CHECK_INT(buffer_append_text(&text, "1]\n{}"), 0);

	start(1 << 20);
	found = frames(buffer_at(&text), buffer_len(&text), 4096);
	CHECK_TEXT(found, "LARGE|{}|");
	buffer_fini(&in);
}

TEST(a_text_that_is_too_deep_is_no_json)
{
	AUTO(free) char *found = NULL;
	char text[80];

	memset(text, '[', 65);
	memcpy(text + 65, "]\n{}", 5);
	start(1000);
	found = frames(text, strlen(text), 10);
	CHECK_TEXT(found, "PARSE|{}|");
	buffer_fini(&in);
}

TEST(a_nul_in_a_name_costs_that_message_only)
{
	CHECK_FRAMES("{\"a\\u0000\":1}{\"a\":\"\\u0000\"}", "INVALID|{\"a\":\"\\u0000\"}|");
	CHECK_FRAMES("Content-Length: 14\r\n\r\n{\"a\\u0000\":1} Content-Length: 2\r\n\r\n{}",
		     "INVALID|{}|");
}

TEST(headers_are_known_by_their_first_bytes)
{
	CHECK_FRAMES("Content-Length: 2\r\n\r\n{}Content-Length: 3\r\n\r\n[1]", "{}|[1]|");
	CHECK_FRAMES("content-LENGTH:2\n\n{}", "{}|");
	CHECK_FRAMES("\nContent-Type: application/x; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}",
		     "{}|");
	CHECK_FRAMES("Content-Length: 2\r\nX-Other: y:z\r\n\r\n{}", "{}|");
	CHECK_FRAMES("Content-Lengt\n{}", "PARSE|{}|");
	CHECK_FRAMES("c\n{}", "PARSE|{}|");
}

TEST(the_mode_is_for_life)
{
	CHECK_FRAMES("{}\nContent-Length: 2\r\n\r\n{}", "{}|PARSE|{}|");
	CHECK_FRAMES("Content-Length: 2\r\n\r\n{}{}\r\n", "{}|HEADER|");
	start(MAX_BYTES);
	CHECK(!framer_wants_headers(&framer));
	free(frames("Content-Length:", 15, 15));
	CHECK(framer_wants_headers(&framer));
	start(MAX_BYTES);
	free(frames("{", 1, 1));
	CHECK(!framer_wants_headers(&framer));
	buffer_fini(&in);
}

TEST(a_body_is_one_text_with_space_around_it)
{
	CHECK_FRAMES("Content-Length: 6\r\n\r\n {}\r\n Content-Length: 1\r\n\r\n7", "{}|7|");
	CHECK_FRAMES("Content-Length: 4\r\n\r\n{}{}Content-Length: 2\r\n\r\n[]", "PARSE|[]|");
	CHECK_FRAMES("Content-Length: 4\r\n\r\n{\"a\"Content-Length: 2\r\n\r\n[]", "PARSE|[]|");
	CHECK_FRAMES("Content-Length: 4\r\n\r\nx\n{}Content-Length: 2\r\n\r\n[]", "PARSE|[]|");
	CHECK_FRAMES("Content-Length: 0\r\n\r\nContent-Length: 2\r\n\r\n[]", "PARSE|[]|");
	CHECK_FRAMES("Content-Length: 2\r\n\r\n  Content-Length: 2\r\n\r\n[]", "PARSE|[]|");
	CHECK_FRAMES("Content-Length: 3\r\n\r\ntruContent-Length: 4\r\n\r\ntrue", "PARSE|true|");
}

TEST(a_body_past_the_limit_is_skipped_exactly)
{
	char text[400];
	int len = snprintf(text, sizeof(text),
			   "Content-Length: 65\r\n\r\n%065dContent-Length: 64\r\n"
			   "\r\n%64dContent-Length: 2\r\n\r\n{}",
			   0, 1);
	CHECK(len > 0 && (size_t)len < sizeof(text));
	CHECK_FRAMES(text, "LARGE|1|{}|");
}

TEST(a_body_of_any_length_takes_no_memory)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(100);
	char block[4096] = { 0 };

	start(MAX_BYTES);
	CHECK_INT(buffer_append_text(&in, "Content-Length: 18446744073709551615\r\n\r\n"), 0);
	for (int i = 0; i < 1000; i++) {
		while (take(&out) != FRAME_NONE)
			;
		CHECK_INT(buffer_len(&in), 0);
		CHECK_INT(buffer_append(&in, block, sizeof(block)), 0);
	}
	CHECK_INT(buffer_len(&out), strlen("LARGE|"));
	CHECK(framer_is_mid_message(&framer, &in));
	buffer_fini(&in);
}

TEST(a_bad_header_is_the_end)
{
	static const char *const bad[] = {
		"Content-Length: -1\r\n\r\n{}",
		"Content-Length: +2\r\n\r\n{}",
		"Content-Length: 0x2\r\n\r\n{}",
		"Content-Length: 2.0\r\n\r\n{}",
		"Content-Length: 2 2\r\n\r\n{}",
		"Content-Length:\r\n\r\n{}",
		"Content-Length: 18446744073709551616\r\n\r\n{}",
		"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"Content-Length: 2\r\nno colon\r\n\r\n{}",
		"Content-Type: text/plain\r\n\r\n{}",
		"Content-Type: x\r\nContent-Length : 2\r\n\r\n{}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_FRAMES(bad[i], "HEADER|");
	CHECK_FRAMES("Content-Length: 2\r\n\r\n{}\r\nContent-Length: 2\r\n\r\n{}", "{}|HEADER|");
}

/* A message whose headers have that many bytes, the empty line included. */
static void check_headers_of(size_t len, const char *expected)
{
	AUTO(buffer_fini) struct buffer text = BUFFER_INIT(10000);

	CHECK_INT(buffer_append_text(&text, "Content-Length: 2\r\nX-Fill: "), 0);
	while (buffer_len(&text) < len - 4)
		CHECK_INT(buffer_append_char(&text, 'x'), 0);
	CHECK_INT(buffer_append_text(&text, "\r\n\r\n{}"), 0);
	check_frames(__LINE__, buffer_at(&text), buffer_len(&text), expected);
}

TEST(headers_are_limited_in_total)
{
	check_headers_of(FRAMER_HEADERS_MAX, "{}|");
	check_headers_of(FRAMER_HEADERS_MAX + 1, "HEADER|");
	check_headers_of(FRAMER_HEADERS_MAX + 50, "HEADER|");
}

static bool is_mid_after(const char *bytes)
{
	start(MAX_BYTES);
	free(frames(bytes, strlen(bytes), 1000));
	return framer_is_mid_message(&framer, &in);
}

TEST(it_knows_when_a_client_stopped_in_the_middle)
{
	CHECK(!is_mid_after("\n"));
	CHECK(!is_mid_after("{}"));
	CHECK(!is_mid_after("{} \n "));
	CHECK(is_mid_after("{"));
	CHECK(is_mid_after("{}1"));
	CHECK(is_mid_after("{}}"));
	CHECK(!is_mid_after("{}}\n"));
	CHECK(is_mid_after("Cont"));
	CHECK(is_mid_after("Content-Length: 2\r\n"));
	CHECK(is_mid_after("Content-Length: 2\r\n\r\n"));
	CHECK(is_mid_after("Content-Length: 2\r\n\r\n{"));
	CHECK(!is_mid_after("Content-Length: 2\r\n\r\n{}"));
	CHECK(is_mid_after("Content-Length: 99\r\n\r\n{}"));
	buffer_fini(&in);
}

TEST(a_slow_writer_costs_each_byte_once)
{
	enum {
		LEN = 1 << 20
	};
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(2 * LEN);

	/* Byte by byte: were the text scanned again each time, this would take days. */
	start(LEN);
	CHECK_INT(buffer_append_char(&in, '"'), 0);
	for (int i = 2; i < LEN; i++) {
		CHECK_INT(buffer_append_char(&in, 'x'), 0);
		CHECK_INT(take(&out), FRAME_NONE);
	}
	CHECK_INT(buffer_append_char(&in, '"'), 0);
	CHECK_INT(take(&out), FRAME_MESSAGE);
	CHECK_INT(buffer_len(&out), LEN + 1);
	buffer_fini(&in);
}
