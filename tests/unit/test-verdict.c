/* SPDX-License-Identifier: MIT */
#include "platform/verdict.h"

#include <string.h>

#include "lib/test.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define UPPER_ID "0F8FAD5B-D9CB-469F-A165-70867728950E"
#define OTHER_ID "7c9e6679-7425-40de-944b-e07fc1f90ae7"
#define NOW_S 1795176000 /* Fri, 20 Nov 2026 12:00:00 GMT */
#define PAGE "<html><body>Please log in</body></html>"
#define SECRET "sk-very-secret-value"

#define REST_MAX_MS 60000

static struct verdict_question question_of(bool keep_raw)
{
	return (struct verdict_question){
		.what = "read the state of laptop",
		.label = "platform.test",
		.id = ID,
		.keep_raw = keep_raw,
		.max_body = 1000,
		.timeout_ms = 10000,
	};
}

struct seen {
	enum platform_verdict verdict;
	struct error err;
	int status;
	bool has_json;
};

static struct seen read_result(const struct http_result *result, bool keep_raw)
{
	struct verdict_question question = question_of(keep_raw);
	struct platform_reply reply;
	struct seen seen;

	verdict_read(&question, result, NOW_S, REST_MAX_MS, &reply);
	CHECK((reply.verdict == PLATFORM_OK) == (reply.err.kind == ERROR_NONE));
	CHECK((reply.verdict == PLATFORM_OK) == !reply.err.text[0]);
	seen = (struct seen){ reply.verdict, reply.err, reply.status, reply.json };
	json_object_put(reply.json);
	return seen;
}

static struct http_result answer(int status, const char *type, const char *body)
{
	return (struct http_result){
		.outcome = HTTP_ANSWERED,
		.sent = true,
		.status = status,
		.content_type = type,
		.body = body,
		.body_len = strlen(body),
	};
}

static struct seen see(int status, const char *type, const char *body)
{
	struct http_result result = answer(status, type, body);

	return read_result(&result, false);
}

struct row {
	int status;
	const char *type, *body;
	enum platform_verdict verdict;
	enum error_kind kind;
	const char *says; /* a part of the sentence */
};

#define JSON "application/json; charset=utf-8"
#define HTML "text/html"
#define TEXT "text/plain"

