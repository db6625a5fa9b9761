/* SPDX-License-Identifier: MIT */
/*
 * Reading replies as evidence. A reply proves only what nobody else could have
 * said: a 404 without a body comes from a tenant guard that missed its header,
 * one in plain text from a wrong base URL, a page of HTML from whatever stands
 * in between. That our workspace is gone only our own platform says: in JSON that
 * names it, or with a 410, which nothing else has for these paths.
 */

#include "platform/verdict.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/jsonscan.h"
#include "base/parse.h"

struct reading {
	const struct verdict_question *question;
	const struct http_result *result;
	struct platform_reply *reply;
	int64_t now_s, rest_max_ms;
};

static void conclude(const struct reading *reading, enum platform_verdict verdict,
		     enum error_kind kind, const char *format, ...) PRINTF(4, 5);

static void conclude(const struct reading *reading, enum platform_verdict verdict,
		     enum error_kind kind, const char *format, ...)
{
	struct platform_reply *reply = reading->reply;
	char why[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);

	(void)error_set(&reply->err, kind, 0, "cannot %s: %s", reading->question->what, why);
	reply->err.http_status = reply->status;
	reply->verdict = verdict;
}

static const char *platform_of(const struct reading *reading)
{
	return reading->question->label;
}

static void read_silence(const struct reading *reading)
{
	const struct http_result *result = reading->result;
	const char *label = platform_of(reading);
	const char *why = result->why && result->why[0] ? result->why : "no reason given";

	switch (result->outcome) {
	case HTTP_TIMED_OUT:
		if (reading->question->streamed) {
			conclude(reading, PLATFORM_DOWN, ERROR_UNAVAILABLE,
				 "%s did not send all of it in time (%s)", label, why);
			return;
		}
		conclude(reading, PLATFORM_DOWN, ERROR_UNAVAILABLE,
			 "%s did not answer within %.1f s", label,
			 (double)reading->question->timeout_ms / 1000);
		return;
	case HTTP_TOO_LARGE:
		conclude(reading, PLATFORM_DOWN,
			 reading->question->streamed ? ERROR_TOO_LARGE : ERROR_PLATFORM,
			 "the answer of %s is larger than %zu bytes", label,
			 reading->question->max_body);
		return;
	case HTTP_UNTRUSTED:
		conclude(reading, PLATFORM_DOWN, ERROR_UNAVAILABLE,
			 "no trusted connection to %s (%s); check ca_file and the clock", label,
			 why);
		return;
	case HTTP_REFUSED:
		conclude(reading, PLATFORM_DOWN, ERROR_INTERNAL, "the request was not sent (%s)",
			 why);
		return;
	case HTTP_UNRESOLVED:
	case HTTP_UNREACHABLE:
	case HTTP_BROKEN:
	case HTTP_ANSWERED:
		break;
	}
	conclude(reading, PLATFORM_DOWN, ERROR_UNAVAILABLE, "%s is out of reach (%s)", label, why);
}

/* The platform's own words, quoted; "" when it gave none, or has put our token into them. */
static const char *platform_words(const struct reading *reading, char *dst, size_t dst_size)
{
	const char *text = json_get_string(reading->reply->json, "error");
	const char *token = reading->question->token;
	char quoted[160];

	dst[0] = '\0';
	if (text && !(token && strstr(text, token)))
		(void)snprintf(dst, dst_size, " (\"%s\")",
			       error_quote(quoted, sizeof(quoted), text, strlen(text)));
	return dst;
}

static bool is_web_page(const struct reading *reading)
{
	return strncasecmp(reading->result->content_type, "text/html", 9) == 0;
}

static void read_redirect(const struct reading *reading)
{
	conclude(reading, PLATFORM_STRAY, ERROR_PLATFORM,
		 "%s redirects elsewhere (HTTP %d); set platform_url to where the platform is now",
		 platform_of(reading), reading->reply->status);
}

static void read_page(const struct reading *reading)
{
	conclude(
		reading, PLATFORM_STRAY, ERROR_PLATFORM,
		"%s answers with a web page (HTTP %d); check platform_url, and whether a login page "
		"or proxy stands in between",
		platform_of(reading), reading->reply->status);
}

