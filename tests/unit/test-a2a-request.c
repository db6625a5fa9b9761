/* SPDX-License-Identifier: MIT */
#include "agent/a2a-request.h"

#include <errno.h>
#include <string.h>

#include "a2a-fixture.h"
#include "base/jsonscan.h"
#include "base/util.h"
#include "lib/test.h"

#define FRONT(method) "{'jsonrpc':'2.0','id':'r1','method':'" method "','params':{"
#define FRONT_0_3 \
	FRONT("message/send") "'message':{'kind':'message','role':'user','messageId':'m1',"
#define FRONT_1_0 FRONT("SendMessage") "'message':{'role':'ROLE_USER','messageId':'m1',"

static struct json_text checked(const char *text)
{
	CHECK(json_check(text, strlen(text), JSON_DEPTH_MAX, JSON_VALUES_MAX, NULL) == 0);
	return json_text_from(text, strlen(text));
}

static char *write_it(const struct a2a_request *request)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(2 * A2A_MESSAGE_MAX);
	struct error err = { 0 };

	CHECK(a2a_request_write(request, &out, &err) == 0);
	CHECK(err.kind == ERROR_NONE);
	(void)checked(test_keep(strndup(buffer_at(&out), buffer_len(&out))));
	return test_keep(buffer_take_text(&out));
}

static char *write_message(enum a2a_version version, const char *message)
{
	struct a2a_request request = {
		.version = version,
		.id = "r1",
		.message_id = "m1",
		.message = checked(json(message)),
	};
	struct error err = { 0 };

	CHECK(a2a_message_check(request.message, &err) == 0);
	CHECK(err.kind == ERROR_NONE);
	return write_it(&request);
}

static char *write_text(enum a2a_version version, const char *text)
{
	return write_it(&(struct a2a_request){
		.version = version,
		.id = "r1",
		.message_id = "m1",
		.text = checked(json(text)),
	});
}

#define CHECK_0_3(message, rest) \
	CHECK_TEXT(write_message(A2A_0_3, message), json(FRONT_0_3 rest "}}}"))
#define CHECK_1_0(message, rest) \
	CHECK_TEXT(write_message(A2A_1_0, message), json(FRONT_1_0 rest "}}}"))

static void check_refused(const char *message, const char *why)
{
	struct error err = { 0 };

	CHECK(a2a_message_check(checked(json(message)), &err) == -EINVAL);
	CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
	CHECK_TEXT(err.text, json(why));
}

TEST(a_text_becomes_a_message_of_one_part)
{
	CHECK_TEXT(write_text(A2A_0_3, "'say \\'hi\\' \\n'"),
		   json(FRONT_0_3 "'parts':[{'kind':'text','text':'say \\'hi\\' \\n'}]}}}"));
	CHECK_TEXT(write_text(A2A_1_0, "'hi'"), json(FRONT_1_0 "'parts':[{'text':'hi'}]}}}"));
}

TEST(parts_without_kind_get_one)
{
	CHECK_0_3("{'parts':[{'text':'a'},{'type':'text','text':'b'},{'kind':'text','text':'c'}]}",
		  "'parts':[{'kind':'text','text':'a'},{'kind':'text','text':'b'},"
		  "{'kind':'text','text':'c'}]");
	CHECK_0_3("{'parts':[{'data':{'n':1}},{'file':{'uri':'workspace:/a','size':3}}]}",
		  "'parts':[{'kind':'data','data':{'n':1}},"
		  "{'kind':'file','file':{'uri':'workspace:/a','size':3}}]");
}

TEST(what_a_part_says_it_is_counts_more_than_what_is_in_it)
{
	CHECK_0_3("{'parts':[{'type':'data','text':'a','data':{'n':1}},"
		  "{'kind':'text','type':'data','text':'a','data':{}}]}",
		  "'parts':[{'kind':'data','data':{'n':1}},{'kind':'text','text':'a'}]");
}

