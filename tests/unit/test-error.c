/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "lib/test.h"

TEST(a_sentence_can_name_the_cause)
{
	struct error err = { 0 };

	CHECK_INT(error_set(&err, ERROR_NOT_FOUND, ENOENT, "cannot open %s: %m", "x"), -ENOENT);
	CHECK_TEXT(err.text, "cannot open x: No such file or directory");
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_INT(err.errnum, ENOENT);
}

TEST(an_error_without_errno_is_still_negative)
{
	CHECK(error_set(NULL, ERROR_PLATFORM, 0, "nothing") < 0);
}

TEST(a_copy_says_the_same_and_is_as_negative)
{
	const struct error away = { .kind = ERROR_UNAVAILABLE, .http_status = 503, .text = "away" };
	struct error first = { 0 }, err = { 0 };

	(void)error_set(&first, ERROR_NOT_FOUND, ENOENT, "there is no such thing");
	CHECK_INT(error_copy(&err, &first), -ENOENT);
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_INT(err.errnum, ENOENT);
	CHECK_TEXT(err.text, first.text);

	CHECK_INT(error_copy(&err, &away), -EIO);
	CHECK_INT(err.http_status, 503);
	CHECK_INT(error_copy(NULL, &first), -ENOENT);
}

TEST(a_prefix_stands_before_the_sentence)
{
	struct error err = { 0 };

	(void)error_set(&err, ERROR_CONFIG, 0, "unknown key");
	error_prefix(&err, "%s:%d", "agentd.conf", 7);
	CHECK_TEXT(err.text, "agentd.conf:7: unknown key");
}

TEST(nobody_need_want_the_sentence)
{
	CHECK_INT(error_set(NULL, ERROR_CONFIG, EINVAL, "unknown key"), -EINVAL);
	error_prefix(NULL, "agentd.conf:%d", 7);
}

TEST(text_from_outside_is_cut_and_escaped)
{
	char small[12], large[64];

	CHECK_TEXT(error_quote(large, sizeof(large), "a\n\x1b[31m\xff", 8), "a\\x0a\\x1b[31m\\xff");
	CHECK_TEXT(error_quote(small, sizeof(small), "abcdefghijklmnop", 16), "abcdefgh...");
	CHECK_TEXT(error_quote(small, sizeof(small), "", 0), "");
	CHECK_TEXT(error_quote(large, sizeof(large), "a\\b\x7f", 4), "a\\x5cb\\x7f");
	CHECK_TEXT(error_show(large, sizeof(large), "a\\x0a\x1b\xff", 7), "a\\x0a??");
	CHECK_TEXT(error_show(small, sizeof(small), "abcdefghijklmnop", 16), "abcdefgh...");
	CHECK_TEXT(error_show(small, sizeof(small), "abcdefghijk", 11), "abcdefghijk");
}

TEST(text_from_outside_may_be_in_any_language)
{
	static const char name[] = "Zo\xc3\xab \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80";
	static const char turned[] = "a\xe2\x80\xae"
				     "b\xc2\x9b"
				     "c\xef\xbb\xbf";
	char large[64], small[12];

	CHECK_TEXT(error_quote(large, sizeof(large), name, strlen(name)), name);
	CHECK_TEXT(error_show(large, sizeof(large), name, strlen(name)), name);
	CHECK_TEXT(error_quote(small, sizeof(small), name, strlen(name)),
		   "Zo\xc3\xab \xe6\x97\xa5...");
	CHECK_TEXT(error_show(small, sizeof(small), name, strlen(name)),
		   "Zo\xc3\xab \xe6\x97\xa5...");

	/* What turns the direction of writing, a control, a byte order mark; half a character. */
	CHECK_TEXT(error_quote(large, sizeof(large), turned, strlen(turned)),
		   "a\\xe2\\x80\\xaeb\\xc2\\x9bc\\xef\\xbb\\xbf");
	CHECK_TEXT(error_show(large, sizeof(large), turned, strlen(turned)), "a???b??c???");
	CHECK_TEXT(error_quote(large, sizeof(large), "a\xe2\x80\x8b", 4), "a\\xe2\\x80\\x8b");
	CHECK_TEXT(error_quote(large, sizeof(large), "\xe6\x97", 2), "\\xe6\\x97");
	CHECK_TEXT(error_show(large, sizeof(large), "\xe6\x97", 2), "??");
}

TEST(every_kind_has_a_name_and_codes_go_there_and_back)
{
	for (int kind = ERROR_PARSE; kind < ERROR_CONFIG; kind++) {
		enum error_kind k = (enum error_kind)kind;

		CHECK(error_name(k) && error_name(k)[0]);
		CHECK(error_exit_status(k) > 0);
		CHECK_INT(error_from_code(error_code(k)), kind);
	}
	CHECK_INT(error_from_code(-1), ERROR_INTERNAL);
}

TEST(the_same_call_is_worth_repeating_when_something_says_so)
{
	CHECK(error_is_retryable(&(struct error){ .kind = ERROR_UNAVAILABLE }));
	CHECK(!error_is_retryable(&(struct error){ .kind = ERROR_FORBIDDEN, .retry_after_ms = 1 }));
	CHECK(!error_is_retryable(&(struct error){ .kind = ERROR_PAUSED }));
	CHECK(error_is_retryable(&(struct error){ .kind = ERROR_PAUSED, .retry_after_ms = 1 }));
	CHECK(!error_is_retryable(&(struct error){ .kind = ERROR_PLATFORM, .http_status = 404 }));
	CHECK(error_is_retryable(&(struct error){ .kind = ERROR_PLATFORM, .http_status = 502 }));
	CHECK(!error_is_retryable(&(struct error){
		.kind = ERROR_UNKNOWN_OUTCOME, .http_status = 502, .retry_after_ms = 1 }));
}
