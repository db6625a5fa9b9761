/* SPDX-License-Identifier: MIT */
#include "base/jsonrpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonscan.h"
#include "lib/test.h"

static struct jsonrpc_request request;
static struct error err;

/* Reads a request in single quotes for double ones, which C would have to escape. */
static int parse(const char *quoted)
{
	static char text[1000];
	size_t len = strlen(quoted);

	CHECK(len < sizeof(text));
	for (size_t i = 0; i <= len; i++)
		text[i] = quoted[i] == '\'' ? '"' : quoted[i];
	CHECK_INT(json_check(text, len, 64, 65536, NULL), 0);
	err = (struct error){ 0 };
	return jsonrpc_parse(json_text_from(text, len), &request, &err);
}

static bool is(struct json_text text, const char *expected)
{
	return text.len == strlen(expected) &&
	       (!text.len || memcmp(text.at, expected, text.len) == 0);
}

TEST(a_request_is_read)
{
	CHECK_INT(parse("{'jsonrpc':'2.0','id':1,'method':'a.b','params':{'x':[1]}}"), 0);
	CHECK(is(request.id, "1"));
	CHECK(json_text_equals(request.method, "a.b"));
	CHECK(is(request.params, "{\"x\":[1]}"));
}

TEST(order_space_and_unknown_members_do_not_matter)
{
	CHECK_INT(parse(" { 'extra' : {'id':9} , 'params' : [ 1 ] , 'method':'m',\n'id' : 'x' ,"
			"'Method':2,'jsonrpc':'2.0' } "),
		  0);
	CHECK(is(request.id, "\"x\""));
	CHECK(is(request.params, "[ 1 ]"));
	CHECK(json_text_equals(request.method, "m"));
}

TEST(names_are_read_decoded)
{
	CHECK_INT(parse("{'\\u006asonrpc':'2\\u002e0','\\u0069d':1,'metho\\u0064':'m'}"), 0);
	CHECK(is(request.id, "1"));
}

TEST(ids_are_kept_as_they_came)
{
	static const char *const ids[] = { "0",     "-1",
					   "1.0",   "1e0",
					   "null",  "\"\"",
					   "1e400", "99999999999999999999999999999999",
					   "\"1\"", "\"\\u0000\\ud800\xc3\xa9\"",
					   "-0" };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		AUTO(buffer_fini) struct buffer text = BUFFER_INIT(1000);
		struct error none = { 0 };

		CHECK_INT(buffer_printf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"m\"}",
					ids[i]),
			  0);
		CHECK_INT(jsonrpc_parse(json_text_from(buffer_at(&text), buffer_len(&text)),
					&request, &none),
			  0);
		CHECK(is(request.id, ids[i]));
	}
}

TEST(a_request_without_id_is_a_notification_and_one_with_null_is_not)
{
	CHECK_INT(parse("{'jsonrpc':'2.0','method':'m'}"), 0);
	CHECK_INT(json_text_kind(request.id), JSON_NONE);
	CHECK_INT(parse("{'jsonrpc':'2.0','method':'m','id':null}"), 0);
	CHECK_INT(json_text_kind(request.id), JSON_NULL);
}

static const struct {
	const char *text, *id; /* the id to answer with, or NULL */
	const char *why;
} invalid[] = {
	{ "1", NULL, "a request must be an object, not a number" },
	{ "'x'", NULL, "a request must be an object, not a string" },
	{ "null", NULL, "a request must be an object, not null" },
	{ "[]", NULL, "a request must be an object, not an array" },
	{ "{}", NULL, "the request does not have \"jsonrpc\": \"2.0\"" },
	{ "{'id':1,'method':'m'}", "1", "the request does not have \"jsonrpc\": \"2.0\"" },
	{ "{'jsonrpc':'1.0','id':1,'method':'m'}", "1",
	  "the request does not have \"jsonrpc\": \"2.0\"" },
	{ "{'jsonrpc':2.0,'id':1,'method':'m'}", "1",
	  "the request does not have \"jsonrpc\": \"2.0\"" },
	{ "{'jsonrpc':'2.00','id':1,'method':'m'}", "1",
	  "the request does not have \"jsonrpc\": \"2.0\"" },
	{ "{'jsonrpc':'2.0','id':1}", "1", "method must be a string, not nothing" },
	{ "{'jsonrpc':'2.0','id':1,'method':1}", "1", "method must be a string, not a number" },
	{ "{'jsonrpc':'2.0','id':1,'method':null}", "1", "method must be a string, not null" },
	{ "{'jsonrpc':'2.0','id':true,'method':'m'}", NULL,
	  "id must be a string, a number or null, not a boolean" },
	{ "{'jsonrpc':'2.0','id':{},'method':'m'}", NULL,
	  "id must be a string, a number or null, not an object" },
	{ "{'jsonrpc':'2.0','id':[1],'method':'m'}", NULL,
	  "id must be a string, a number or null, not an array" },
	{ "{'jsonrpc':'2.0','id':1,'id':1,'method':'m'}", NULL, "the request has id twice" },
	{ "{'jsonrpc':'2.0','id':1,'\\u0069d':2,'method':'m'}", NULL, "the request has id twice" },
	{ "{'jsonrpc':'2.0','id':1,'method':'m','method':'m'}", "1",
	  "the request has method twice" },
	{ "{'jsonrpc':'2.0','id':1,'method':'m','params':[],'params':{}}", "1",
	  "the request has params twice" },
	{ "{'jsonrpc':'2.0','jsonrpc':'2.0','id':1,'method':'m'}", "1",
	  "the request has jsonrpc twice" },
	{ "{'jsonrpc':'2.0','method':7}", NULL, "method must be a string, not a number" },
};