TEST(a_0_3_message_keeps_what_nobody_knows)
{
	CHECK_0_3("{'kind':'message','x-a':[1, 2],'role':'user','contextId':'c','taskId':'t',"
		  "'metadata':{'history':[]},'parts':[{'kind':'text','text':'a','x':1.0,"
		  "'metadata':{'k':1e400}}]}",
		  "'parts':[{'kind':'text','text':'a','x':1.0,'metadata':{'k':1e400}}],"
		  "'x-a':[1, 2],'contextId':'c','taskId':'t','metadata':{'history':[]}");
}

TEST(a_1_0_message_leaves_out_what_nobody_knows)
{
	CHECK_1_0("{'kind':'message','x-a':1,'contextId':'c','taskId':'t','metadata':{'m':1},"
		  "'extensions':['urn:e'],'referenceTaskIds':['r'],"
		  "'parts':[{'kind':'text','text':'a','x':1,'metadata':{'k':1}}]}",
		  "'parts':[{'text':'a','metadata':{'k':1}}],'contextId':'c','taskId':'t',"
		  "'metadata':{'m':1},'extensions':['urn:e'],'referenceTaskIds':['r']");
}

TEST(files_and_data_are_said_in_1_0s_words)
{
	CHECK_1_0("{'parts':[{'kind':'file','file':{'uri':'https://e.org/a','name':'a.txt',"
		  "'mimeType':'text/plain','size':3}},{'kind':'file','file':{'bytes':'YQ=='}},"
		  "{'kind':'data','data':{'n':1},'metadata':{'m':2}}]}",
		  "'parts':[{'url':'https://e.org/a','filename':'a.txt','mediaType':'text/plain'},"
		  "{'raw':'YQ=='},{'data':{'n':1},'metadata':{'m':2}}]");
}

TEST(a_message_in_1_0s_words_is_said_in_0_3s)
{
	CHECK_0_3(
		"{'role':'ROLE_USER','parts':[{'text':'a'},{'url':'https://e.org/a',"
		"'filename':'a.txt','mediaType':'text/plain','metadata':{'m':1}},{'raw':'YQ=='}]}",
		"'parts':[{'kind':'text','text':'a'},{'kind':'file','file':{'uri':"
		"'https://e.org/a','name':'a.txt','mimeType':'text/plain'},'metadata':{'m':1}},"
		"{'kind':'file','file':{'bytes':'YQ=='}}]");
}

TEST(a_message_in_1_0s_words_stays_in_them)
{
	CHECK_1_0("{'role':'ROLE_USER','parts':[{'text':'a','mediaType':'text/markdown'},"
		  "{'url':'https://e.org/a','filename':'a.txt','mediaType':'text/plain'}]}",
		  "'parts':[{'text':'a','mediaType':'text/markdown'},"
		  "{'url':'https://e.org/a','filename':'a.txt','mediaType':'text/plain'}]");
}

TEST(null_is_as_good_as_absent)
{
	CHECK_0_3("{'kind':null,'role':null,'contextId':null,'messageId':null,'metadata':null,"
		  "'parts':[{'kind':null,'type':null,'text':'a','metadata':null}]}",
		  "'parts':[{'kind':'text','text':'a'}]");
	CHECK_1_0("{'contextId':null,'metadata':null,'parts':[{'kind':null,'text':'a'}]}",
		  "'parts':[{'text':'a'}]");
}

TEST(an_agent_may_speak_as_one)
{
	CHECK_TEXT(write_message(A2A_0_3, "{'role':'agent','parts':[{'text':'a'}]}"),
		   json(FRONT("message/send") "'message':{'kind':'message','role':'agent',"
					      "'messageId':'m1','parts':[{'kind':'text',"
					      "'text':'a'}]}}}"));
	CHECK_TEXT(write_message(A2A_1_0, "{'role':'ROLE_AGENT','parts':[{'text':'a'}]}"),
		   json(FRONT("SendMessage") "'message':{'role':'ROLE_AGENT','messageId':'m1',"
					     "'parts':[{'text':'a'}]}}}"));
}

