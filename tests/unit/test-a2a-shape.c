/* SPDX-License-Identifier: MIT */
#include "agent/a2a-shape.h"

#include <errno.h>
#include <string.h>

#include "a2a-fixture.h"
#include "base/jsonscan.h"
#include "base/util.h"
#include "lib/test.h"

static char *text_of(struct json_text string)
{
	char *text;

	if (!string.len)
		return NULL;

	CHECK(json_text_dup(string, &text) == 0);
	return test_keep(text);
}

static struct a2a_shape shape_of(const char *text)
{
	struct a2a_shape shape;
	struct error err = { 0 };

	text = json(text);
	if (json_check(text, strlen(text), JSON_DEPTH_MAX, JSON_VALUES_MAX, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", text, err.text);
	a2a_shape_read(json_text_from(text, strlen(text)), &shape);
	return shape;
}

#define CHECK_ANSWER(body, its_text)                        \
	do {                                                \
		struct a2a_shape _shape = shape_of(body);   \
		CHECK_INT(_shape.kind, A2A_SHAPE_ANSWER);   \
		CHECK_TEXT(text_of(_shape.text), its_text); \
	} while (0)
#define RESULT(result) "{'jsonrpc':'2.0','id':'r','result':" result "}"
#define CHECK_RESULT(result, its_text) CHECK_ANSWER(RESULT(result), its_text)

#define CHECK_WORKING(body, its_id)                        \
	do {                                               \
		struct a2a_shape _shape = shape_of(body);  \
		CHECK_INT(_shape.kind, A2A_SHAPE_WORKING); \
		CHECK_TEXT(text_of(_shape.id), its_id);    \
	} while (0)

TEST(a_0_3_message)
{
	CHECK_RESULT("{'kind':'message','role':'agent','messageId':'a',"
		     "'parts':[{'kind':'text','text':'pong'}]}",
		     "pong");
}

TEST(a_message_without_kind)
{
	CHECK_RESULT("{'parts':[{'kind':'text','text':'pong'}]}", "pong");
}

TEST(parts_with_type_with_nothing_and_with_a_root)
{
	CHECK_RESULT("{'parts':[{'type':'text','text':'pong'}]}", "pong");
	CHECK_RESULT("{'parts':[{'text':'pong'}]}", "pong");
	CHECK_RESULT("{'parts':[{'root':{'kind':'text','text':'pong'}}]}", "pong");
}

TEST(the_first_part_that_is_text)
{
	CHECK_RESULT("{'parts':[{'kind':'data','data':{},'text':'no'},{'type':'file','text':'no'},"
		     "{'kind':'text','text':7},{'kind':'text','text':'yes'},{'text':'late'}]}",
		     "yes");
}

TEST(a_message_that_says_it_in_artifacts_too)
{
	CHECK_RESULT("{'kind':'message','parts':[],'artifacts':[{'parts':[]},{'parts':"
		     "[{'kind':'text','text':'made'}]}]}",
		     "made");
}

TEST(a_message_without_text)
{
	CHECK_RESULT("{'kind':'message','parts':[{'kind':'data','data':{'a':1}}]}", NULL);
	CHECK_RESULT("{'kind':'message'}", NULL);
}

TEST(a_task_that_is_completed)
{
	CHECK_RESULT("{'kind':'task','id':'t','status':{'state':'completed','message':{'parts':"
		     "[{'text':'done'}]}},'artifacts':[{'parts':[{'kind':'text','text':'it'}]}]}",
		     "it");
	CHECK_RESULT("{'id':'t','status':{'state':'completed','message':{'parts':"
		     "[{'text':'done'}]}}}",
		     "done");
}

TEST(a_task_that_failed_says_why)
{
	CHECK_RESULT("{'kind':'task','id':'t','status':{'state':'failed','message':{'parts':"
		     "[{'text':'no disk'}]}},'artifacts':[{'parts':[{'text':'half'}]}]}",
		     "no disk");
	CHECK_RESULT("{'kind':'task','id':'t','status':{'state':'canceled'},"
		     "'artifacts':[{'parts':[{'text':'half'}]}]}",
		     "half");
	CHECK_RESULT("{'kind':'task','id':'t','status':{'state':'rejected'}}", NULL);
}

TEST(a_task_that_asks_for_something_has_answered)
{
	CHECK_RESULT("{'kind':'task','id':'t','status':{'state':'input-required','message':"
		     "{'parts':[{'kind':'text','text':'which?'}]}},"
		     "'artifacts':[{'parts':[{'text':'so far'}]}]}",
		     "which?");
	CHECK_RESULT("{'kind':'task','id':'t','status':{'state':'auth-required'}}", NULL);
	CHECK_RESULT("{'task':{'id':'t','status':{'state':'TASK_STATE_INPUT_REQUIRED','message':"
		     "{'parts':[{'text':'which?'}]}}}}",
		     "which?");
}

TEST(a_task_that_goes_on)
{
	CHECK_WORKING(RESULT("{'kind':'task','id':'t1','status':{'state':'working'}}"), "t1");
	CHECK_WORKING(RESULT("{'kind':'task','id':'t1','status':{'state':'submitted'}}"), "t1");
	CHECK_WORKING(RESULT("{'id':'t1','status':{'state':'submitted'}}"), "t1");
	CHECK_WORKING(RESULT("{'task':{'id':'t1','status':{'state':'TASK_STATE_WORKING'}}}"), "t1");
	CHECK_WORKING(RESULT("{'task':{'id':'t1','status':{'state':'TASK_STATE_SUBMITTED'}}}"),
		      "t1");
	/* GetTask's is bare. */
	CHECK_WORKING(RESULT("{'id':'t1','status':{'state':'TASK_STATE_WORKING'}}"), "t1");
}

TEST(a_task_that_nobody_can_ask_about_is_all_there_is)
{
	CHECK_RESULT("{'kind':'task','status':{'state':'working','message':{'parts':"
		     "[{'text':'wait'}]}}}",
		     "wait");
	CHECK_RESULT("{'kind':'task','id':'','status':{'state':'working'}}", NULL);
	CHECK_RESULT("{'kind':'task','id':7,'status':{'state':'working'}}", NULL);
	CHECK_RESULT("{'kind':'task','id':'a\\u0000b','status':{'state':'working'}}", NULL);
}

TEST(a_state_that_nobody_knows_is_the_peers_answer)
{
	CHECK_RESULT("{'kind':'task','id':'t','status':{'state':'unknown'}}", NULL);
	CHECK_RESULT("{'kind':'task','id':'t','status':{'state':7}}", NULL);
	CHECK_RESULT("{'kind':'task','id':'t','status':{}}", NULL);
	CHECK_RESULT("{'kind':'task','id':'t'}", NULL);
}

TEST(a_1_0_message)
{
	CHECK_RESULT("{'message':{'messageId':'m','role':'ROLE_AGENT','parts':[{'text':'pong'}]}}",
		     "pong");
}

TEST(a_1_0_task)
{
	CHECK_RESULT("{'task':{'id':'t','status':{'state':'TASK_STATE_COMPLETED'},"
		     "'artifacts':[{'artifactId':'a','parts':[{'text':'pong'}]}]}}",
		     "pong");
	CHECK_RESULT("{'task':{'id':'t','status':{'state':'TASK_STATE_FAILED','message':"
		     "{'parts':[{'text':'no disk'}]}}}}",
		     "no disk");
}

TEST(a_result_that_is_a_string)
{
	CHECK_RESULT("'pong'", "pong");
	CHECK_RESULT("''", "");
}

TEST(a_result_of_no_shape_at_all)
{
	CHECK_RESULT("null", NULL);
	CHECK_RESULT("7", NULL);
	CHECK_RESULT("[]", NULL);
	CHECK_RESULT("{}", NULL);
	CHECK_RESULT("{'answer':42}", NULL);
	CHECK_RESULT("{'text':'pong'}", "pong");
}

TEST(what_the_python_sdk_answers)
{
	CHECK_ANSWER("{'status':'ok','result':'pong'}", "pong");
	CHECK_ANSWER("{'status':'ok','result':{'parts':[{'text':'pong'}]}}", "pong");
	CHECK_ANSWER("{'status':'ok','result':null}", NULL);
	CHECK_ANSWER("{'status':'ok'}", NULL);
}

TEST(a_result_without_an_envelope)
{
	CHECK_ANSWER("{'kind':'message','parts':[{'kind':'text','text':'pong'}]}", "pong");
	CHECK_ANSWER("{'role':'agent','parts':[{'text':'pong'}]}", "pong");
	CHECK_ANSWER("{'message':{'parts':[{'text':'pong'}]}}", "pong");
	CHECK_WORKING("{'kind':'task','id':'t1','status':{'state':'working'}}", "t1");
}

TEST(an_error_and_null_beside_it)
{
	struct a2a_shape shape =
		shape_of("{'jsonrpc':'2.0','id':1,'result':null,'error':{'code':-32603,"
			 "'message':'boom','data':[1]}}");

	CHECK_INT(shape.kind, A2A_SHAPE_ERROR);
	CHECK_INT(shape.code, -32603);
	CHECK_TEXT(text_of(shape.words), "boom");
	CHECK_ANSWER("{'jsonrpc':'2.0','id':1,'error':null,'result':'pong'}", "pong");
}

TEST(an_error_in_other_clothes)
{
	struct a2a_shape shape = shape_of("{'error':'no local agent attached'}");

	CHECK_INT(shape.kind, A2A_SHAPE_ERROR);
	CHECK_INT(shape.code, 0);
	CHECK_TEXT(text_of(shape.words), "no local agent attached");

	shape = shape_of("{'error':{'code':1e300,'message':7}}");
	CHECK_INT(shape.kind, A2A_SHAPE_ERROR);
	CHECK_INT(shape.code, 0);
	CHECK(!shape.words.len);
	CHECK_INT(shape_of("{'error':true}").kind, A2A_SHAPE_ERROR);
}

TEST(notices_of_a_queue)
{
	struct a2a_shape shape =
		shape_of("{'queued':true,'queue_id':'q1','queue_depth':2,'message':'busy'}");

	CHECK_INT(shape.kind, A2A_SHAPE_QUEUED);
	CHECK_TEXT(text_of(shape.id), "q1");

	shape = shape_of("{'status':'queued','delivery_mode':'poll','method':'message/send'}");
	CHECK_INT(shape.kind, A2A_SHAPE_QUEUED);
	CHECK(!shape.id.len);
	CHECK_INT(shape_of("{'status':'queued','queued':true,'queue_id':'q'}").kind,
		  A2A_SHAPE_QUEUED);
}

TEST(json_that_is_no_reply)
{
	static const char *const others[] = {
		"{}",
		"[]",
		"7",
		"null",
		"'pong'",
		"[{'result':1}]",
		"{'queued':false}",
		"{'status':'accepted'}",
		"{'message':'hello'}",
		"{'jsonrpc':'2.0','id':1,'method':'message/send','params':{'message':"
		"{'parts':[{'text':'mirror'}]}}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		CHECK_INT(shape_of(others[i]).kind, A2A_SHAPE_NONE);
}

TEST(the_last_of_two_members_counts)
{
	CHECK_ANSWER("{'result':'a','result':'b'}", "b");
	CHECK_RESULT("{'parts':[{'text':'a'}],'p\\u0061rts':[{'text':'b'}]}", "b");
}

struct streamed {
	int r;
	struct a2a_shape shape;
	char *response;
};

static struct streamed stream_of(const char *body)
{
	struct buffer *out = test_keep(calloc(1, sizeof(*out)));
	struct streamed streamed = { 0 };
	struct json_text text;

	buffer_init(out, strlen(body));
	body = json(body);
	CHECK(a2a_stream_is("application/json", body, strlen(body)));
	streamed.r = a2a_stream_read(body, strlen(body), out, &text, &streamed.shape);
	if (streamed.r == 0)
		streamed.response = test_keep(strndup(text.at, text.len));
	return streamed;
}

#define CHECK_STREAM(body, its_kind, its_text)                       \
	do {                                                         \
		struct streamed _streamed = stream_of(body);         \
		CHECK_INT(_streamed.r, 0);                           \
		CHECK_INT(_streamed.shape.kind, its_kind);           \
		CHECK_TEXT(text_of(_streamed.shape.text), its_text); \
	} while (0)

#define WORKING_EVENT \
	"data: " RESULT("{'kind':'task','id':'t1','status':{'state':'working'}}") "\n\n"
#define REMARK_EVENT                                                                             \
	"data: " RESULT("{'kind':'status-update','taskId':'t1','final':false,'status':{'state':" \
			"'working','message':{'parts':[{'text':'on it'}]}}}") "\n\n"
#define ARTIFACT_EVENT                                                        \
	"data: " RESULT("{'kind':'artifact-update','taskId':'t1','artifact':" \
			"{'parts':[{'kind':'text','text':'pong'}]}}") "\n\n"
#define FINAL_EVENT                                                                    \
	"data: " RESULT("{'kind':'status-update','taskId':'t1','final':true,'status':" \
			"{'state':'completed'}}") "\n\n"

TEST(a_stream_of_one_message)
{
	CHECK_STREAM("data: " RESULT("{'parts':[{'text':'pong'}]}") "\n\n", A2A_SHAPE_ANSWER,
		     "pong");
}

TEST(a_stream_that_ends_says_how)
{
	CHECK_STREAM(WORKING_EVENT REMARK_EVENT ARTIFACT_EVENT FINAL_EVENT, A2A_SHAPE_ANSWER,
		     "pong");
	CHECK_STREAM(WORKING_EVENT FINAL_EVENT, A2A_SHAPE_ANSWER, NULL);
	CHECK_STREAM(WORKING_EVENT "data: " RESULT(
			     "{'kind':'status-update','taskId':'t1','status':{'state':'failed',"
			     "'message':{'parts':[{'text':'no disk'}]}}}") "\n\n",
		     A2A_SHAPE_ANSWER, "no disk");
	CHECK_STREAM(ARTIFACT_EVENT "data: " RESULT(
			     "{'kind':'status-update','taskId':'t1','status':{'state':'completed',"
			     "'message':{'parts':[{'text':'bye'}]}}}") "\n\n",
		     A2A_SHAPE_ANSWER, "pong");
}

TEST(a_streams_task_that_only_says_goodbye_leaves_what_was_made)
{
	CHECK_STREAM(ARTIFACT_EVENT
		     "data: " RESULT("{'kind':'task','id':'t1','status':{'state':'completed',"
				     "'message':{'parts':[{'text':'bye'}]}}}") "\n\n",
		     A2A_SHAPE_ANSWER, "pong");
	CHECK_STREAM(ARTIFACT_EVENT
		     "data: " RESULT("{'kind':'task','id':'t1','status':{'state':'completed'},"
				     "'artifacts':[{'parts':[{'text':'all of it'}]}]}") "\n\n",
		     A2A_SHAPE_ANSWER, "all of it");
}

TEST(a_stream_that_breaks_off_is_work_that_goes_on)
{
	struct streamed streamed = stream_of(WORKING_EVENT REMARK_EVENT);

	CHECK_INT(streamed.shape.kind, A2A_SHAPE_WORKING);
	CHECK_TEXT(text_of(streamed.shape.id), "t1");
	CHECK_STREAM(WORKING_EVENT ARTIFACT_EVENT "data: {'jsonrpc':'2.0','res", A2A_SHAPE_WORKING,
		     "pong");
}

TEST(a_1_0_stream)
{
	CHECK_STREAM(
		"data: " RESULT(
			"{'task':{'id':'t1','status':{'state':"
			"'TASK_STATE_SUBMITTED'}}}") "\n\n"
						     "data: " RESULT(
							     "{'artifactUpdate':{'taskId':'t1','artifact':{'parts':"
							     "[{'text':'pong'}]}}}") "\n\n"
										     "data: " RESULT(
											     "{'statusUpdate':{'taskId':'t1','status':{'state':"
											     "'TASK_STATE_COMPLETED'}}}") "\n\n",
		A2A_SHAPE_ANSWER, "pong");
	CHECK_STREAM("data: " RESULT("{'message':{'parts':[{'text':'pong'}]}}") "\n\n",
		     A2A_SHAPE_ANSWER, "pong");
}

TEST(a_stream_with_an_error)
{
	struct streamed streamed = stream_of(
		"data: {'jsonrpc':'2.0','id':null,'error':{'code':-32001,'message':'no'}}\n\n");

	CHECK_INT(streamed.shape.kind, A2A_SHAPE_ERROR);
	CHECK_INT(streamed.shape.code, -32001);
}

TEST(a_streams_lines_may_end_in_any_way)
{
	CHECK_STREAM("\r\n: ping\r\n\r\nevent: message\r\nid: 7\r\ndata:{'result':\r\ndata: 'pong'}"
		     "\r\n\r\n",
		     A2A_SHAPE_ANSWER, "pong");
	CHECK_STREAM("data: {'result':'a'}\r\rdata: {'result':'b'}\r\r", A2A_SHAPE_ANSWER, "b");
	CHECK_STREAM("data: {'result':'a'}", A2A_SHAPE_ANSWER, "a");
	CHECK_TEXT(stream_of("data: {'result':\ndata: 'pong'}\n\n").response,
		   json(" {'result':  'pong'}") + 1);
}

TEST(a_stream_without_a_reply)
{
	CHECK_INT(stream_of("data: hello\n\n").r, -ENOENT);
	CHECK_INT(stream_of(": ping\n\n: ping\n\n").r, -ENOENT);
	CHECK_INT(stream_of("data: {'jsonrpc':'2.0','method':'x'}\n\n").r, -ENOENT);
	CHECK_INT(stream_of("data:\n\n").r, -ENOENT);
	CHECK_INT(stream_of("event: x\ndata: {'result':'\xff'}\n\n").r, -ENOENT);
}

TEST(a_stream_is_one_by_its_type_or_its_first_field)
{
	CHECK(a2a_stream_is("text/event-stream", "", 0));
	CHECK(a2a_stream_is("Text/Event-Stream; charset=utf-8", "{}", 2));
	CHECK(!a2a_stream_is("application/json", "{}", 2));
	CHECK(!a2a_stream_is("application/json", "\"data:\"", 7));
	CHECK(!a2a_stream_is("application/json", "dat", 3));
	CHECK(!a2a_stream_is("", "", 0));
}
