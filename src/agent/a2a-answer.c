/* SPDX-License-Identifier: MIT */
/*
 * From replies to meanings. The platform passes on what an agent answers with
 * 2xx as it is; of anything else it keeps the status and one sentence, so that
 * an agent's refusal and the platform's own look alike. The platform is known
 * by its words; words that are not its own are the agent's.
 */

#include "agent/a2a-answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/a2a-shape.h"
#include "base/jsonscan.h"
#include "base/parse.h"
#include "base/util.h"

#define RPC_METHOD_NOT_FOUND -32601
#define A2A_VERSION_NOT_SUPPORTED -32009

struct reading {
	const struct a2a_question *question;
	const struct http_result *result;
	struct a2a_answer *answer;
	const char *body; /* without a byte order mark */
	size_t body_len;
	struct json_text json; /* the body, when it is JSON */
	char peer[68];         /* its name, safe to show */
};

/* What a failure is, and why. */
static void fail(struct reading *reading, enum error_kind kind, const char *format, ...)
	PRINTF(3, 4);

static void fail(struct reading *reading, enum error_kind kind, const char *format, ...)
{
	const struct http_result *result = reading->result;
	struct a2a_answer *answer = reading->answer;
	char why[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);

	answer->kind = A2A_FAILED;
	if (kind == ERROR_UNKNOWN_OUTCOME)
		(void)error_set(&answer->err, kind, 0, "the call to %s has no known outcome: %s",
				reading->peer, why);
	else
		(void)error_set(&answer->err, kind, 0, "cannot call %s: %s", reading->peer, why);
	if (result->outcome == HTTP_ANSWERED && result->status >= 300)
		answer->err.http_status = result->status;
}

static bool is_direct(const struct reading *reading)
{
	return reading->question->route == A2A_DIRECT;
}

/* Who was spoken to: the other end of the connection. */
static const char *other_end(const struct reading *reading)
{
	return is_direct(reading) ? reading->peer : reading->question->platform;
}

/* A JSON string as words in brackets; "" when there is none, or our token is in it. */
static const char *words_of(const struct reading *reading, struct json_text string, char *dst,
			    size_t dst_size)
{
	const char *token = reading->question->token;
	char text[512], quoted[160];
	ssize_t len;

	dst[0] = '\0';
	if (string.len > sizeof(text))
		return dst;
	len = json_text_decode(string, text, sizeof(text));
	if (len <= 0 || (token && memmem(text, (size_t)len, token, strlen(token))))
		return dst;

	(void)snprintf(dst, dst_size, " (\"%s\")",
		       error_quote(quoted, sizeof(quoted), text, (size_t)len));
	return dst;
}

static bool is_web_page(const struct reading *reading)
{
	return strncasecmp(reading->result->content_type, "text/html", strlen("text/html")) == 0;
}

/* How long it asks us to wait: in a header, or as the platform says it in its JSON; 0: not at all.
 */
static int64_t retry_after(const struct reading *reading)
{
	const struct a2a_question *question = reading->question;
	const char *header = reading->result->retry_after;
	int64_t ms, s;

	if (header && parse_retry_after(header, strlen(header), question->now_s,
					question->rest_max_ms, &ms) == 0)
		return ms;
	if (json_text_int64(json_text_member(reading->json, "retry_after"), &s) == 0 && s > 0)
		return MIN(s, question->rest_max_ms / 1000) * 1000;

	return 0;
}

static void read_timeout(struct reading *reading)
{
	double seconds = (double)reading->question->timeout_ms / 1000;

	if (!reading->result->sent)
		fail(reading, ERROR_TIMEOUT, "nothing could be sent to %s within %.1f s",
		     other_end(reading), seconds);
	else
		fail(reading, ERROR_UNKNOWN_OUTCOME,
		     "it was sent, and no answer came within %.1f s; the peer may still act on it",
		     seconds);
}

