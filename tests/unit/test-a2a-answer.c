/* SPDX-License-Identifier: MIT */
#include "agent/a2a-answer.h"

#include "a2a-fixture.h"
#include "base/util.h"

static char *written(const struct a2a_answer *answer,
		     int (*write)(const struct a2a_answer *answer, struct buffer *out))
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1 << 20);

	CHECK(write(answer, &out) == 0);
	return test_keep(buffer_take_text(&out));
}

static struct a2a_answer read_outcome(enum a2a_route route, enum http_outcome outcome, bool sent)
{
	struct a2a_question question = question_of(route);
	struct http_result result = {
		.outcome = outcome, .sent = sent, .body = "", .content_type = "", .why = "why not"
	};

	return read_it(&question, &result);
}

TEST(an_answer_is_the_same_on_both_ways)
{
	for (enum a2a_route route = A2A_DIRECT; route <= A2A_PROXY; route++) {
		struct a2a_answer answer = read_reply(route, 200,
						      "{'jsonrpc':'2.0','id':'r','result':{'parts':"
						      "[{'text':'pong'}]}}");

		CHECK_INT(answer.kind, A2A_ANSWERED);
		CHECK_TEXT(written(&answer, a2a_answer_write_text), "\"pong\"");
		CHECK_TEXT(written(&answer, a2a_answer_write_response),
			   json("{'jsonrpc':'2.0','id':'r','result':{'parts':"
				"[{'text':'pong'}]}}"));
		a2a_answer_fini(&answer);
	}
}

TEST(the_response_is_untouched_but_for_the_space_between)
{
	struct a2a_answer answer =
		read_reply(A2A_DIRECT, 200,
			   " {\r\n\t'result' : {'a b':[1.0, 1e400 ,12345678901234567890123],\n"
			   "'\\ud800 \\'' : '\\u0000'} }\n");

	CHECK_INT(answer.kind, A2A_ANSWERED);
	CHECK_TEXT(written(&answer, a2a_answer_write_text), "null");
	CHECK_TEXT(written(&answer, a2a_answer_write_response),
		   json("{'result':{'a b':[1.0,1e400,12345678901234567890123],"
			"'\\ud800 \\'':'\\u0000'}}"));
}

