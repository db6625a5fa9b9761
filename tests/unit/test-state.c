/* SPDX-License-Identifier: MIT */
#include "platform/state.h"

#include <string.h>

#include "lib/test.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define OTHER_ID "7c9e6679-7425-40de-944b-e07fc1f90ae7"

static struct platform_reply reply_of(enum platform_verdict verdict, const char *body)
{
	struct platform_reply reply = { .verdict = verdict, .body = body };

	CHECK(json_parse(body, strlen(body), &reply.json, NULL) == 0);
	return reply;
}

static int parse(const char *body, struct state_answer *answer, struct error *err)
{
	struct platform_reply reply = reply_of(PLATFORM_OK, body);
	int r = state_parse(&reply, ID, answer, err);

	json_object_put(reply.json);
	return r;
}

TEST(a_state_is_read)
{
	struct state_answer answer;

	CHECK(parse("{\"workspace_id\":\"" ID "\",\"status\":\"online\",\"paused\":false,"
		    "\"deleted\":false}",
		    &answer, NULL) == 0);
	CHECK_TEXT(answer.status, "online");
	CHECK(!answer.paused);
}

TEST(paused_is_paused_however_it_is_said)
{
	struct state_answer answer;

	CHECK(parse("{\"status\":\"paused\"}", &answer, NULL) == 0);
	CHECK(answer.paused);
	CHECK(parse("{\"status\":\"paused\",\"paused\":false}", &answer, NULL) == 0);
	CHECK(answer.paused);
	CHECK(parse("{\"status\":\"holding\",\"paused\":true}", &answer, NULL) == 0);
	CHECK(answer.paused);
	CHECK(parse("{\"status\":\"online\",\"paused\":\"true\"}", &answer, NULL) == 0);
	CHECK(!answer.paused);
}

TEST(any_word_is_a_status_and_is_made_safe_to_show)
{
	struct state_answer answer;

	CHECK(parse("{\"status\":\"\\u001b[31mawaiting_agent_and_then_some_more_of_it_all\"}",
		    &answer, NULL) == 0);
	CHECK(!strchr(answer.status, '\033'));
	CHECK(strlen(answer.status) < sizeof(answer.status));
}

TEST(a_state_of_somebody_else_is_none)
{
	struct state_answer answer = { .status = "before" };
	struct error err = { 0 };

	CHECK(parse("{\"workspace_id\":\"" OTHER_ID "\",\"status\":\"online\"}", &answer, &err) <
	      0);
	CHECK_INT(err.kind, ERROR_PLATFORM);
	CHECK_TEXT(answer.status, "before");
}

TEST(an_id_in_upper_case_is_ours)
{
	struct state_answer answer;

	CHECK(parse("{\"workspace_id\":\"0F8FAD5B-D9CB-469F-A165-70867728950E\","
		    "\"status\":\"online\"}",
		    &answer, NULL) == 0);
}

TEST(an_answer_without_a_status_is_none)
{
	static const char *const odd[] = {
		"{}",
		"[]",
		"7",
		"{\"status\":\"\"}",
		"{\"status\":null}",
		"{\"status\":7}",
		"{\"status\":\"a\\u0000b\"}",
	};
	struct state_answer answer;
	struct error err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		CHECK(parse(odd[i], &answer, &err) < 0);
		CHECK_INT(err.kind, ERROR_PLATFORM);
	}
}

static enum state_finding judge(enum platform_verdict verdict, const char *body)
{
	struct platform_reply reply = reply_of(verdict, body);
	enum state_finding finding = state_judge(&reply, ID);

	json_object_put(reply.json);
	return finding;
}

TEST(an_inquiry_finds_who_lives_and_who_does_not)
{
	CHECK_INT(judge(PLATFORM_OK, "{\"id\":\"" ID "\",\"status\":\"offline\"}"), STATE_ALIVE);
	CHECK_INT(judge(PLATFORM_OK, "{\"id\":\"" ID "\",\"status\":\"removed\"}"), STATE_REMOVED);
	CHECK_INT(judge(PLATFORM_DELETED, "{}"), STATE_REMOVED);
	CHECK_INT(judge(PLATFORM_MISSING, "{\"error\":\"workspace not found\"}"), STATE_ABSENT);
}

TEST(an_answer_about_somebody_else_proves_nothing)
{
	CHECK_INT(judge(PLATFORM_OK, "{\"id\":\"" OTHER_ID "\",\"status\":\"removed\"}"),
		  STATE_UNCLEAR);
	CHECK_INT(judge(PLATFORM_OK, "{\"status\":\"removed\"}"), STATE_UNCLEAR);
	CHECK_INT(judge(PLATFORM_OK, "{\"id\":\"" ID "\"}"), STATE_UNCLEAR);
	CHECK_INT(judge(PLATFORM_OK, "[]"), STATE_UNCLEAR);
}

TEST(an_outage_proves_nothing)
{
	static const enum platform_verdict verdicts[] = { PLATFORM_DOWN, PLATFORM_UNAUTHORIZED,
							  PLATFORM_STRAY, PLATFORM_LIMITED,
							  PLATFORM_REJECTED };

	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++)
		CHECK_INT(judge(verdicts[i], "{\"id\":\"" ID "\",\"status\":\"removed\"}"),
			  STATE_UNCLEAR);
}