static void read_success(const struct reading *reading)
{
	struct platform_reply *reply = reading->reply;
	struct error err = { 0 };

	/* A secret bundle is only checked; everything else was parsed already. */
	if (reply->json)
		return;
	if (reading->question->keep_raw &&
	    json_check(reply->body, reply->body_len, JSON_DEPTH_MAX, JSON_VALUES_MAX, &err) == 0)
		return;
	if (reply->status == 204 && !reply->body_len)
		return;
	if (reading->question->streamed && reply->status == 200)
		return;

	if (is_web_page(reading)) {
		read_page(reading);
		return;
	}
	conclude(reading, PLATFORM_DOWN, ERROR_PLATFORM,
		 "the answer of %s is not the JSON it should be (HTTP %d, %zu bytes)",
		 platform_of(reading), reply->status, reply->body_len);
}

static void read_unauthorized(const struct reading *reading)
{
	char words[200];

	if (!reading->reply->json) {
		conclude(
			reading, PLATFORM_STRAY, ERROR_PLATFORM,
			"something before %s asks for a login (HTTP 401 that is not the platform's)",
			platform_of(reading));
		return;
	}
	conclude(reading, PLATFORM_UNAUTHORIZED, ERROR_UNAUTHORIZED,
		 "%s does not accept the token%s", platform_of(reading),
		 platform_words(reading, words, sizeof(words)));
}

static void read_forbidden(const struct reading *reading)
{
	char words[200];

	if (reading->reply->json) {
		conclude(reading, PLATFORM_REJECTED, ERROR_NOT_PERMITTED, "%s refuses it%s",
			 platform_of(reading), platform_words(reading, words, sizeof(words)));
		return;
	}
	conclude(reading, PLATFORM_STRAY, ERROR_PLATFORM,
		 "%s does not know the Origin header (HTTP 403); remove `origin`, or set it to the "
		 "platform's own",
		 platform_of(reading));
}

/* The id that a reply names, or NULL. */
static const char *reply_id(const struct platform_reply *reply)
{
	const char *id = json_get_string(reply->json, "workspace_id");

	return id ? id : json_get_string(reply->json, "id");
}

static void read_missing(const struct reading *reading)
{
	struct platform_reply *reply = reading->reply;
	const char *id = reply_id(reply);
	bool deleted = false;
	char words[200];

	if (!reply->json && !reply->body_len) {
		conclude(
			reading, PLATFORM_STRAY, ERROR_PLATFORM,
			"%s knows no such place for this organisation (empty HTTP 404); set org_id, "
			"or origin, as the platform's owner says",
			platform_of(reading));
		return;
	}
	if (!reply->json) {
		conclude(reading, PLATFORM_STRAY, ERROR_PLATFORM,
			 "no platform answers at %s (HTTP 404 that is not the platform's); check "
			 "platform_url",
			 platform_of(reading));
		return;
	}

	(void)json_get_bool(reply->json, "deleted", &deleted);
	if (deleted && id && strcasecmp(id, reading->question->id) == 0) {
		conclude(reading, PLATFORM_DELETED, ERROR_REMOVED, "it was deleted on %s",
			 platform_of(reading));
		return;
	}
	conclude(reading, PLATFORM_MISSING, ERROR_NOT_FOUND, "%s does not have it%s",
		 platform_of(reading), platform_words(reading, words, sizeof(words)));
}

static void read_gone(const struct reading *reading)
{
	const char *id = reply_id(reading->reply);

	if (is_web_page(reading)) {
		read_page(reading);
		return;
	}
	if (id && strcasecmp(id, reading->question->id) != 0) {
		conclude(reading, PLATFORM_STRAY, ERROR_PLATFORM,
			 "%s speaks of another workspace (HTTP 410)", platform_of(reading));
		return;
	}
	conclude(reading, PLATFORM_DELETED, ERROR_REMOVED, "it was deleted on %s",
		 platform_of(reading));
}