TEST(what_is_no_request_says_why_and_whom_to_answer)
{
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		CHECK_INT(parse(invalid[i].text), -EINVAL);
		CHECK_INT(err.kind, ERROR_INVALID_REQUEST);
		CHECK_TEXT(err.text, invalid[i].why);
		CHECK(is(request.id, invalid[i].id ? invalid[i].id : ""));
		CHECK(!request.method.len && !request.params.len);
	}
}

TEST(params_that_are_no_structure_are_invalid_params)
{
	static const char *const params[] = { "null", "1", "'x'", "true" };

	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		AUTO(buffer_fini) struct buffer text = BUFFER_INIT(1000);

		CHECK_INT(buffer_printf(&text,
					"{'jsonrpc':'2.0','id':'k','method':'m','params':%s}%c",
					params[i], '\0'),
			  0);
		CHECK_INT(parse(buffer_at(&text)), -EINVAL);
		CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
		CHECK(is(request.id, "\"k\""));
	}
	CHECK_INT(parse("{'jsonrpc':'2.0','method':'m','params':null}"), -EINVAL);
	CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
	CHECK_INT(json_text_kind(request.id), JSON_NONE);
}

TEST(a_response_is_never_answered)
{
	static const char *const responses[] = {
		"{'jsonrpc':'2.0','id':1,'result':null}",
		"{'jsonrpc':'2.0','id':null,'error':{'code':1,'message':''}}",
		"{'id':true,'result':1}",
		"{'result':1,'error':2}",
	};

	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
		CHECK_INT(parse(responses[i]), -EALREADY);
		CHECK_INT(err.kind, ERROR_NONE);
	}
	CHECK_INT(parse("{'jsonrpc':'2.0','id':1,'method':'m','result':1}"), 0);
}

static char *taken(struct buffer *out)
{
	char *text = buffer_take_text(out);

	CHECK(text);
	CHECK_INT(json_check(text, strlen(text), 64, 65536, NULL), 0);
	return text;
}

TEST(results_carry_the_id_as_it_came)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1000);
	AUTO(free) char *whole = NULL;
	AUTO(free) char *pieces = NULL;

	CHECK_INT(jsonrpc_write_result(&out, json_text_from("1.0", 3), "{\"a\":1}", 7), 0);
	whole = taken(&out);
	CHECK_TEXT(whole, "{\"jsonrpc\":\"2.0\",\"id\":1.0,\"result\":{\"a\":1}}");

	CHECK_INT(jsonrpc_begin_result(&out, (struct json_text){ 0 }), 0);
	CHECK_INT(buffer_append_text(&out, "false"), 0);
	CHECK_INT(jsonrpc_end_result(&out), 0);
	pieces = taken(&out);
	CHECK_TEXT(pieces, "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":false}");
}

TEST(errors_say_what_when_and_whether_again)
{
	struct error limited = { .kind = ERROR_RATE_LIMITED,
				 .http_status = 429,
				 .retry_after_ms = 1500,
				 .text = "the \"platform\" asks\nto wait" };
	struct error ours = { .kind = ERROR_CONFIG, .text = "cut \xc3" };
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1000);
	AUTO(free) char *full = NULL;
	AUTO(free) char *plain = NULL;

	CHECK_INT(jsonrpc_write_error(&out, json_text_from("\"x\"", 3), &limited), 0);
	full = taken(&out);
	CHECK_TEXT(full, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"error\":{\"code\":-32008,"
			 "\"message\":\"the \\\"platform\\\" asks\\nto wait\","
			 "\"data\":{\"kind\":\"rate_limited\",\"retryable\":true,"
			 "\"retry_after_ms\":1500,\"http_status\":429}}}");

	CHECK_INT(jsonrpc_write_error(&out, (struct json_text){ 0 }, &ours), 0);
	plain = taken(&out);
	CHECK_TEXT(plain, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32603,"
			  "\"message\":\"cut \xef\xbf\xbd\","
			  "\"data\":{\"kind\":\"internal\",\"retryable\":false}}}");
}

TEST(notifications_have_no_id)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1000);
	AUTO(free) char *text = NULL;

	CHECK_INT(jsonrpc_begin_notification(&out, "event"), 0);
	CHECK_INT(buffer_append_text(&out, "{}"), 0);
	CHECK_INT(jsonrpc_end_notification(&out), 0);
	text = taken(&out);
	CHECK_TEXT(text, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{}}");
}

TEST(a_message_that_does_not_fit_is_told)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(30);

	CHECK_INT(jsonrpc_write_result(&out, json_text_from("1", 1), "[1,2,3]", 7), -EMSGSIZE);
}
