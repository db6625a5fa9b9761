/* SPDX-License-Identifier: MIT */
#include "platform/delegate.h"

#include <stdio.h>
#include <string.h>

#include "lib/test.h"

#define A "11111111-1111-4111-8111-111111111111"
#define B "22222222-2222-4222-8222-222222222222"

static struct platform_reply reply_of(const char *body)
{
	struct platform_reply reply = { .verdict = PLATFORM_OK, .body = body };

	CHECK(json_parse(body, strlen(body), &reply.json, NULL) == 0);
	return reply;
}

/* What a list says of one: "STATUS PREVIEW ERROR", or "nothing". */
static const char *said(const char *list, const char *id)
{
	struct platform_reply reply = reply_of(list);
	struct delegate_row rows[8], sum;
	static char text[256];
	int n = delegate_rows(&reply, rows, ARRAY_LEN(rows));

	(void)snprintf(text, sizeof(text), "nothing");
	if (n >= 0 && delegate_rows_find(rows, (size_t)n, id, &sum))
		(void)snprintf(text, sizeof(text), "%s %s %s", delegate_status_name(sum.status),
			       sum.preview ? sum.preview : "-", sum.error ? sum.error : "-");
	json_object_put(reply.json);
	return text;
}

static const char *posted(const char *body)
{
	struct platform_reply reply = reply_of(body);
	enum delegate_status status;
	static char text[128];
	const char *id;

	(void)snprintf(text, sizeof(text), "nothing");
	if (delegate_posted(&reply, &id, &status))
		(void)snprintf(text, sizeof(text), "%s %s", id, delegate_status_name(status));
	json_object_put(reply.json);
	return text;
}

TEST(a_delegation_goes_by_what_the_platform_calls_it)
{
	CHECK_TEXT(posted("{\"delegation_id\":\"" A "\",\"status\":\"delegated\"}"),
		   A " delegated");
	CHECK_TEXT(posted("{\"delegation_id\":\"" A "\",\"status\":\"completed\","
			  "\"idempotent_hit\":true}"),
		   A " completed");
	/* It has left us, whatever it is called there. */
	CHECK_TEXT(posted("{\"delegation_id\":\"" A "\",\"status\":\"pending\"}"), A " delegated");
	CHECK_TEXT(posted("{\"delegation_id\":\"" A "\",\"status\":\"on its way\"}"),
		   A " delegated");
	CHECK_TEXT(posted("{\"delegation_id\":\"d-1\"}"), "d-1 delegated");
}

TEST(an_answer_without_an_id_says_nothing)
{
	CHECK_TEXT(posted("{\"status\":\"delegated\"}"), "nothing");
	CHECK_TEXT(posted("{\"delegation_id\":\"\",\"status\":\"delegated\"}"), "nothing");
	CHECK_TEXT(posted("{\"delegation_id\":7,\"status\":\"delegated\"}"), "nothing");
	CHECK_TEXT(posted("{\"delegation_id\":\"" A A "\"}"), "nothing");
	CHECK_TEXT(posted("[]"), "nothing");
}

TEST(two_rows_are_one_delegation)
{
	CHECK_TEXT(said("[{\"delegation_id\":\"" A "\",\"summary\":\"Delegation completed (ok)\","
			"\"status\":\"completed\",\"response_preview\":\"ok\"},"
			"{\"delegation_id\":\"" A "\",\"summary\":\"Delegating to x\","
			"\"status\":\"completed\"}]",
			A),
		   "completed ok -");
	CHECK_TEXT(said("[{\"delegation_id\":\"" A "\",\"status\":\"dispatched\"},"
			"{\"delegation_id\":\"" B "\",\"status\":\"failed\",\"error\":\"no\"}]",
			A),
		   "dispatched - -");
}

TEST(the_row_that_stays_queued_for_ever_counts_for_nothing)
{
	CHECK_TEXT(said("[{\"delegation_id\":\"" A "\",\"status\":\"completed\","
			"\"response_preview\":\"late\"},"
			"{\"delegation_id\":\"" A "\",\"status\":\"queued\",\"error\":\"busy\"}]",
			A),
		   "completed late -");
	CHECK_TEXT(said("[{\"delegation_id\":\"" A "\",\"status\":\"queued\"},"
			"{\"delegation_id\":\"" A "\",\"status\":\"dispatched\"}]",
			A),
		   "queued - -");
}

TEST(a_failure_is_told_by_the_row_that_has_the_id)
{
	CHECK_TEXT(said("[{\"summary\":\"Delegation failed\",\"status\":\"failed\","
			"\"error\":\"access denied\"},"
			"{\"delegation_id\":\"" A "\",\"status\":\"failed\","
			"\"error\":\"access denied\"}]",
			A),
		   "failed - access denied");
}