/* No reply, or none that is whole. */
static void read_silence(struct reading *reading)
{
	const struct http_result *result = reading->result;
	const char *why = result->why && result->why[0] ? result->why : "no reason given";
	const char *end = other_end(reading);

	reading->answer->may_fall_back = is_direct(reading) && !result->sent;
	if (result->outcome == HTTP_TIMED_OUT)
		read_timeout(reading);
	else if (result->outcome == HTTP_TOO_LARGE && result->sent)
		fail(reading, ERROR_TOO_LARGE,
		     "it has answered, and not all of that could be taken (%s; the limits are %zu "
		     "bytes, and %d of headers)",
		     why, reading->question->max_body, HTTP_HEADERS_MAX);
	else if (result->sent)
		fail(reading, ERROR_UNKNOWN_OUTCOME,
		     "it was sent, and the answer was lost (%s); the peer may have acted on it",
		     why);
	else if (result->outcome == HTTP_UNTRUSTED)
		fail(reading, ERROR_UNAVAILABLE, "no trusted connection to %s (%s)", end, why);
	else
		fail(reading, ERROR_UNAVAILABLE, "%s is out of reach (%s)", end, why);
}

static void read_rpc_error(struct reading *reading, const struct a2a_shape *shape)
{
	bool is_other_version =
		shape->code == RPC_METHOD_NOT_FOUND || shape->code == A2A_VERSION_NOT_SUPPORTED;
	char words[200];

	(void)words_of(reading, shape->words, words, sizeof(words));
	if (shape->code)
		fail(reading, ERROR_PEER, "it answered with the error %lld%s",
		     (long long)shape->code, words);
	else
		fail(reading, ERROR_PEER, "it answered with an error%s", words);

	/* The platform drops the header that says which version is spoken. */
	if (is_other_version && is_direct(reading) && !reading->question->is_poll)
		reading->answer->kind = A2A_WRONG_VERSION;
}

static void read_shape(struct reading *reading, const struct a2a_shape *shape)
{
	struct a2a_answer *answer = reading->answer;

	switch (shape->kind) {
	case A2A_SHAPE_ERROR:
		read_rpc_error(reading, shape);
		return;
	case A2A_SHAPE_ANSWER:
		answer->kind = A2A_ANSWERED;
		answer->response = reading->json;
		answer->text = shape->text;
		return;
	case A2A_SHAPE_WORKING:
		answer->kind = A2A_TASK_WORKING;
		(void)json_text_cstring(shape->id, answer->task_id, sizeof(answer->task_id));
		return;
	case A2A_SHAPE_QUEUED:
		answer->kind = A2A_QUEUED;
		if (json_text_cstring(shape->id, answer->queue_id, sizeof(answer->queue_id)) < 0)
			answer->queue_id[0] = '\0';
		return;
	case A2A_SHAPE_NONE:
		break;
	}
	/* What was taken for later is not answered with more than that. */
	if (reading->result->status == 202)
		answer->kind = A2A_QUEUED;
	else
		fail(reading, ERROR_PEER, "it answered with JSON that is no A2A reply");
}

/* It ends where its connection did, and what there is of it is no reply. */
static void read_fragment(struct reading *reading)
{
	fail(reading, ERROR_UNKNOWN_OUTCOME,
	     "it was sent, and the answer is not whole (it ended with the connection); the peer "
	     "may have acted on it");
}

static void read_stream(struct reading *reading)
{
	struct a2a_answer *answer = reading->answer;
	struct a2a_shape shape;
	int r;

	buffer_init(&answer->joined, reading->body_len);
	r = a2a_stream_read(reading->body, reading->body_len, &answer->joined, &reading->json,
			    &shape);
	if (r == -ENOENT && reading->result->unframed)
		read_fragment(reading);
	else if (r == -ENOENT)
		fail(reading, ERROR_PEER, "it answered with a stream of events that has no reply");
	else if (r < 0)
		fail(reading, ERROR_INTERNAL, "no memory to read its answer");
	else
		read_shape(reading, &shape);
}