TEST(a_text_is_repaired)
{
	struct a2a_answer answer = read_reply(
		A2A_DIRECT, 200, "{'result':'a\\u0000b\\ud83dc \\ud83d\\ude00 \\n\\u00e9'}");

	CHECK_TEXT(written(&answer, a2a_answer_write_text), "\"a\xef\xbf\xbd"
							    "b\xef\xbf\xbd"
							    "c \xf0\x9f\x98\x80 \\n\xc3\xa9\"");

	answer = read_reply(A2A_DIRECT, 200, "{'result':''}");
	CHECK_TEXT(written(&answer, a2a_answer_write_text), "\"\"");
	answer = read_reply(A2A_DIRECT, 200, "{'result':'\\u0000\\u0000'}");
	CHECK_TEXT(written(&answer, a2a_answer_write_text), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(a_task_that_works_is_to_be_asked_about)
{
	struct a2a_answer answer =
		read_reply(A2A_PROXY, 200,
			   "{'result':{'kind':'task','id':'t1','status':{'state':'working'}}}");

	CHECK_INT(answer.kind, A2A_TASK_WORKING);
	CHECK_TEXT(answer.task_id, "t1");
}

TEST(a_202_is_never_an_answer)
{
	struct a2a_answer answer =
		read_reply(A2A_PROXY, 202, "{'queued':true,'queue_id':'q1','queue_depth':1}");

	CHECK_INT(answer.kind, A2A_QUEUED);
	CHECK_TEXT(answer.queue_id, "q1");
	CHECK_INT(read_reply(A2A_DIRECT, 202, "").kind, A2A_QUEUED);
	CHECK_INT(read_reply(A2A_DIRECT, 202, "accepted").kind, A2A_QUEUED);
	CHECK_INT(read_reply(A2A_DIRECT, 202, "{}").kind, A2A_QUEUED);
	/* Unless it says that it is. */
	CHECK_INT(read_reply(A2A_DIRECT, 202, "{'result':'pong'}").kind, A2A_ANSWERED);
}

TEST(a_peer_that_polls_is_queued_for)
{
	struct a2a_answer answer = read_reply(
		A2A_PROXY, 200, "{'status':'queued','delivery_mode':'poll','method':'x'}");

	CHECK_INT(answer.kind, A2A_QUEUED);
	CHECK_TEXT(answer.queue_id, "");
	answer = read_reply(A2A_PROXY, 200,
			    "{'status':'queued','queued':true,'queue_id':'q\\u0000'}");
	CHECK_INT(answer.kind, A2A_QUEUED);
	CHECK_TEXT(answer.queue_id, "");
}

TEST(a_stream_is_read_whatever_its_type_says)
{
	struct a2a_question question = question_of(A2A_PROXY);
	struct http_result result =
		reply_of(200, "data: {'result':{'kind':'status-update','taskId':'t','status':"
			      "{'state':'working'}}}\n\ndata: {'result':\ndata: 'pong'}\n\n");
	struct a2a_answer answer = read_it(&question, &result);

	CHECK_INT(answer.kind, A2A_ANSWERED);
	CHECK_TEXT(written(&answer, a2a_answer_write_text), "\"pong\"");
	CHECK_TEXT(written(&answer, a2a_answer_write_response), json("{'result':'pong'}"));
	a2a_answer_fini(&answer);

	result = reply_of(200, "{'result':'pong'}");
	result.content_type = "text/event-stream";
	answer = read_it(&question, &result);
	CHECK_INT(answer.kind, A2A_ANSWERED);
	a2a_answer_fini(&answer);

	CHECK_FAILED(A2A_DIRECT, 200, ": ping\n\n", ERROR_PEER,
		     "cannot call bob: it answered with a stream of events that has no reply");
}

TEST(a_json_rpc_error_is_the_peers)
{
	CHECK_FAILED(A2A_DIRECT, 200,
		     "{'jsonrpc':'2.0','id':'r','error':{'code':-32603,'message':'boom'}}",
		     ERROR_PEER, "cannot call bob: it answered with the error -32603 ('boom')");
	CHECK_FAILED(A2A_PROXY, 200, "{'error':{'code':-32001}}", ERROR_PEER,
		     "cannot call bob: it answered with the error -32001");
	CHECK_FAILED(A2A_DIRECT, 200, "{'error':'out of order'}", ERROR_PEER,
		     "cannot call bob: it answered with an error ('out of order')");
	CHECK_FAILED(A2A_DIRECT, 200, "{'error':{'message':'a\\u0007\\u00e9'}}", ERROR_PEER,
		     "cannot call bob: it answered with an error ('a\\x07\xc3\xa9')");
}

TEST(a_json_rpc_error_counts_more_than_its_status)
{
	struct a2a_answer answer =
		read_reply(A2A_DIRECT, 500, "{'jsonrpc':'2.0','id':'r','error':{'code':-32603}}");

	check_failed(&answer, ERROR_PEER, "cannot call bob: it answered with the error -32603");
	CHECK(!answer.may_fall_back);
	CHECK_INT(answer.err.http_status, 500);
	CHECK_INT(read_reply(A2A_DIRECT, 404, "{'error':{'code':-32601}}").kind, A2A_WRONG_VERSION);
}

TEST(a_peer_of_the_other_version_says_so)
{
	struct a2a_question question = question_of(A2A_DIRECT);
	struct http_result result =
		reply_of(200, "{'error':{'code':-32601,'message':'Method not found'}}");
	struct a2a_answer answer = read_it(&question, &result);

	CHECK_INT(answer.kind, A2A_WRONG_VERSION);
	CHECK_INT(answer.err.kind, ERROR_PEER);
	CHECK_TEXT(answer.err.text, json("cannot call bob: it answered with the error -32601 "
					 "('Method not found')"));
	CHECK_INT(read_reply(A2A_DIRECT, 200, "{'error':{'code':-32009}}").kind, A2A_WRONG_VERSION);

	/* Which version, a header says, and that does not go through the platform. */
	CHECK_INT(read_reply(A2A_PROXY, 200, "{'error':{'code':-32601}}").kind, A2A_FAILED);

	question.is_poll = true;
	answer = read_it(&question, &result);
	CHECK_INT(answer.kind, A2A_FAILED);
	CHECK_INT(answer.err.kind, ERROR_PEER);
}

TEST(what_is_no_reply_is_the_peers_error)
{
	CHECK_FAILED(A2A_DIRECT, 200, "{'ok':true}", ERROR_PEER,
		     "cannot call bob: it answered with JSON that is no A2A reply");
	CHECK_FAILED(A2A_DIRECT, 200, "", ERROR_PEER,
		     "cannot call bob: its answer is empty (HTTP 200)");
	CHECK_FAILED(A2A_DIRECT, 204, "", ERROR_PEER,
		     "cannot call bob: its answer is empty (HTTP 204)");
	CHECK_FAILED(A2A_PROXY, 200, "{'result':'po", ERROR_PEER,
		     "cannot call bob: its answer is not JSON: the JSON text breaks off at byte "
		     "13");
	CHECK_FAILED(A2A_DIRECT, 200, "{'result':'\xff'}", ERROR_PEER,
		     "cannot call bob: its answer is not JSON: the JSON text is wrong at byte 11");
	CHECK_FAILED(A2A_DIRECT, 200, "{'result':{'a\\u0000':1}}", ERROR_PEER,
		     "cannot call bob: its answer is not JSON: a member's name holds a NUL");
}

/* An array of that many zeros, that many levels down. */
static char *array_of(size_t n, size_t depth)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1 << 20);

	(void)buffer_append_text(&out, "{'result':");
	for (size_t i = 0; i < depth; i++)
		(void)buffer_append_char(&out, '[');
	for (size_t i = 0; i < n; i++)
		(void)buffer_append_text(&out, i ? ",0" : "0");
	for (size_t i = 0; i < depth; i++)
		(void)buffer_append_char(&out, ']');
	(void)buffer_append_char(&out, '}');
	CHECK(!out.failed);
	return test_keep(buffer_take_text(&out));
}

