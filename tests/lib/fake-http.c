/* SPDX-License-Identifier: MIT */
/*
 * HTTP without a network: requests wait in a list for the test to answer them.
 */

#include "lib/fake-http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "lib/test.h"

#define CARRIED_MAX 65536 /* bytes of headers; no test has more */

struct http {
	struct list requests; /* oldest first */
	fake_start_fn on_start;
	void *data;
	bool refuse;
	struct http_stats stats;
};

/* What the code under test holds while its request is in flight, and then of the reply. */
struct http_transfer {
	struct fake_request fake;
	const char *const *reply_headers; /* or NULL */
};

static char *copy(const char *text, size_t len)
{
	char *dup = strndup(text, len);

	CHECK(dup);
	return dup;
}

static char *copy_text(const char *text)
{
	return copy(text, strlen(text));
}

static char *join_headers(const char *const *headers)
{
	struct buffer joined = BUFFER_INIT(CARRIED_MAX);
	char *text;

	for (; headers && *headers; headers++)
		CHECK(buffer_printf(&joined, "%s\n", *headers) == 0);
	text = copy(buffer_len(&joined) ? buffer_at(&joined) : "", buffer_len(&joined));
	buffer_fini(&joined);
	return text;
}

static void fake_free(struct fake_request *fake)
{
	list_remove(&fake->node);
	fake->http->stats.in_flight--;
	fake->request->http = NULL;
	fake->request->transfer = NULL;
	free(fake->method);
	free(fake->url);
	free(fake->body);
	free(fake->bearer);
	free(fake->headers);
	free(container_of(fake, struct http_transfer, fake));
}

int http_new(struct loop *loop, struct http **ret, struct error *err)
{
	struct http *http = calloc(1, sizeof(*http));

	CHECK(http);
	list_init(&http->requests);
	*ret = http;
	return 0;
}

void http_limit(struct http *http, const struct http_limits *limits)
{
}

void http_free(struct http *http)
{
	if (!http)
		return;

	CHECK_INT(fake_http_count(http), 0);
	free(http);
}

void http_request_init(struct http_request *request, http_done_fn on_done)
{
	*request = (struct http_request){ .on_done = on_done };
}

int http_request_start(struct http_request *request, struct http *http,
		       const struct http_spec *spec, struct error *err)
{
	struct http_transfer *transfer;

	CHECK(!request->http);
	if (http->refuse)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a request");

	transfer = calloc(1, sizeof(*transfer));
	CHECK(transfer);
	transfer->fake = (struct fake_request){
		.http = http,
		.request = request,
		.method = copy_text(spec->method),
		.url = copy_text(spec->url),
		.body = copy(spec->body ? spec->body : "", spec->body ? spec->body_len : 0),
		.bearer = spec->bearer ? copy_text(spec->bearer) : NULL,
		.headers = join_headers(spec->headers),
		.max_body = spec->max_body,
		.timeout_ms = spec->timeout_ms,
		.on_body = spec->on_body,
		.connect_timeout_ms = spec->connect_timeout_ms,
		.max_idle_s = spec->max_idle_s,
		.may_dial = spec->may_dial,
		.may_dial_context = spec->may_dial_context,
	};
	list_append(&http->requests, &transfer->fake.node);
	request->http = http;
	request->transfer = transfer;
	http->stats.started++;
	http->stats.in_flight++;
	if (http->on_start)
		http->on_start(http->data, &transfer->fake);
	return 0;
}

void http_request_stop(struct http_request *request)
{
	if (request->http)
		fake_free(&request->transfer->fake);
}

bool http_request_in_flight(const struct http_request *request)
{
	return request->http;
}

void http_request_resume(struct http_request *request)
{
	if (request->http)
		request->transfer->fake.n_resumed++;
}

bool http_request_was_sent(const struct http_request *request)
{
	return request->http && request->transfer->fake.sent;
}

const char *http_result_header(const struct http_result *result, const char *name)
{
	const char *const *header = result->transfer->reply_headers;
	size_t len = strlen(name);

	for (; header && *header; header++)
		if (strncasecmp(*header, name, len) == 0 && strncmp(*header + len, ": ", 2) == 0)
			return *header + len + 2;

	return NULL;
}

void http_drop_connections(struct http *http)
{
}

const struct http_stats *http_stats(const struct http *http)
{
	return &http->stats;
}

const char *http_outcome_name(enum http_outcome outcome)
{
	return "fake";
}

void fake_http_on_start(struct http *http, fake_start_fn on_start, void *data)
{
	http->on_start = on_start;
	http->data = data;
}

void fake_http_refuse(struct http *http, bool refuse)
{
	http->refuse = refuse;
}

unsigned fake_http_count(const struct http *http)
{
	return http->stats.in_flight;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

struct fake_request *fake_http_find(const struct http *http, const char *method, const char *end)
{
	list_for_each (node, &http->requests) {
		struct fake_request *fake = list_entry(node, struct fake_request, node);

		if (strcmp(fake->method, method) == 0 && ends_with(fake->url, end))
			return fake;
	}

	return NULL;
}

/* The body lies in memory of just its size, so that a sanitizer sees who reads on. */
void fake_answer_with(struct fake_request *fake, const struct http_result *result,
		      const char *const headers[])
{
	struct http_request *request = fake->request;
	struct http_transfer reply = { .reply_headers = headers };
	struct http_result given = *result;
	char *body = malloc(result->body_len + 1);

	CHECK(body);
	if (result->body_len)
		memcpy(body, result->body, result->body_len);
	body[result->body_len] = '\0';
	given.body = body;
	given.transfer = &reply;
	if (!given.content_type)
		given.content_type = "application/json; charset=utf-8";

	fake_free(fake);
	request->on_done(request, &given);
	/* Careful: the request may be gone. */
	free(body);
}

void fake_answer(struct fake_request *fake, int status, const char *body)
{
	fake_answer_with(fake,
			 &(struct http_result){
				 .outcome = HTTP_ANSWERED,
				 .sent = true,
				 .status = status,
				 .body = body,
				 .body_len = strlen(body),
			 },
			 NULL);
}

void fake_fail(struct fake_request *fake, enum http_outcome outcome)
{
	fake_answer_with(fake, &(struct http_result){ .outcome = outcome, .why = "as scripted" },
			 NULL);
}

int fake_stream(struct fake_request *fake, const char *bytes, size_t len, int64_t length,
		const char *const headers[])
{
	struct http_transfer reply = { .reply_headers = headers };
	struct http_result head = {
		.outcome = HTTP_ANSWERED,
		.sent = true,
		.status = 200,
		.body = "",
		.length = length,
		.transfer = &reply,
	};

	head.content_type = http_result_header(&head, "Content-Type");
	if (!head.content_type)
		head.content_type = "application/gzip";
	return fake->on_body(fake->request, &head, bytes, len);
}
