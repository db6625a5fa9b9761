/* SPDX-License-Identifier: MIT */
#include "agent/a2a-answer.h"

#include <stdio.h>

#include "a2a-fixture.h"
#include "base/util.h"

TEST(how_long_to_wait_is_in_the_header_or_in_the_json)
{
	struct a2a_question question = question_of(A2A_PROXY);
	struct http_result result = reply_of(503, "{'busy':true,'error':'busy','retry_after':7}");

	CHECK_INT(read_it(&question, &result).err.retry_after_ms, 7000);
	result.retry_after = "30";
	CHECK_INT(read_it(&question, &result).err.retry_after_ms, 30000);
	result.retry_after = "Fri, 20 Nov 2026 12:00:09 GMT";
	CHECK_INT(read_it(&question, &result).err.retry_after_ms, 9000);
	result.retry_after = "99999";
	CHECK_INT(read_it(&question, &result).err.retry_after_ms, 60000);
	result.retry_after = "soon";
	CHECK_INT(read_it(&question, &result).err.retry_after_ms, 7000);

	result = reply_of(503, "{'busy':true,'retry_after':-1}");
	CHECK_INT(read_it(&question, &result).err.retry_after_ms, 0);
	result = reply_of(503, "{'busy':true,'retry_after':1e18}");
	CHECK_INT(read_it(&question, &result).err.retry_after_ms, 60000);

	question = question_of(A2A_DIRECT);
	result = reply_of(429, "");
	result.retry_after = "3";
	CHECK_INT(read_it(&question, &result).err.retry_after_ms, 3000);
}

TEST(the_platform_does_not_take_our_token)
{
	CHECK_FAILED(A2A_PROXY, 401, "{'error':'invalid caller auth token'}", ERROR_UNAUTHORIZED,
		     "cannot call bob: the platform does not accept the token ('invalid caller "
		     "auth token')");
	CHECK_FAILED(A2A_PROXY, 401, "{'error':'missing caller auth token'}", ERROR_UNAUTHORIZED,
		     "cannot call bob: the platform does not accept the token ('missing caller "
		     "auth token')");
	CHECK_FAILED(A2A_PROXY, 401, "who?", ERROR_PLATFORM,
		     "cannot call bob: platform.test refuses the request, and not as the platform "
		     "does (HTTP 401); check platform_url, org_id and origin");
}

TEST(the_platform_does_not_let_them_talk)
{
	CHECK_FAILED(A2A_PROXY, 403,
		     "{'error':'access denied: workspaces cannot communicate per hierarchy rules'}",
		     ERROR_NOT_PERMITTED,
		     "cannot call bob: the platform's hierarchy does not let these two talk "
		     "('access denied: workspaces cannot communicate per hierarchy rules')");
	CHECK_FAILED(A2A_PROXY, 403, "{'error':'invalid caller ID'}", ERROR_PLATFORM,
		     "cannot call bob: the platform does not take our id ('invalid caller ID')");
	CHECK_FAILED(A2A_PROXY, 403, "", ERROR_PLATFORM,
		     "cannot call bob: platform.test refuses the request, and not as the platform "
		     "does (HTTP 403); check platform_url, org_id and origin");
}

TEST(the_peers_budget_is_spent)
{
	CHECK_FAILED(A2A_PROXY, 402, "{'error':'workspace budget limit exceeded'}", ERROR_BUDGET,
		     "cannot call bob: its budget is spent ('workspace budget limit exceeded')");
}

TEST(the_platform_does_not_know_the_peer)
{
	CHECK_FAILED(A2A_PROXY, 404, "{'error':'workspace not found'}", ERROR_NOT_FOUND,
		     "cannot call bob: the platform has no such workspace ('workspace not "
		     "found')");
	CHECK_FAILED(A2A_PROXY, 410, "{'error':'workspace removed','id':'x'}", ERROR_NOT_FOUND,
		     "cannot call bob: it was deleted on the platform ('workspace removed')");
	CHECK_FAILED(A2A_PROXY, 404, "", ERROR_PLATFORM,
		     "cannot call bob: platform.test refuses the request, and not as the platform "
		     "does (HTTP 404); check platform_url, org_id and origin");
}

TEST(the_platform_cannot_reach_the_peer)
{
	CHECK_FAILED(A2A_PROXY, 502, "{'error':'failed to reach workspace agent'}",
		     ERROR_UNAVAILABLE,
		     "cannot call bob: the platform does not reach it ('failed to reach workspace "
		     "agent')");
	CHECK_FAILED(A2A_PROXY, 502, "{'error':'workspace URL is not publicly routable'}",
		     ERROR_UNAVAILABLE,
		     "cannot call bob: its address is one that the platform does not call "
		     "('workspace URL is not publicly routable')");
	CHECK_FAILED(A2A_PROXY, 503, "{'error':'workspace has no URL','status':'paused'}",
		     ERROR_UNAVAILABLE,
		     "cannot call bob: it has no address at the platform now ('workspace has no "
		     "URL')");
	CHECK_FAILED(A2A_PROXY, 500, "{'error':'lookup failed'}", ERROR_UNAVAILABLE,
		     "cannot call bob: the platform cannot look it up ('lookup failed')");
}

TEST(a_peer_that_is_asleep_or_restarting_did_nothing)
{
	CHECK_FAILED(A2A_PROXY, 503, "{'error':'dead','restarting':true}", ERROR_UNAVAILABLE,
		     "cannot call bob: it is being restarted ('dead')");
	CHECK_FAILED(A2A_PROXY, 503, "{'error':'asleep','waking':true,'retry_after':15}",
		     ERROR_UNAVAILABLE, "cannot call bob: it is being woken up ('asleep')");
}

