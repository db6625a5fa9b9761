/* SPDX-License-Identifier: MIT */
/*
 * The bytes as a reply to a call: the first two say how it came, the rest is
 * the body. Whatever it is, it has one meaning, a failure has a sentence that
 * can be shown, and what is given on is JSON on one line.
 */

#include <string.h>

#include "agent/a2a-answer.h"
#include "base/jsonscan.h"
#include "fuzz.h"

/* By the first byte; the corpus spells the first as '0', the second as '1', and so on. */
static const int statuses[16] = { 200, 202, 204, 302, 400, 401, 402, 403,
				  404, 410, 429, 500, 502, 503, 504, 413 };
/* By the second byte's low bits. */
static const char *const types[4] = { "application/json", "text/event-stream", "text/html", "" };

#define IS_PROXY 0x04
#define IS_POLL 0x08

static void check_failure(const struct a2a_question *question, const struct a2a_answer *answer)
{
	bool failed = answer->kind == A2A_FAILED || answer->kind == A2A_WRONG_VERSION;

	REQUIRE(failed == (answer->err.kind != ERROR_NONE));
	REQUIRE(failed == !!answer->err.text[0]);
	REQUIRE(!strstr(answer->err.text, question->token));
	require_shown(answer->err.text);

	REQUIRE(answer->err.retry_after_ms >= 0 &&
		answer->err.retry_after_ms <= question->rest_max_ms);
	REQUIRE(!answer->may_fall_back || (question->route == A2A_DIRECT && !question->is_poll));
	REQUIRE(!answer->may_poll_again || question->is_poll);
	REQUIRE(answer->kind != A2A_WRONG_VERSION || question->route == A2A_DIRECT);
	/* Nothing that was asked of a task unsays that the message was delivered. */
	if (question->is_poll && failed)
		REQUIRE(answer->err.kind == ERROR_UNKNOWN_OUTCOME ||
			answer->err.kind == ERROR_PEER);
}

static void check_written(const struct a2a_answer *answer,
			  int (*write)(const struct a2a_answer *answer, struct buffer *out))
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(SIZE_MAX / 4);

	REQUIRE(write(answer, &out) == 0);
	REQUIRE(!memchr(buffer_at(&out), '\n', buffer_len(&out)));
	REQUIRE(json_check(buffer_at(&out), buffer_len(&out), JSON_DEPTH_MAX - 2, JSON_VALUES_MAX,
			   NULL) == 0);
	if (write == a2a_answer_write_text && answer->text.len)
		REQUIRE(!memmem(buffer_at(&out), buffer_len(&out), "\\u0000", 6) ||
			memmem(buffer_at(&out), buffer_len(&out), "\\\\u0000", 7));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct a2a_question question = {
		.peer = "bob",
		.platform = "platform.test",
		.token = "tok_1",
		.max_body = 1 << 20,
		.timeout_ms = 30000,
		.now_s = 1795176000,
		.rest_max_ms = 60000,
	};
	struct http_result result = { .outcome = HTTP_ANSWERED, .sent = true };
	struct a2a_answer answer;
	char *body;

	if (len < 2)
		return 0;

	body = malloc(len - 1);
	REQUIRE(body);
	memcpy(body, bytes + 2, len - 2);
	body[len - 2] = '\0';

	question.route = bytes[1] & IS_PROXY ? A2A_PROXY : A2A_DIRECT;
	question.is_poll = bytes[1] & IS_POLL;
	result.status = statuses[bytes[0] % 16];
	result.content_type = types[bytes[1] % 4];
	result.body = body;
	result.body_len = len - 2;
	result.retry_after = len > 2 && len < 40 ? body : NULL;

	a2a_answer_read(&answer, &question, &result);
	check_failure(&question, &answer);
	REQUIRE((answer.kind == A2A_ANSWERED) == !!answer.response.len);
	REQUIRE((answer.kind == A2A_TASK_WORKING) == !!answer.task_id[0]);
	REQUIRE(!answer.text.len || answer.kind == A2A_ANSWERED);
	check_written(&answer, a2a_answer_write_text);
	check_written(&answer, a2a_answer_write_response);
	a2a_answer_fini(&answer);
	free(body);
	return 0;
}