static const struct row rows[] = {
	{ 200, JSON, "{\"status\":\"online\"}", PLATFORM_OK, ERROR_NONE, "" },
	{ 200, JSON, "[]", PLATFORM_OK, ERROR_NONE, "" },
	{ 201, JSON, "{}", PLATFORM_OK, ERROR_NONE, "" },
	{ 200, "", "{}", PLATFORM_OK, ERROR_NONE, "" },
	{ 204, "", "", PLATFORM_OK, ERROR_NONE, "" },
	{ 200, JSON, "", PLATFORM_DOWN, ERROR_PLATFORM, "not the JSON" },
	{ 200, JSON, "null", PLATFORM_DOWN, ERROR_PLATFORM, "not the JSON" },
	{ 200, JSON, "{\"status\":", PLATFORM_DOWN, ERROR_PLATFORM, "not the JSON" },
	{ 200, TEXT, "garbage", PLATFORM_DOWN, ERROR_PLATFORM, "not the JSON" },
	{ 200, JSON, "{} {}", PLATFORM_DOWN, ERROR_PLATFORM, "not the JSON" },
	{ 200, "text/html; charset=utf-8", PAGE, PLATFORM_STRAY, ERROR_PLATFORM, "web page" },
	{ 200, "TEXT/HTML", PAGE, PLATFORM_STRAY, ERROR_PLATFORM, "web page" },

	{ 301, HTML, PAGE, PLATFORM_STRAY, ERROR_PLATFORM, "redirects elsewhere (HTTP 301)" },
	{ 302, "", "", PLATFORM_STRAY, ERROR_PLATFORM, "set platform_url" },
	{ 307, JSON, "{}", PLATFORM_STRAY, ERROR_PLATFORM, "redirects" },
	{ 304, "", "", PLATFORM_DOWN, ERROR_UNAVAILABLE, "HTTP 304" },

	{ 400, JSON, "{\"error\":\"invalid request body\"}", PLATFORM_REJECTED, ERROR_PLATFORM,
	  "(\"invalid request body\")" },
	{ 400, "", "", PLATFORM_REJECTED, ERROR_PLATFORM, "HTTP 400" },
	{ 400, HTML, PAGE, PLATFORM_STRAY, ERROR_PLATFORM, "web page" },
	{ 402, JSON, "{\"error\":7}", PLATFORM_REJECTED, ERROR_PLATFORM, "HTTP 402" },
	{ 418, TEXT, "short and stout", PLATFORM_REJECTED, ERROR_PLATFORM, "HTTP 418" },

	{ 401, JSON, "{\"error\":\"invalid workspace auth token\"}", PLATFORM_UNAUTHORIZED,
	  ERROR_UNAUTHORIZED, "does not accept the token (\"invalid workspace auth token\")" },
	{ 401, JSON, "{}", PLATFORM_UNAUTHORIZED, ERROR_UNAUTHORIZED, "does not accept" },
	{ 401, "", "", PLATFORM_STRAY, ERROR_PLATFORM, "asks for a login" },
	{ 401, HTML, PAGE, PLATFORM_STRAY, ERROR_PLATFORM, "asks for a login" },
	{ 401, TEXT, "Unauthorized", PLATFORM_STRAY, ERROR_PLATFORM, "asks for a login" },

	{ 403, "", "", PLATFORM_STRAY, ERROR_PLATFORM, "Origin" },
	{ 403, HTML, PAGE, PLATFORM_STRAY, ERROR_PLATFORM, "Origin" },
	{ 403, JSON, "{\"error\":\"not authorized to discover this workspace\"}", PLATFORM_REJECTED,
	  ERROR_NOT_PERMITTED, "not authorized to discover" },

	{ 404, "", "", PLATFORM_STRAY, ERROR_PLATFORM, "org_id" },
	{ 404, TEXT, "404 page not found", PLATFORM_STRAY, ERROR_PLATFORM, "platform_url" },
	{ 404, HTML, PAGE, PLATFORM_STRAY, ERROR_PLATFORM, "platform_url" },
	{ 404, JSON, "null", PLATFORM_STRAY, ERROR_PLATFORM, "platform_url" },
	{ 404, JSON, "{\"error\":\"workspace not found\"}", PLATFORM_MISSING, ERROR_NOT_FOUND,
	  "workspace not found" },
	{ 404, JSON, "{\"deleted\":true,\"workspace_id\":\"" ID "\"}", PLATFORM_DELETED,
	  ERROR_REMOVED, "it was deleted" },
	{ 404, JSON, "{\"deleted\":true,\"status\":\"removed\",\"workspace_id\":\"" UPPER_ID "\"}",
	  PLATFORM_DELETED, ERROR_REMOVED, "it was deleted" },
	{ 404, JSON, "{\"deleted\":true,\"id\":\"" ID "\"}", PLATFORM_DELETED, ERROR_REMOVED, "" },
	/* Deletion is believed of ourselves only, and only when it is said. */
	{ 404, JSON, "{\"deleted\":true,\"workspace_id\":\"" OTHER_ID "\"}", PLATFORM_MISSING,
	  ERROR_NOT_FOUND, "" },
	{ 404, JSON, "{\"deleted\":true}", PLATFORM_MISSING, ERROR_NOT_FOUND, "" },
	{ 404, JSON, "{\"deleted\":\"true\",\"workspace_id\":\"" ID "\"}", PLATFORM_MISSING,
	  ERROR_NOT_FOUND, "" },
	{ 404, JSON, "{\"deleted\":1,\"workspace_id\":\"" ID "\"}", PLATFORM_MISSING,
	  ERROR_NOT_FOUND, "" },
	{ 404, JSON, "{\"deleted\":false,\"workspace_id\":\"" ID "\"}", PLATFORM_MISSING,
	  ERROR_NOT_FOUND, "" },
	{ 404, JSON, "[{\"deleted\":true,\"workspace_id\":\"" ID "\"}]", PLATFORM_MISSING,
	  ERROR_NOT_FOUND, "" },

	{ 410, JSON, "{\"error\":\"gone\",\"id\":\"" ID "\"}", PLATFORM_DELETED, ERROR_REMOVED,
	  "it was deleted" },
	{ 410, JSON, "{\"error\":\"gone\",\"id\":\"" OTHER_ID "\"}", PLATFORM_STRAY, ERROR_PLATFORM,
	  "another workspace" },
	{ 410, HTML, PAGE, PLATFORM_STRAY, ERROR_PLATFORM, "web page" },

	{ 429, JSON, "{\"error\":\"rate limit exceeded\",\"retry_after\":7}", PLATFORM_LIMITED,
	  ERROR_RATE_LIMITED, "fewer requests" },
	{ 429, HTML, PAGE, PLATFORM_LIMITED, ERROR_RATE_LIMITED, "fewer requests" },

	{ 500, JSON, "{\"error\":\"query failed\"}", PLATFORM_DOWN, ERROR_UNAVAILABLE, "HTTP 500" },
	{ 500, "", "", PLATFORM_DOWN, ERROR_UNAVAILABLE, "HTTP 500" },
	{ 500, JSON, "{\"error\":\"x\",\"failed_keys\":[\"global:K\"]}", PLATFORM_DOWN,
	  ERROR_UNAVAILABLE, "HTTP 500" },
	{ 502, HTML, PAGE, PLATFORM_DOWN, ERROR_UNAVAILABLE, "HTTP 502" },
	{ 503, JSON, "{}", PLATFORM_DOWN, ERROR_UNAVAILABLE, "HTTP 503" },
	{ 599, TEXT, "?", PLATFORM_DOWN, ERROR_UNAVAILABLE, "HTTP 599" },
};