/* The page of a login or of a proxy, if it came on the way to the platform. */
static void read_page(struct reading *reading)
{
	fail(reading, is_direct(reading) ? ERROR_PEER : ERROR_PLATFORM,
	     "%s answered with a web page (HTTP %d)", other_end(reading), reading->result->status);
}

static void read_unreadable(struct reading *reading, const struct error *why)
{
	const struct http_result *result = reading->result;

	if (result->status == 202)
		reading->answer->kind = A2A_QUEUED;
	else if (result->body_len && is_web_page(reading))
		read_page(reading);
	else if (result->unframed && why->kind != ERROR_TOO_LARGE)
		read_fragment(reading);
	else if (!result->body_len)
		fail(reading, ERROR_PEER, "its answer is empty (HTTP %d)", result->status);
	else if (why->kind == ERROR_TOO_LARGE)
		fail(reading, ERROR_TOO_LARGE, "its answer is too large: %s", why->text);
	else
		fail(reading, ERROR_PEER, "its answer is not JSON: %s", why->text);
}

static void read_success(struct reading *reading, const struct error *unreadable)
{
	const struct http_result *result = reading->result;
	struct a2a_shape shape;

	if (a2a_stream_is(result->content_type, reading->body, reading->body_len) &&
	    !reading->json.len) {
		read_stream(reading);
		return;
	}
	if (!reading->json.len) {
		read_unreadable(reading, unreadable);
		return;
	}
	a2a_shape_read(reading->json, &shape);
	read_shape(reading, &shape);
}

/* An HTTP error of the agent's own, on either way. */
static void read_refusal(struct reading *reading)
{
	int status = reading->result->status;
	struct a2a_shape shape;
	char words[200];

	a2a_shape_read(reading->json, &shape);
	(void)words_of(reading, shape.words, words, sizeof(words));
	if (status == 429)
		fail(reading, ERROR_RATE_LIMITED, "it asks for fewer requests (HTTP 429)%s", words);
	else if (status < 400)
		fail(reading, ERROR_PEER,
		     "it redirects elsewhere (HTTP %d), and redirects are not followed", status);
	else
		fail(reading, ERROR_PEER, "it answered with HTTP %d%s", status, words);
	reading->answer->err.retry_after_ms = retry_after(reading);
}

static void read_direct_refusal(struct reading *reading)
{
	int status = reading->result->status;
	struct a2a_shape shape;

	/* Who speaks JSON-RPC has read the message, whatever status comes with that. */
	a2a_shape_read(reading->json, &shape);
	if (shape.kind == A2A_SHAPE_ERROR && shape.code) {
		read_rpc_error(reading, &shape);
		return;
	}

	read_refusal(reading);
	/* 404 and 405: another one lives at that address now, and did nothing. */
	reading->answer->may_fall_back = status >= 500 || status == 404 || status == 405;
}

/* What the platform says itself, rather than the agent behind it. */
struct platform_saying {
	int status;
	const char *words; /* in its error, which nobody else's has */
	enum error_kind kind;
	const char *meaning;
};