TEST(a_byte_order_mark_is_not_a_part_of_the_answer)
{
	struct a2a_answer answer = read_reply(A2A_DIRECT, 200, "\xef\xbb\xbf {'result':'pong'}");

	CHECK_INT(answer.kind, A2A_ANSWERED);
	CHECK_TEXT(written(&answer, a2a_answer_write_response), json("{'result':'pong'}"));

	answer = read_reply(A2A_PROXY, 200,
			    "\xef\xbb\xbf"
			    "data: {'result':'pong'}\n\n");
	CHECK_INT(answer.kind, A2A_ANSWERED);
	CHECK_TEXT(written(&answer, a2a_answer_write_text), "\"pong\"");
	a2a_answer_fini(&answer);

	/* One is a mark, two are not, and a part of one is none. */
	CHECK_INT(read_reply(A2A_DIRECT, 200, "\xef\xbb\xbf\xef\xbb\xbf{'result':1}").kind,
		  A2A_FAILED);
	CHECK_INT(read_reply(A2A_DIRECT, 200, "\xef\xbb{'result':1}").kind, A2A_FAILED);
	CHECK_INT(read_reply(A2A_DIRECT, 200, "\xef\xbb\xbf").kind, A2A_FAILED);
}

/* Of a reply that ended with its connection. */
static struct a2a_answer read_unframed(int status, const char *content_type, const char *body)
{
	struct a2a_question question = question_of(A2A_DIRECT);
	struct http_result result = reply_of(status, body);

	result.unframed = true;
	result.content_type = content_type;
	return read_it(&question, &result);
}

TEST(a_reply_without_a_length_counts_when_it_is_whole)
{
	static const char broken[] =
		"the call to bob has no known outcome: it was sent, and the answer is not whole "
		"(it ended with the connection); the peer may have acted on it";
	static const char *const parts[][2] = {
		{ "application/json", "" },
		{ "application/json", "{'result':'po" },
		{ "text/event-stream", "data: {'result':'po" },
		{ "text/event-stream", "" },
	};
	struct a2a_answer answer;

	answer = read_unframed(200, "application/json", "{'result':'pong'}");
	CHECK_INT(answer.kind, A2A_ANSWERED);
	answer = read_unframed(200, "text/event-stream", "data: {'result':'pong'}\n\n");
	CHECK_INT(answer.kind, A2A_ANSWERED);
	a2a_answer_fini(&answer);
	answer = read_unframed(202, "application/json", "{'queued':tr");
	CHECK_INT(answer.kind, A2A_QUEUED);

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		answer = read_unframed(200, parts[i][0], parts[i][1]);
		check_failed(&answer, ERROR_UNKNOWN_OUTCOME, broken);
		CHECK(!answer.may_fall_back);
		a2a_answer_fini(&answer);
	}
	answer = read_unframed(200, "text/html", "<html>");
	CHECK(answer.err.kind == ERROR_PEER);
}