TEST(what_was_said_twice_is_written_once)
{
	CHECK_0_3("{'messageId':'x','messageId':'m1','role':'agent','role':'user',"
		  "'parts':[],'parts':[{'text':'a','text':'b'}]}",
		  "'parts':[{'kind':'text','text':'b'}]");
}

TEST(an_escaped_name_is_the_same_name)
{
	CHECK_0_3("{'\\u0070arts':[{'t\\u0065xt':'a'}],'\\u006bind':'message'}",
		  "'parts':[{'kind':'text','text':'a'}]");
}

TEST(a_message_is_an_object_with_parts)
{
	check_refused("[]", "message must be an object with parts, not an array");
	check_refused("'hi'", "message must be an object with parts, not a string");
	check_refused("null", "message must be an object with parts, not null");
	check_refused("{}", "message must have an array of parts");
	check_refused("{'parts':{}}", "message must have an array of parts");
	check_refused("{'parts':null}", "message must have an array of parts");
	check_refused("{'parts':[]}", "message must have at least one part");
	check_refused("{'kind':'task','parts':[{'text':'a'}]}", "message.kind must be 'message'");
	check_refused("{'kind':1,'parts':[{'text':'a'}]}", "message.kind must be 'message'");
	check_refused("{'role':'system','parts':[{'text':'a'}]}",
		      "message.role must be 'user' or 'agent'");
	check_refused("{'role':7,'parts':[{'text':'a'}]}",
		      "message.role must be 'user' or 'agent'");
	check_refused("{'contextId':7,'parts':[{'text':'a'}]}",
		      "message.contextId must be a string, not a number");
	check_refused("{'taskId':{},'parts':[{'text':'a'}]}",
		      "message.taskId must be a string, not an object");
}

TEST(a_part_that_is_none_is_named)
{
	check_refused("{'parts':['hi']}", "message.parts[0]: it must be an object");
	check_refused("{'parts':[{'text':'a'},{}]}",
		      "message.parts[1]: it has neither text, file nor data");
	check_refused("{'parts':[{'kind':'text'}]}", "message.parts[0]: text must be a string");
	check_refused("{'parts':[{'kind':'text','text':7}]}",
		      "message.parts[0]: text must be a string");
	check_refused("{'parts':[{'kind':'image','text':'a'}]}",
		      "message.parts[0]: kind is 'image'; it must be 'text', 'file' or 'data'");
	check_refused("{'parts':[{'kind':7,'text':'a'}]}",
		      "message.parts[0]: kind is 7; it must be 'text', 'file' or 'data'");
	check_refused("{'parts':[{'data':[1]}]}", "message.parts[0]: data must be an object");
	check_refused("{'parts':[{'kind':'file','file':{'name':'a'}}]}",
		      "message.parts[0]: file must be an object with bytes (base64) or a uri");
	check_refused("{'parts':[{'file':'a'}]}",
		      "message.parts[0]: file must be an object with bytes (base64) or a uri");
}

static int find_id(const char *message, const char *given, char dst[static A2A_ID_MAX + 1],
		   struct error *err)
{
	struct json_text none = { 0 };

	return a2a_message_id(message ? checked(json(message)) : none,
			      given ? checked(json(given)) : none, dst, err);
}

TEST(the_message_and_who_sends_it_agree_on_its_id)
{
	struct error err = { 0 };
	char id[A2A_ID_MAX + 1];

	CHECK(find_id(NULL, NULL, id, &err) == 0);
	CHECK_TEXT(id, "");
	CHECK(find_id("{'messageId':null}", "null", id, &err) == 0);
	CHECK_TEXT(id, "");
	CHECK(find_id("{'messageId':'a'}", NULL, id, &err) == 0);
	CHECK_TEXT(id, "a");
	CHECK(find_id("{}", "'b'", id, &err) == 0);
	CHECK_TEXT(id, "b");
	CHECK(find_id("{'messageId':'\\u0062'}", "'b'", id, &err) == 0);
	CHECK_TEXT(id, "b");
	CHECK(err.kind == ERROR_NONE);

	CHECK(find_id("{'messageId':'a'}", "'b'", id, &err) == -EINVAL);
	CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
	CHECK_TEXT(err.text, "message_id and message.messageId differ; leave one of them out");
}