TEST(each_answer_proves_what_it_proves_and_no_more)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct seen seen = see(row->status, row->type, row->body);

		if (seen.verdict != row->verdict || seen.err.kind != row->kind ||
		    !strstr(seen.err.text, row->says))
			test_fail(__FILE__, __LINE__, "%d %s: %s, %s, \"%s\"", row->status,
				  row->body, platform_verdict_name(seen.verdict),
				  error_name(seen.err.kind), seen.err.text);
		CHECK_INT(seen.status, row->status);
		if (seen.verdict != PLATFORM_OK)
			CHECK_INT(seen.err.http_status, row->status);
	}
}

TEST(a_sentence_begins_with_what_could_not_be_done)
{
	CHECK_TEXT(see(500, JSON, "{}").err.text,
		   "cannot read the state of laptop: platform.test has a problem (HTTP 500)");
}

TEST(every_silence_is_an_outage)
{
	static const struct {
		enum http_outcome outcome;
		enum error_kind kind;
		const char *says;
	} silences[] = {
		{ HTTP_UNRESOLVED, ERROR_UNAVAILABLE, "out of reach (no such host)" },
		{ HTTP_UNREACHABLE, ERROR_UNAVAILABLE, "out of reach" },
		{ HTTP_UNTRUSTED, ERROR_UNAVAILABLE, "ca_file and the clock" },
		{ HTTP_TIMED_OUT, ERROR_UNAVAILABLE, "did not answer within 10.0 s" },
		{ HTTP_TOO_LARGE, ERROR_PLATFORM, "larger than 1000 bytes" },
		{ HTTP_BROKEN, ERROR_UNAVAILABLE, "out of reach" },
		{ HTTP_REFUSED, ERROR_INTERNAL, "not sent" },
	};

	for (size_t i = 0; i < ARRAY_LEN(silences); i++) {
		/* A status is worth nothing when the answer broke off. */
		struct http_result result = {
			.outcome = silences[i].outcome,
			.status = 404,
			.why = "no such host",
		};
		struct seen seen = read_result(&result, false);

		CHECK_INT(seen.verdict, PLATFORM_DOWN);
		CHECK_INT(seen.status, 0);
		CHECK_INT(seen.err.kind, silences[i].kind);
		CHECK(strstr(seen.err.text, silences[i].says));
	}
}

TEST(a_silence_may_have_no_reason)
{
	struct http_result result = { .outcome = HTTP_BROKEN };

	CHECK(strstr(read_result(&result, false).err.text, "no reason given"));
	result.why = "";
	CHECK(strstr(read_result(&result, false).err.text, "no reason given"));
}

static int64_t rest_after(const char *retry_after)
{
	struct http_result result = answer(429, JSON, "{}");

	result.retry_after = retry_after;
	return read_result(&result, false).err.retry_after_ms;
}