TEST(an_answer_has_a_limit_of_values_and_levels)
{
	CHECK_INT(read_reply(A2A_DIRECT, 200, array_of(64998, 1)).kind, A2A_ANSWERED);
	CHECK_FAILED(A2A_DIRECT, 200, array_of(64999, 1), ERROR_TOO_LARGE,
		     "cannot call bob: its answer is too large: the JSON text has more than 65000 "
		     "values");
	CHECK_INT(read_reply(A2A_DIRECT, 200, array_of(1, 61)).kind, A2A_ANSWERED);
	CHECK_FAILED(A2A_DIRECT, 200, array_of(1, 62), ERROR_PEER,
		     "cannot call bob: its answer is not JSON: the JSON text is nested deeper than "
		     "62 levels at byte 71");
}

TEST(a_web_page_is_the_peers_or_comes_before_the_platform)
{
	struct http_result result = reply_of(200, "<html>log in</html>");
	struct a2a_question question = question_of(A2A_DIRECT);
	struct a2a_answer answer;

	result.content_type = "text/html; charset=utf-8";
	answer = read_it(&question, &result);
	check_failed(&answer, ERROR_PEER,
		     "cannot call bob: bob answered with a web page (HTTP 200)");

	question = question_of(A2A_PROXY);
	answer = read_it(&question, &result);
	check_failed(&answer, ERROR_PLATFORM,
		     "cannot call bob: platform.test answered with a web page (HTTP 200)");

	result.status = 404;
	answer = read_it(&question, &result);
	check_failed(&answer, ERROR_PLATFORM,
		     "cannot call bob: platform.test answered with a web page (HTTP 404)");
}

TEST(a_direct_peer_that_breaks_down_may_be_called_by_the_platform)
{
	struct a2a_answer answer = read_reply(A2A_DIRECT, 500, "oops");

	check_failed(&answer, ERROR_PEER, "cannot call bob: it answered with HTTP 500");
	CHECK(answer.may_fall_back);
	CHECK(error_is_retryable(&answer.err));

	answer = read_reply(A2A_DIRECT, 503, "{'error':'no local agent attached'}");
	check_failed(&answer, ERROR_PEER,
		     "cannot call bob: it answered with HTTP 503 ('no local agent attached')");
	CHECK(answer.may_fall_back);
	CHECK(read_reply(A2A_DIRECT, 502, "").may_fall_back);
	CHECK(read_reply(A2A_DIRECT, 404, "404 page not found").may_fall_back);
	CHECK(read_reply(A2A_DIRECT, 405, "").may_fall_back);
}

TEST(a_direct_peer_that_refuses_is_not_asked_twice)
{
	static const int statuses[] = { 301, 307, 400, 401, 402, 403, 409, 410, 413, 422, 429 };

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		CHECK(!read_reply(A2A_DIRECT, statuses[i], "{'error':'no'}").may_fall_back);

	CHECK_FAILED(A2A_DIRECT, 401, "{'error':'who?'}", ERROR_PEER,
		     "cannot call bob: it answered with HTTP 401 ('who?')");
	CHECK_FAILED(A2A_DIRECT, 302, "", ERROR_PEER,
		     "cannot call bob: it redirects elsewhere (HTTP 302), and redirects are not "
		     "followed");
	CHECK_FAILED(A2A_DIRECT, 300, "{'result':'pong'}", ERROR_PEER,
		     "cannot call bob: it redirects elsewhere (HTTP 300), and redirects are not "
		     "followed");
	CHECK_FAILED(A2A_DIRECT, 429, "slow down", ERROR_RATE_LIMITED,
		     "cannot call bob: it asks for fewer requests (HTTP 429)");
}

TEST(nothing_was_sent_to_a_peer_out_of_reach)
{
	static const enum http_outcome outcomes[] = { HTTP_UNRESOLVED, HTTP_UNREACHABLE,
						      HTTP_BROKEN, HTTP_REFUSED };
	struct a2a_answer answer;

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		answer = read_outcome(A2A_DIRECT, outcomes[i], false);
		check_failed(&answer, ERROR_UNAVAILABLE,
			     "cannot call bob: bob is out of reach (why not)");
		CHECK(answer.may_fall_back);
		answer = read_outcome(A2A_PROXY, outcomes[i], false);
		check_failed(&answer, ERROR_UNAVAILABLE,
			     "cannot call bob: platform.test is out of reach (why not)");
	}

	answer = read_outcome(A2A_DIRECT, HTTP_UNTRUSTED, false);
	check_failed(&answer, ERROR_UNAVAILABLE,
		     "cannot call bob: no trusted connection to bob (why not)");
	CHECK(answer.may_fall_back);
}