TEST(an_id_is_a_text_of_some_length)
{
	static const char *const wrong[] = { "''", "7", "{}", "'a\\u0000b'" };
	char longest[A2A_ID_MAX + 4], id[A2A_ID_MAX + 1];
	struct error err = { 0 };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK(find_id(NULL, wrong[i], id, &err) == -EINVAL);
		CHECK_TEXT(err.text,
			   "message_id must be a string of 1 to 256 bytes, none of them NUL");
	}
	CHECK(find_id("{'messageId':''}", NULL, id, &err) == -EINVAL);
	CHECK_TEXT(err.text,
		   "message.messageId must be a string of 1 to 256 bytes, none of them NUL");

	memset(longest, 'x', sizeof(longest));
	longest[0] = longest[A2A_ID_MAX + 1] = '\'';
	longest[A2A_ID_MAX + 2] = '\0';
	CHECK(find_id(NULL, longest, id, &err) == 0);
	CHECK_INT(strlen(id), A2A_ID_MAX);

	longest[A2A_ID_MAX + 1] = 'x';
	longest[A2A_ID_MAX + 2] = '\'';
	longest[A2A_ID_MAX + 3] = '\0';
	CHECK(find_id(NULL, longest, id, &err) == -EINVAL);
}

/* A request whose text makes it as long as this. */
static int write_of_length(size_t len, struct buffer *out, struct error *err)
{
	size_t around = strlen(write_text(A2A_0_3, "''")) - 2;
	size_t text_len = len - around;
	char *text = test_keep(malloc(text_len));

	memset(text, 'x', text_len);
	text[0] = text[text_len - 1] = '"';
	return a2a_request_write(
		&(struct a2a_request){ .id = "r1", .message_id = "m1", .text = { text, text_len } },
		out, err);
}

TEST(what_the_platform_would_cut_off_is_not_sent)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(2 * A2A_MESSAGE_MAX);
	struct error err = { 0 };

	CHECK(write_of_length(A2A_MESSAGE_MAX, &out, &err) == 0);
	CHECK_INT(buffer_len(&out), A2A_MESSAGE_MAX);

	buffer_reset(&out);
	CHECK(write_of_length(A2A_MESSAGE_MAX + 1, &out, &err) == -EMSGSIZE);
	CHECK_INT(err.kind, ERROR_TOO_LARGE);
	CHECK_TEXT(err.text, "the message is too large: with all that belongs to it, it takes "
			     "1048577 bytes, and the platform takes 1048576");
}

TEST(a_buffer_of_less_is_too_small_as_well)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(A2A_MESSAGE_MAX);
	struct error err = { 0 };

	CHECK(write_of_length(A2A_MESSAGE_MAX + 1, &out, &err) == -EMSGSIZE);
	CHECK_INT(err.kind, ERROR_TOO_LARGE);
	CHECK_TEXT(err.text, "the message is too large: the platform takes 1048576 bytes");
}

TEST(a_task_is_asked_for_in_each_versions_words)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1024);

	CHECK(a2a_request_write_get(A2A_0_3, "r2", "t\"1", &out) == 0);
	CHECK_TEXT(test_keep(buffer_take_text(&out)),
		   "{\"jsonrpc\":\"2.0\",\"id\":\"r2\",\"method\":"
		   "\"tasks/get\",\"params\":{\"id\":\"t\\\"1\"}}");
	CHECK(a2a_request_write_get(A2A_1_0, "r1", "t1", &out) == 0);
	CHECK_TEXT(test_keep(buffer_take_text(&out)), json(FRONT("GetTask") "'id':'t1'}}"));
	CHECK_TEXT(a2a_version_name(A2A_0_3), "0.3");
	CHECK_TEXT(a2a_version_name(A2A_1_0), "1.0");
}