static const struct platform_saying sayings[] = {
	{ 400, "invalid JSON", ERROR_PLATFORM, "the platform cannot read the request" },
	{ 401, "auth token", ERROR_UNAUTHORIZED, "the platform does not accept the token" },
	{ 402, "budget", ERROR_BUDGET, "its budget is spent" },
	{ 403, "hierarchy", ERROR_NOT_PERMITTED,
	  "the platform's hierarchy does not let these two talk" },
	{ 403, "cannot communicate", ERROR_NOT_PERMITTED,
	  "the platform does not let these two talk" },
	{ 403, "invalid caller ID", ERROR_PLATFORM, "the platform does not take our id" },
	{ 404, "workspace not found", ERROR_NOT_FOUND, "the platform has no such workspace" },
	{ 410, "", ERROR_NOT_FOUND, "it was deleted on the platform" },
	{ 500, "lookup failed", ERROR_UNAVAILABLE, "the platform cannot look it up" },
	{ 502, "failed to reach workspace agent", ERROR_UNAVAILABLE,
	  "the platform does not reach it" },
	{ 502, "not publicly routable", ERROR_UNAVAILABLE,
	  "its address is one that the platform does not call" },
	{ 502, "failed to read agent response", ERROR_UNKNOWN_OUTCOME,
	  "the platform delivered it and lost the answer; the peer may have acted on it" },
	{ 503, "has no URL", ERROR_UNAVAILABLE, "it has no address at the platform now" },
};

/* Members that come with some of its errors and say more than the words. */
static const struct platform_saying flags[] = {
	{ 502, "delivery_confirmed", ERROR_UNKNOWN_OUTCOME,
	  "the platform delivered it and lost the answer; the peer may have acted on it" },
	{ 503, "restarting", ERROR_UNAVAILABLE, "it is being restarted" },
	{ 503, "waking", ERROR_UNAVAILABLE, "it is being woken up" },
	/* Busy is also who hung up, or took too long: the platform does not know either. */
	{ 503, "busy", ERROR_UNKNOWN_OUTCOME,
	  "it is busy, or went away with the message; it may have acted on it" },
};

static const struct platform_saying *find_saying(struct json_text json, int status)
{
	char error[256] = "";
	struct json_text words = json_text_member(json, "error");

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (flags[i].status == status &&
		    json_text_is_true(json_text_member(json, flags[i].words)))
			return &flags[i];

	if (json_text_cstring(words, error, sizeof(error)) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(sayings); i++)
		if (sayings[i].status == status && strstr(error, sayings[i].words))
			return &sayings[i];

	return NULL;
}

/* Not the platform's JSON: something stands between it and us, or it broke down. */
static void read_stray(struct reading *reading)
{
	const char *platform = reading->question->platform;
	int status = reading->result->status;

	if (status == 429) {
		fail(reading, ERROR_RATE_LIMITED, "%s asks for fewer requests (HTTP 429)",
		     platform);
		reading->answer->err.retry_after_ms = retry_after(reading);
	} else if (status == 503) {
		fail(reading, ERROR_UNAVAILABLE, "%s is not in service (HTTP 503)", platform);
		reading->answer->err.retry_after_ms = retry_after(reading);
	} else if (status >= 500) {
		fail(reading, ERROR_UNKNOWN_OUTCOME,
		     "%s broke down over it (HTTP %d); the peer may have acted on it", platform,
		     status);
	} else if (status < 400) {
		fail(reading, ERROR_PLATFORM,
		     "%s redirects elsewhere (HTTP %d); set platform_url to where the platform is "
		     "now",
		     platform, status);
	} else if (is_web_page(reading)) {
		read_page(reading);
	} else {
		fail(reading, ERROR_PLATFORM,
		     "%s refuses the request, and not as the platform does (HTTP %d); check "
		     "platform_url, org_id and origin",
		     platform, status);
	}
}

static void read_proxy_refusal(struct reading *reading)
{
	const struct platform_saying *saying;
	char words[200];

	if (json_text_kind(reading->json) != JSON_OBJECT) {
		read_stray(reading);
		return;
	}

	saying = find_saying(reading->json, reading->result->status);
	if (!saying) {
		read_refusal(reading);
		return;
	}
	(void)words_of(reading, json_text_member(reading->json, "error"), words, sizeof(words));
	fail(reading, saying->kind, "%s%s", saying->meaning, words);
	reading->answer->err.retry_after_ms = retry_after(reading);
}