TEST(what_was_sent_may_have_been_done)
{
	static const enum http_outcome outcomes[] = { HTTP_UNREACHABLE, HTTP_UNTRUSTED,
						      HTTP_BROKEN };

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		for (enum a2a_route route = A2A_DIRECT; route <= A2A_PROXY; route++) {
			struct a2a_answer answer = read_outcome(route, outcomes[i], true);

			check_failed(&answer, ERROR_UNKNOWN_OUTCOME,
				     "the call to bob has no known outcome: it was sent, and the "
				     "answer was lost (why not); the peer may have acted on it");
			CHECK(!answer.may_fall_back);
		}
}

TEST(a_timeout_is_one_only_before_the_first_byte)
{
	struct a2a_answer answer = read_outcome(A2A_DIRECT, HTTP_TIMED_OUT, false);

	check_failed(&answer, ERROR_TIMEOUT,
		     "cannot call bob: nothing could be sent to bob within 30.0 s");
	CHECK(answer.may_fall_back);
	answer = read_outcome(A2A_DIRECT, HTTP_TIMED_OUT, true);
	check_failed(&answer, ERROR_UNKNOWN_OUTCOME,
		     "the call to bob has no known outcome: it was sent, and no answer came within "
		     "30.0 s; the peer may still act on it");
	CHECK(!answer.may_fall_back);
	answer = read_outcome(A2A_PROXY, HTTP_TIMED_OUT, false);
	check_failed(&answer, ERROR_TIMEOUT,
		     "cannot call bob: nothing could be sent to platform.test within 30.0 s");
}

TEST(an_answer_over_its_limit_was_one)
{
	struct a2a_answer answer = read_outcome(A2A_DIRECT, HTTP_TOO_LARGE, true);

	check_failed(&answer, ERROR_TOO_LARGE,
		     "cannot call bob: it has answered, and not all of that could be taken "
		     "(why not; the limits are 1000 bytes, and 65536 of headers)");
	CHECK(!answer.may_fall_back);
}

static struct a2a_answer poll_reply(int status, const char *body)
{
	struct a2a_question question = question_of(A2A_DIRECT);
	struct http_result result = reply_of(status, body);

	question.is_poll = true;
	return read_it(&question, &result);
}

TEST(asking_for_a_task_that_works_or_is_done)
{
	CHECK_INT(
		poll_reply(200, "{'result':{'kind':'task','id':'t','status':{'state':'working'}}}")
			.kind,
		A2A_TASK_WORKING);
	CHECK_INT(poll_reply(200, "{'result':{'id':'t','status':{'state':'TASK_STATE_COMPLETED'}}}")
			  .kind,
		  A2A_ANSWERED);
}

TEST(asking_in_vain_does_not_undo_the_message)
{
	struct a2a_question question = question_of(A2A_DIRECT);
	struct http_result result = {
		.outcome = HTTP_UNREACHABLE, .body = "", .content_type = "", .why = "why not"
	};
	struct a2a_answer answer;

	question.is_poll = true;
	answer = read_it(&question, &result);
	check_failed(&answer, ERROR_UNKNOWN_OUTCOME,
		     "bob took the message, and then: cannot call bob: bob is out of reach (why "
		     "not)");
	CHECK(answer.may_poll_again);
	CHECK(!answer.may_fall_back);

	answer = poll_reply(503, "");
	CHECK_INT(answer.err.kind, ERROR_UNKNOWN_OUTCOME);
	CHECK(answer.may_poll_again);
	answer = poll_reply(429, "");
	CHECK_INT(answer.err.kind, ERROR_UNKNOWN_OUTCOME);
	CHECK(answer.may_poll_again);
	answer = poll_reply(202, "{'queued':true}");
	CHECK_INT(answer.err.kind, ERROR_UNKNOWN_OUTCOME);
	CHECK(answer.may_poll_again);
}

TEST(a_peer_that_says_no_to_the_question_means_it)
{
	struct a2a_answer answer = poll_reply(200, "{'error':{'code':-32001}}");

	check_failed(&answer, ERROR_PEER,
		     "bob took the message, and then: cannot call bob: it answered with the error "
		     "-32001");
	CHECK(!answer.may_poll_again);
	answer = poll_reply(404, "");
	CHECK_INT(answer.err.kind, ERROR_PEER);
	CHECK(!answer.may_poll_again);
}