TEST(a_429_says_how_long_to_rest)
{
	CHECK_INT(rest_after("7"), 7000);
	CHECK_INT(rest_after("0"), 0);
	CHECK_INT(rest_after("3600"), REST_MAX_MS);
	CHECK_INT(rest_after("99999999999999999999"), REST_MAX_MS);
	CHECK_INT(rest_after("Fri, 20 Nov 2026 12:00:30 GMT"), 30000);
	CHECK_INT(rest_after("Fri, 20 Nov 2026 11:59:00 GMT"), 0);
	CHECK_INT(rest_after("Sat, 21 Nov 2026 12:00:00 GMT"), REST_MAX_MS);
}

TEST(a_429_that_does_not_say_it_in_a_way_we_know_says_nothing)
{
	CHECK_INT(rest_after(NULL), 0);
	CHECK_INT(rest_after(""), 0);
	CHECK_INT(rest_after("-5"), 0);
	CHECK_INT(rest_after("1.5"), 0);
	CHECK_INT(rest_after("soon"), 0);
}

TEST(words_from_outside_are_quoted_and_cut)
{
	char body[2000] = "{\"error\":\"\\u001b[31m";
	size_t len = strlen(body);
	struct seen seen;

	memset(body + len, 'x', 1500);
	memcpy(body + len + 1500, "\"}", 3);
	seen = see(400, JSON, body);
	CHECK(!strchr(seen.err.text, '\033'));
	CHECK(strlen(seen.err.text) < ERROR_TEXT_MAX);
	CHECK(!strstr(seen.err.text,
		      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
}

static struct seen see_secrets(int status, const char *type, const char *body)
{
	struct http_result result = answer(status, type, body);

	return read_result(&result, true);
}

TEST(a_bundle_of_secrets_is_checked_and_not_parsed)
{
	struct seen seen = see_secrets(200, JSON, "{\"KEY\":\"" SECRET "\"}");

	CHECK_INT(seen.verdict, PLATFORM_OK);
	CHECK(!seen.has_json);
}

TEST(no_secret_gets_into_a_sentence)
{
	static const struct {
		int status;
		const char *type, *body;
	} odd[] = {
		{ 200, JSON, "{\"KEY\":\"" SECRET "\"" },
		{ 200, JSON, "{\"error\":\"" SECRET "\"} trailing" },
		{ 200, TEXT, SECRET },
		{ 200, HTML, "<p>" SECRET },
		{ 206, JSON, "{\"KEY\":\"" SECRET },
		{ 299, JSON, "[\"" SECRET "\"" },
		{ 302, HTML, SECRET },
		{ 500, JSON, "{\"error\":{\"KEY\":\"" SECRET "\"}}" },
		{ 500, TEXT, SECRET },
		{ 404, TEXT, SECRET },
		{ 410, HTML, SECRET },
		{ 429, TEXT, SECRET },
		{ 401, TEXT, SECRET },
		{ 403, TEXT, SECRET },
		{ 418, TEXT, SECRET },
	};

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct seen seen = see_secrets(odd[i].status, odd[i].type, odd[i].body);

		CHECK(seen.verdict != PLATFORM_OK);
		CHECK(!strstr(seen.err.text, SECRET));
	}
}

TEST(an_error_about_secrets_is_no_secret)
{
	struct http_result result = answer(500, JSON, "{\"failed_keys\":[\"global:K\"]}");
	struct verdict_question question = question_of(true);
	struct platform_reply reply;

	verdict_read(&question, &result, NOW_S, REST_MAX_MS, &reply);
	CHECK(json_get_array(reply.json, "failed_keys"));
	json_object_put(reply.json);
}

TEST(what_never_got_out_is_told_as_such)
{
	struct verdict_question question = question_of(false);
	struct platform_reply reply;

	verdict_unsent(&question, ERROR_RATE_LIMITED, "no room", &reply);
	CHECK_INT(reply.verdict, PLATFORM_LIMITED);
	CHECK_TEXT(reply.err.text, "cannot read the state of laptop: no room");
	CHECK(!reply.sent && !reply.status && !reply.json);

	verdict_unsent(&question, ERROR_UNAVAILABLE, "slow", &reply);
	CHECK_INT(reply.verdict, PLATFORM_DOWN);
	CHECK_INT(reply.err.kind, ERROR_UNAVAILABLE);
}