TEST(a_peer_that_is_busy_may_have_acted)
{
	CHECK_FAILED(A2A_PROXY, 503, "{'busy':true,'error':'busy'}", ERROR_UNKNOWN_OUTCOME,
		     "the call to bob has no known outcome: it is busy, or went away with the "
		     "message; it may have acted on it ('busy')");
	CHECK_FAILED(A2A_PROXY, 503, "{'busy':true,'native_session':true}", ERROR_UNKNOWN_OUTCOME,
		     "the call to bob has no known outcome: it is busy, or went away with the "
		     "message; it may have acted on it");
}

TEST(a_delivery_whose_answer_is_lost_has_no_known_outcome)
{
	CHECK_FAILED(A2A_PROXY, 502,
		     "{'error':'failed to read agent response','delivery_confirmed':true}",
		     ERROR_UNKNOWN_OUTCOME,
		     "the call to bob has no known outcome: the platform delivered it and lost "
		     "the answer; the peer may have acted on it ('failed to read agent response')");
	CHECK_INT(read_reply(A2A_PROXY, 502, "{'delivery_confirmed':true}").err.kind,
		  ERROR_UNKNOWN_OUTCOME);
	CHECK_INT(read_reply(A2A_PROXY, 502,
			     "{'error':'failed to read agent response',"
			     "'delivery_confirmed':false}")
			  .err.kind,
		  ERROR_UNKNOWN_OUTCOME);
}

TEST(a_platform_that_breaks_down_may_have_delivered)
{
	static const char why[] = "the call to bob has no known outcome: platform.test broke down "
				  "over it (HTTP %d); the peer may have acted on it";
	static const int statuses[] = { 500, 502, 504, 524 };
	char text[ERROR_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		(void)snprintf(text, sizeof(text), why, statuses[i]);
		CHECK_FAILED(A2A_PROXY, statuses[i], "bad gateway", ERROR_UNKNOWN_OUTCOME, text);
	}
	CHECK_FAILED(A2A_PROXY, 503, "", ERROR_UNAVAILABLE,
		     "cannot call bob: platform.test is not in service (HTTP 503)");
	CHECK_FAILED(A2A_PROXY, 429, "", ERROR_RATE_LIMITED,
		     "cannot call bob: platform.test asks for fewer requests (HTTP 429)");
	CHECK_FAILED(A2A_PROXY, 301, "", ERROR_PLATFORM,
		     "cannot call bob: platform.test redirects elsewhere (HTTP 301); set "
		     "platform_url to where the platform is now");
}

TEST(what_the_agent_refused_is_its_own_behind_the_platform_too)
{
	CHECK_FAILED(A2A_PROXY, 400, "{'error':'Bad Request'}", ERROR_PEER,
		     "cannot call bob: it answered with HTTP 400 ('Bad Request')");
	CHECK_FAILED(A2A_PROXY, 400, "{'error':'invalid JSON'}", ERROR_PLATFORM,
		     "cannot call bob: the platform cannot read the request ('invalid JSON')");
	CHECK_FAILED(A2A_PROXY, 401, "{'error':'Unauthorized'}", ERROR_PEER,
		     "cannot call bob: it answered with HTTP 401 ('Unauthorized')");
	CHECK_FAILED(A2A_PROXY, 402, "{'error':'Payment Required'}", ERROR_PEER,
		     "cannot call bob: it answered with HTTP 402 ('Payment Required')");
	CHECK_FAILED(A2A_PROXY, 403, "{'error':'Forbidden'}", ERROR_PEER,
		     "cannot call bob: it answered with HTTP 403 ('Forbidden')");
	CHECK_FAILED(A2A_PROXY, 404, "{'error':'Not Found'}", ERROR_PEER,
		     "cannot call bob: it answered with HTTP 404 ('Not Found')");
	CHECK_FAILED(A2A_PROXY, 429, "{'error':'Too Many Requests'}", ERROR_RATE_LIMITED,
		     "cannot call bob: it asks for fewer requests (HTTP 429) ('Too Many "
		     "Requests')");
	CHECK_FAILED(A2A_PROXY, 500, "{'error':'Internal Server Error'}", ERROR_PEER,
		     "cannot call bob: it answered with HTTP 500 ('Internal Server Error')");
	CHECK_FAILED(A2A_PROXY, 502, "{'error':'Bad Gateway'}", ERROR_PEER,
		     "cannot call bob: it answered with HTTP 502 ('Bad Gateway')");
	CHECK_FAILED(A2A_PROXY, 302, "{'error':'Found'}", ERROR_PEER,
		     "cannot call bob: it redirects elsewhere (HTTP 302), and redirects are not "
		     "followed");
	CHECK_FAILED(A2A_PROXY, 418, "{}", ERROR_PEER,
		     "cannot call bob: it answered with HTTP 418");
}

TEST(what_others_say_is_quoted_and_never_our_token)
{
	struct a2a_question question = question_of(A2A_PROXY);
	struct http_result result = reply_of(400, "{'error':'bad " TOKEN "!'}");
	struct a2a_answer answer;

	answer = read_it(&question, &result);
	check_failed(&answer, ERROR_PEER, "cannot call bob: it answered with HTTP 400");

	question.peer = "b\nob\xff";
	answer = read_it(&question, &result);
	check_failed(&answer, ERROR_PEER, "cannot call b\\x0aob\\xff: it answered with HTTP 400");
}