static void read_limited(const struct reading *reading)
{
	const char *value = reading->result->retry_after;
	int64_t wait_ms = 0;

	if (value && parse_retry_after(value, strlen(value), reading->now_s, reading->rest_max_ms,
				       &wait_ms) < 0)
		wait_ms = 0;

	conclude(reading, PLATFORM_LIMITED, ERROR_RATE_LIMITED,
		 "%s asks for fewer requests (HTTP 429)", platform_of(reading));
	reading->reply->err.retry_after_ms = wait_ms;
}

static void read_client_error(const struct reading *reading)
{
	char words[200];

	if (is_web_page(reading)) {
		read_page(reading);
		return;
	}
	conclude(reading, PLATFORM_REJECTED, ERROR_PLATFORM, "%s refuses the request (HTTP %d)%s",
		 platform_of(reading), reading->reply->status,
		 platform_words(reading, words, sizeof(words)));
}

static void read_server_error(const struct reading *reading)
{
	char words[200];

	conclude(reading, PLATFORM_DOWN, ERROR_UNAVAILABLE, "%s has a problem (HTTP %d)%s",
		 platform_of(reading), reading->reply->status,
		 platform_words(reading, words, sizeof(words)));
}

static void read_status(const struct reading *reading)
{
	int status = reading->reply->status;

	if (status >= 200 && status < 300) {
		read_success(reading);
		return;
	}
	if (status >= 300 && status < 400 && status != 304) {
		read_redirect(reading);
		return;
	}

	switch (status) {
	case 401:
		read_unauthorized(reading);
		return;
	case 403:
		read_forbidden(reading);
		return;
	case 404:
		read_missing(reading);
		return;
	case 410:
		read_gone(reading);
		return;
	case 429:
		read_limited(reading);
		return;
	default:
		break;
	}
	if (status >= 400 && status < 500) {
		read_client_error(reading);
		return;
	}
	read_server_error(reading);
}

static struct platform_reply reply_of(const struct http_result *result)
{
	return (struct platform_reply){
		.verdict = PLATFORM_OK,
		.status = result->outcome == HTTP_ANSWERED ? result->status : 0,
		.body = result->body ? result->body : "",
		.body_len = result->body_len,
		.sent = result->sent,
		.elapsed_ms = result->elapsed_ms,
		.result = result,
	};
}

void verdict_read(const struct verdict_question *question, const struct http_result *result,
		  int64_t now_s, int64_t rest_max_ms, struct platform_reply *reply)
{
	struct reading reading = { question, result, reply, now_s, rest_max_ms };

	*reply = reply_of(result);
	if (result->outcome != HTTP_ANSWERED) {
		read_silence(&reading);
		return;
	}

	/* Secrets are not to be scattered over json-c's heap; errors are no secrets. */
	if (result->body_len && !(question->keep_raw && result->status < 300))
		(void)json_parse(result->body, result->body_len, &reply->json, NULL);

	read_status(&reading);
}

void verdict_unread(const struct verdict_question *question, const struct http_result *result,
		    int64_t now_s, int64_t rest_max_ms, struct platform_reply *reply)
{
	struct reading reading = { question, result, reply, now_s, rest_max_ms };

	*reply = reply_of(result);
	if (reply->status == 429 && result->retry_after)
		read_limited(&reading);
}

void verdict_unsent(const struct verdict_question *question, enum error_kind kind, const char *why,
		    struct platform_reply *reply)
{
	struct reading reading = { question, NULL, reply, 0, 0 };

	*reply = (struct platform_reply){ .body = "" };
	conclude(&reading, kind == ERROR_RATE_LIMITED ? PLATFORM_LIMITED : PLATFORM_DOWN, kind,
		 "%s", why);
}

const char *platform_verdict_name(enum platform_verdict verdict)
{
	switch (verdict) {
	case PLATFORM_OK:
		return "ok";
	case PLATFORM_DOWN:
		return "down";
	case PLATFORM_UNAUTHORIZED:
		return "unauthorized";
	case PLATFORM_DELETED:
		return "deleted";
	case PLATFORM_MISSING:
		return "missing";
	case PLATFORM_STRAY:
		return "stray";
	case PLATFORM_LIMITED:
		return "limited";
	case PLATFORM_REJECTED:
		return "rejected";
	}
	return "?";
}
