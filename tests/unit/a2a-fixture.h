/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Replies to a call to bob, and what holds for whatever is read from one.
 */

#include <string.h>

#include "agent/a2a-answer.h"
#include "lib/test.h"

#define NOW_S 1795176000 /* Fri, 20 Nov 2026 12:00:00 GMT */
#define TOKEN "tok_very_secret"

/* JSON in C is hard to read: here its quotes are single. */
static inline char *json(const char *text)
{
	char *copy = test_keep(strdup(text));

	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	return copy;
}

static inline struct a2a_question question_of(enum a2a_route route)
{
	return (struct a2a_question){
		.route = route,
		.peer = "bob",
		.platform = "platform.test",
		.token = TOKEN,
		.max_body = 1000,
		.timeout_ms = 30000,
		.now_s = NOW_S,
		.rest_max_ms = 60000,
	};
}

/* What holds for every answer. */
static inline struct a2a_answer read_it(const struct a2a_question *question,
					const struct http_result *result)
{
	struct a2a_answer answer;

	a2a_answer_read(&answer, question, result);
	CHECK((answer.kind == A2A_FAILED || answer.kind == A2A_WRONG_VERSION) ==
	      (answer.err.kind != ERROR_NONE));
	CHECK((answer.err.kind != ERROR_NONE) == !!answer.err.text[0]);
	CHECK((answer.kind == A2A_ANSWERED) == !!answer.response.len);
	CHECK((answer.kind == A2A_TASK_WORKING) == !!answer.task_id[0]);
	CHECK(!answer.text.len || answer.kind == A2A_ANSWERED);
	CHECK(!answer.may_fall_back || question->route == A2A_DIRECT);
	CHECK(!answer.may_fall_back || answer.kind == A2A_FAILED);
	CHECK(!strstr(answer.err.text, TOKEN));
	return answer;
}

static inline struct http_result reply_of(int status, const char *body)
{
	char *text = json(body);

	return (struct http_result){
		.outcome = HTTP_ANSWERED,
		.sent = true,
		.status = status,
		.content_type = "application/json",
		.body = text,
		.body_len = strlen(text),
	};
}

static inline struct a2a_answer read_reply(enum a2a_route route, int status, const char *body)
{
	struct a2a_question question = question_of(route);
	struct http_result result = reply_of(status, body);

	return read_it(&question, &result);
}

static inline void check_failed(const struct a2a_answer *answer, enum error_kind kind,
				const char *why)
{
	CHECK_INT(answer->kind, A2A_FAILED);
	CHECK_TEXT(error_name(answer->err.kind), error_name(kind));
	CHECK_TEXT(json(answer->err.text), json(why));
}

#define CHECK_FAILED(route, status, body, kind, why)                               \
	do {                                                                       \
		struct a2a_answer _answer = read_reply(route, status, body);       \
		check_failed(&_answer, kind, why);                                 \
		CHECK_INT(_answer.err.http_status, (status) < 300 ? 0 : (status)); \
	} while (0)