TEST(rows_of_others_and_odd_rows_are_passed_over)
{
	CHECK_TEXT(said("[]", A), "nothing");
	CHECK_TEXT(said("{\"delegations\":[]}", A), "nothing");
	CHECK_TEXT(said("[null,1,[],{},{\"delegation_id\":\"" A "\"},"
			"{\"delegation_id\":\"" A "\",\"status\":\"unknown\"},"
			"{\"delegation_id\":\"" A "\",\"status\":\"stuck\"}]",
			A),
		   "nothing");
	CHECK_TEXT(said("[{\"delegation_id\":\"" B "\",\"status\":\"completed\"}]", A), "nothing");
}

TEST(the_log_says_the_same_in_other_words)
{
	CHECK_TEXT(said("[{\"method\":\"delegate_result\",\"status\":\"completed\","
			"\"response_body\":{\"text\":\"well\",\"delegation_id\":\"" A "\"}},"
			"{\"method\":\"delegate\",\"status\":\"queued\",\"error_detail\":\"busy\","
			"\"request_body\":{\"task\":\"x\",\"delegation_id\":\"" A "\"}}]",
			A),
		   "completed well -");
	CHECK_TEXT(said("[{\"status\":\"failed\",\"error_detail\":\"no\","
			"\"request_body\":{\"delegation_id\":\"" A "\"},\"response_body\":\"?\"}]",
			A),
		   "failed - no");
}

TEST(more_rows_than_there_is_room_for_do_no_harm)
{
	struct platform_reply reply =
		reply_of("[{\"delegation_id\":\"" A "\",\"status\":\"queued\"},"
			 "{\"delegation_id\":\"" B "\",\"status\":\"queued\"}]");
	struct delegate_row rows[2];

	CHECK_INT(delegate_rows(&reply, rows, 2), 2);
	CHECK_INT(delegate_rows(&reply, rows, 1), 1);
	CHECK_INT(delegate_rows(&reply, rows, 0), 0);
	json_object_put(reply.json);
}

TEST(what_was_cut_in_the_middle_of_a_character_is_mended)
{
	struct {
		const char *text, *kept;
	} cases[] = {
		{ "", "" },
		{ "all of it", "all of it" },
		{ "caf\xc3\xa9...", "caf\xc3\xa9..." },
		{ "caf\xef\xbf\xbd...", "caf..." },
		{ "x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd...", "x..." },
		/* Not cut: it was said so. */
		{ "odd \xef\xbf\xbd", "odd \xef\xbf\xbd" },
		{ "\xef\xbf\xbd...", "..." },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *kept = delegate_text_dup(cases[i].text);

		CHECK_TEXT(kept, cases[i].kept);
		free(kept);
	}
}

TEST(what_is_kept_is_cut_at_whole_characters)
{
	char text[3 * DELEGATE_TEXT_MAX + 1], *kept;

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = "\xe2\x82\xac"[i % 3]; /* euros */
	text[sizeof(text) - 1] = '\0';

	kept = delegate_text_dup(text);
	CHECK(strlen(kept) <= DELEGATE_TEXT_MAX);
	CHECK(strlen(kept) > DELEGATE_TEXT_MAX - 6);
	CHECK_TEXT(kept + strlen(kept) - 6, "\xe2\x82\xac...");
	free(kept);

	text[DELEGATE_TEXT_MAX] = '\0';
	kept = delegate_text_dup(text);
	CHECK_TEXT(kept, text);
	free(kept);
}

TEST(a_request_is_measured_as_it_is_written)
{
	size_t plain, escaped;

	CHECK_INT(delegate_measure(A, "aaaa", 4, "k", &plain, NULL), 0);
	CHECK_INT(delegate_measure(A, "\n\n\n\n", 4, "k", &escaped, NULL), 0);
	CHECK_INT(plain, strlen("{\"target_id\":\"" A "\",\"task\":\"aaaa\",\"idempotency_key\":"
				"\"k\"}"));
	CHECK_INT(escaped, plain + 4);
}

TEST(every_status_has_a_name_of_its_own)
{
	enum delegate_status status;

	for (int i = 0; i <= DELEGATE_STATUS_LAST; i++) {
		CHECK(delegate_status_parse(delegate_status_name((enum delegate_status)i),
					    &status));
		CHECK_INT(status, i);
	}
	CHECK(!delegate_status_parse("stuck", &status));
	CHECK(!delegate_status_is_final(DELEGATE_QUEUED));
	CHECK(delegate_status_is_final(DELEGATE_UNKNOWN));
	CHECK(delegate_status_is_final(DELEGATE_FAILED));
	CHECK(delegate_status_is_final(DELEGATE_COMPLETED));
}