/* Some writers of UTF-8 begin with a byte order mark, which a reader of JSON may ignore. */
static void find_body(struct reading *reading)
{
	static const char mark[] = "\xef\xbb\xbf";
	const struct http_result *result = reading->result;
	size_t skip = 0;

	if (result->body_len >= strlen(mark) && memcmp(result->body, mark, strlen(mark)) == 0)
		skip = strlen(mark);
	reading->body = result->body + skip;
	reading->body_len = result->body_len - skip;
}

static void read_answered(struct reading *reading)
{
	const struct http_result *result = reading->result;
	struct error unreadable = { ERROR_NONE };

	find_body(reading);
	if (json_check(reading->body, reading->body_len, A2A_REPLY_DEPTH_MAX, A2A_REPLY_VALUES_MAX,
		       &unreadable) == 0)
		reading->json = json_text_from(reading->body, reading->body_len);

	if (result->status >= 200 && result->status < 300)
		read_success(reading, &unreadable);
	else if (is_direct(reading))
		read_direct_refusal(reading);
	else
		read_proxy_refusal(reading);
}

/*
 * The message was delivered before: however little came of asking for its task,
 * nobody may think that nothing was done.
 */
static void read_poll(struct reading *reading)
{
	struct a2a_answer *answer = reading->answer;

	answer->may_fall_back = false;
	if (answer->kind == A2A_QUEUED)
		fail(reading, ERROR_UNKNOWN_OUTCOME, "it is too busy to say what became of it");
	if (answer->kind != A2A_FAILED)
		return;

	answer->may_poll_again =
		answer->err.kind == ERROR_UNKNOWN_OUTCOME || error_is_retryable(&answer->err);
	if (answer->err.kind != ERROR_PEER || answer->may_poll_again)
		answer->err.kind = ERROR_UNKNOWN_OUTCOME;
	error_prefix(&answer->err, "%s took the message, and then", reading->peer);
}

void a2a_answer_read(struct a2a_answer *ret, const struct a2a_question *question,
		     const struct http_result *result)
{
	struct reading reading = { .question = question, .result = result, .answer = ret };

	*ret = (struct a2a_answer){ .kind = A2A_FAILED };
	buffer_init(&ret->joined, 0);
	(void)error_quote(reading.peer, sizeof(reading.peer), question->peer,
			  strlen(question->peer));

	if (result->outcome == HTTP_ANSWERED)
		read_answered(&reading);
	else
		read_silence(&reading);
	if (question->is_poll)
		read_poll(&reading);
}

void a2a_answer_fini(struct a2a_answer *answer)
{
	buffer_fini(&answer->joined);
}

/* A NUL is grammatical in JSON, and the end of the text to many who read it. */
static int write_repaired(struct json_text string, struct buffer *out)
{
	static const char replacement[] = "\xef\xbf\xbd";
	AUTO(buffer_fini) struct buffer repaired = BUFFER_INIT(string.len * 3);
	AUTO(free) char *text = NULL;
	ssize_t len;

	text = malloc(string.len);
	if (!text)
		return -ENOMEM;

	len = json_text_decode(string, text, string.len);
	for (ssize_t i = 0; i < len; i++)
		if (text[i])
			(void)buffer_append_char(&repaired, text[i]);
		else
			(void)buffer_append_text(&repaired, replacement);
	if (repaired.failed)
		return repaired.failed;

	return json_write_string(out, buffer_at(&repaired), buffer_len(&repaired));
}

int a2a_answer_write_text(const struct a2a_answer *answer, struct buffer *out)
{
	struct json_text text = answer->text;

	if (!text.len)
		return buffer_append_text(out, "null");
	/* Only this escape can make what no text has: a NUL, half a character. */
	if (!memmem(text.at, text.len, "\\u", 2))
		return buffer_append(out, text.at, text.len);

	return write_repaired(text, out);
}

int a2a_answer_write_response(const struct a2a_answer *answer, struct buffer *out)
{
	if (!answer->response.len)
		return buffer_append_text(out, "null");

	return json_write_compact(out, answer->response);
}
