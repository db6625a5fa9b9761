/* SPDX-License-Identifier: MIT */
/*
 * The queue of a platform. A call waits in its class until a connection and
 * the budget are free; then it is an HTTP request; then a verdict. One
 * connection is kept for heartbeats, so that a platform which is slow to hand
 * out secrets does not take us for dead. Calls to peers take none of these:
 * of them only the budget knows.
 */

#include "platform/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "platform/platform-flight.h"

/*
 * What a reply tells of the budget was true when the request came in: of one
 * that took longer it is history.
 */
#define TOLD_LATE_MS 2000

/* Calls that begin in one turn of the loop: they may be a thousand. */
#define CALLS_PER_TURN 32

/* How often the queue is looked through for calls whose time is over. */
#define QUEUE_LOOK_MS 1000

static void flight_free(struct platform_flight *flight)
{
	secret_free(flight->token);
	buffer_fini(&flight->body);
	free(flight->method);
	free(flight->url);
	free(flight->what);
	free(flight);
}

static struct verdict_question flight_question(const struct platform_flight *flight)
{
	return (struct verdict_question){
		.what = flight->what,
		.label = flight->platform->label,
		.id = flight->id,
		.token = flight->token,
		.keep_raw = flight->keep_raw,
		.streamed = flight->on_body != NULL,
		.max_body = flight->max_body,
		.timeout_ms = flight->timeout_ms,
	};
}

static unsigned *flight_gauge(const struct platform_flight *flight)
{
	struct platform *platform = flight->platform;

	return flight->class == PLATFORM_CALL ? &platform->calls_in_flight : &platform->in_flight;
}

/* Takes it out of the platform's books, and out of its call's hands. */
static void flight_detach(struct platform_flight *flight)
{
	struct platform *platform = flight->platform;

	list_remove(&flight->node);
	if (flight->queued)
		platform->queued--;
	else
		(*flight_gauge(flight))--;
	if (platform->queued)
		loop_defer(platform->loop, &platform->pump_soon);
	flight->call->flight = NULL;
}

/* The callback may start the call again, or free what it lives in. */
static void flight_finish(struct platform_flight *flight, struct platform_reply *reply)
{
	AUTO(json_object_put) struct json_object *json __attribute__((unused)) = reply->json;
	struct platform_call *call = flight->call;
	struct platform_stats *stats = &flight->platform->stats;

	stats->requests++;
	if (reply->verdict == PLATFORM_DOWN)
		stats->failures++;
	if (reply->verdict == PLATFORM_LIMITED)
		stats->limited++;

	flight_detach(flight);
	call->on_done(call, reply);
	flight_free(flight);
}

static void flight_fail(struct platform_flight *flight, enum error_kind kind, const char *why)
{
	struct verdict_question question = flight_question(flight);
	struct platform_reply reply;

	verdict_unsent(&question, kind, why, &reply);
	flight_finish(flight, &reply);
}

static void platform_learn(struct platform_flight *flight, const struct http_result *result,
			   const struct platform_reply *reply)
{
	struct platform *platform = flight->platform;
	int64_t now_ms = loop_now_ms(platform->loop);

	if (!reply->status)
		return;

	/* How long a peer thinks says nothing of the platform. */
	if (flight->class != PLATFORM_CALL)
		histogram_observe(&platform->stats.latency, (double)reply->elapsed_ms / 1000);
	if (reply->elapsed_ms < TOLD_LATE_MS) {
		budget_told(&platform->budget, now_ms,
			    http_result_header(result, "X-RateLimit-Limit"),
			    http_result_header(result, "X-RateLimit-Remaining"),
			    http_result_header(result, "X-RateLimit-Reset"));
		platform->n_told = MAX(platform->n_told, flight->number);
	}
	if (reply->verdict == PLATFORM_LIMITED)
		budget_refused(&platform->budget, now_ms, reply->err.retry_after_ms);
}

static void flight_on_http(struct http_request *request, const struct http_result *result)
{
	struct platform_flight *flight = container_of(request, struct platform_flight, http);
	struct verdict_question question = flight_question(flight);
	struct platform_reply reply;

	if (flight->unread)
		verdict_unread(&question, result, wall_now_ms() / 1000, BUDGET_REST_MAX_MS, &reply);
	else
		verdict_read(&question, result, wall_now_ms() / 1000, BUDGET_REST_MAX_MS, &reply);
	platform_learn(flight, result, &reply);
	flight_finish(flight, &reply);
}

static int flight_on_body(struct http_request *request, const struct http_result *head,
			  const char *bytes, size_t len)
{
	struct platform_flight *flight = container_of(request, struct platform_flight, http);

	return flight->on_body(flight->call, head, bytes, len);
}

#define HEADERS_MAX 4

static void flight_send(struct platform_flight *flight, const char *const headers[])
{
	struct platform *platform = flight->platform;
	const struct platform_settings *settings = &platform->settings;
	struct http_spec spec = {
		.method = flight->method,
		.url = flight->url,
		.headers = headers,
		.bearer = flight->token,
		.body = buffer_len(&flight->body) ? buffer_at(&flight->body) : NULL,
		.body_len = buffer_len(&flight->body),
		.max_body = flight->max_body,
		.on_body = flight->on_body ? flight_on_body : NULL,
		.timeout_ms = flight->timeout_ms,
		.ca_file = settings->ca_file,
		.proxy = settings->proxy,
		/* The settings were checked: http is there because it was allowed. */
		.allow_http = strncmp(settings->url, "http:", 5) == 0,
		.party = flight->party,
	};
	struct http *http = platform->http;
	struct error err = { 0 };

	if (flight->class == PLATFORM_CALL && platform->call_http)
		http = platform->call_http;
	if (http_request_start(&flight->http, http, &spec, &err) < 0) {
		flight_fail(flight, ERROR_INTERNAL, err.text);
		return;
	}

	/* It has its copy, and a call may take minutes. */
	buffer_fini(&flight->body);
}

static void flight_dispatch(struct platform_flight *flight)
{
	struct platform *platform = flight->platform;
	const char *headers[HEADERS_MAX] = { NULL };
	char caller[64];
	size_t n = 0;

	list_remove(&flight->node);
	flight->queued = false;
	platform->queued--;
	(*flight_gauge(flight))++;
	flight->number = ++platform->n_sent;
	budget_spend(&platform->budget, loop_now_ms(platform->loop));

	if (platform->org_header)
		headers[n++] = platform->org_header;
	if (platform->origin_header)
		headers[n++] = platform->origin_header;
	if (flight->caller[0]) {
		(void)snprintf(caller, sizeof(caller), "X-Workspace-ID: %s", flight->caller);
		headers[n++] = caller;
	}
	flight_send(flight, headers);
}

/* What is left of a tight window belongs to the heartbeats first. */
static uint32_t platform_reserve(const struct platform *platform, enum platform_class class)
{
	double beats = platform->beats_per_minute;

	switch (class) {
	case PLATFORM_HEARTBEAT:
		return 0;
	case PLATFORM_STATE:
	case PLATFORM_FOREGROUND:
		return (uint32_t)beats;
	case PLATFORM_BACKGROUND:
		return (uint32_t)(beats * 2) + 10;
	case PLATFORM_CALL:
		return (uint32_t)(beats * 3) + 20;
	}
	return 0;
}

/* Whether those of the class that are out have all the connections there are for it. */
static bool platform_is_full(const struct platform *platform, enum platform_class class)
{
	switch (class) {
	case PLATFORM_HEARTBEAT:
		return platform->in_flight >= HTTP_ORIGIN_CONNECTIONS;
	case PLATFORM_STATE:
	case PLATFORM_FOREGROUND:
	case PLATFORM_BACKGROUND:
		return platform->in_flight >= HTTP_ORIGIN_CONNECTIONS - 1;
	case PLATFORM_CALL:
		return false;
	}
	return false;
}

/* Those that the platform has counted, or will, and has not told us of. */
static uint32_t platform_untold(const struct platform *platform)
{
	uint64_t out = (uint64_t)platform->in_flight + platform->calls_in_flight;

	return (uint32_t)MIN(out, platform->n_sent - platform->n_told);
}

/* Sends what may go of one class; false when the budget has none for those behind it either. */
static bool platform_pump_class(struct platform *platform, enum platform_class class)
{
	struct list *queue = &platform->queues[class];
	unsigned n = 0;
	int64_t wait_ms;

	while (!list_empty(queue)) {
		if (platform_is_full(platform, class))
			return true;

		if (class == PLATFORM_CALL && n++ == CALLS_PER_TURN) {
			loop_defer(platform->loop, &platform->pump_soon);
			return true;
		}

		wait_ms = budget_wait_ms(&platform->budget, loop_now_ms(platform->loop),
					 platform_untold(platform),
					 platform_reserve(platform, class));
		if (wait_ms > 0) {
			timer_start(&platform->pump, MIN(wait_ms, (int64_t)QUEUE_LOOK_MS));
			return false;
		}
		flight_dispatch(list_entry(queue->next, struct platform_flight, node));
	}

	return true;
}

static void platform_pump(struct platform *platform)
{
	for (int class = 0; class <= PLATFORM_CLASS_LAST; class ++)
		if (!platform_pump_class(platform, (enum platform_class) class))
			break;

	if (platform->queued && !timer_is_running(&platform->pump))
		timer_start(&platform->pump, QUEUE_LOOK_MS);
}

/* One that has waited for as long as it might have taken gives up. */
static bool flight_expire(struct platform_flight *flight, int64_t now_ms)
{
	struct platform *platform = flight->platform;

	if (now_ms - flight->queued_at_ms < flight->timeout_ms)
		return false;

	if (platform_is_full(platform, flight->class))
		flight_fail(flight, ERROR_UNAVAILABLE,
			    "the platform is slow and earlier requests still wait");
	else
		flight_fail(flight, ERROR_RATE_LIMITED, "the platform's rate limit leaves no room");
	return true;
}

static void platform_on_pump(struct timer *timer)
{
	struct platform *platform = container_of(timer, struct platform, pump);
	int64_t now_ms = loop_now_ms(platform->loop);

	for (int class = 0; class <= PLATFORM_CLASS_LAST; class ++) {
		struct list *queue = &platform->queues[class];

		/* The oldest stands first. */
		while (!list_empty(queue) &&
		       flight_expire(list_entry(queue->next, struct platform_flight, node), now_ms))
			;
	}
	platform_pump(platform);
}

static void platform_on_pump_soon(struct loop_work *work)
{
	platform_pump(container_of(work, struct platform, pump_soon));
}

/* "https://host:port/x" -> "host:port" */
static char *platform_label(const char *url)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	return strndup(host, strcspn(host, "/"));
}

/* "Name: value" of a setting that may be absent. */
static int platform_header(char **ret, const char *name, const char *value)
{
	if (value && asprintf(ret, "%s: %s", name, value) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}

	return 0;
}

static int platform_fill(struct platform *platform, const struct platform_settings *settings)
{
	platform->label = platform_label(settings->url);
	if (!platform->label || platform_settings_copy(&platform->settings, settings) < 0 ||
	    platform_header(&platform->org_header, "X-Molecule-Org-Id", settings->org_id) < 0 ||
	    platform_header(&platform->origin_header, "Origin", settings->origin) < 0)
		return -ENOMEM;

	return 0;
}

int platform_new(struct loop *loop, struct http *http, const struct platform_settings *settings,
		 struct platform **ret, struct error *err)
{
	struct platform *platform;

	platform = calloc(1, sizeof(*platform));
	if (!platform)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a platform");

	platform->loop = loop;
	platform->http = http;
	list_init(&platform->node);
	for (int class = 0; class <= PLATFORM_CLASS_LAST; class ++)
		list_init(&platform->queues[class]);
	timer_init(&platform->pump, loop, platform_on_pump);
	loop_work_init(&platform->pump_soon, platform_on_pump_soon);
	budget_init(&platform->budget, settings->requests_per_minute);

	if (platform_fill(platform, settings) < 0) {
		platform_free(platform);
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a platform");
	}

	*ret = platform;
	return 0;
}

void platform_free(struct platform *platform)
{
	if (!platform)
		return;

	list_remove(&platform->node);
	timer_stop(&platform->pump);
	loop_work_cancel(&platform->pump_soon);
	platform_settings_fini(&platform->settings);
	free(platform->org_header);
	free(platform->origin_header);
	free(platform->label);
	free(platform);
}

void platform_call_init(struct platform_call *call, platform_done_fn on_done)
{
	*call = (struct platform_call){ .on_done = on_done };
}

static int flight_fill(struct platform_flight *flight, const struct platform_spec *spec)
{
	flight->class = spec->class;
	flight->keep_raw = spec->keep_raw;
	flight->unread = spec->unread;
	flight->party = spec->party;
	flight->on_body = spec->on_body;
	flight->max_body = spec->max_body ? spec->max_body : PLATFORM_BODY_MAX;
	flight->timeout_ms = spec->timeout_ms ? spec->timeout_ms : PLATFORM_TIMEOUT_MS;
	(void)snprintf(flight->id, sizeof(flight->id), "%s", spec->id ? spec->id : "");
	(void)snprintf(flight->caller, sizeof(flight->caller), "%s",
		       spec->caller ? spec->caller : "");

	flight->method = strdup(spec->method);
	flight->what = strdup(spec->what);
	if (asprintf(&flight->url, "%s%s", flight->platform->settings.url, spec->path) < 0)
		flight->url = NULL;
	flight->token = spec->token ? secret_dup(spec->token, strlen(spec->token)) : NULL;
	buffer_init(&flight->body, spec->body_len);
	if (!flight->method || !flight->what || !flight->url || (spec->token && !flight->token))
		return -ENOMEM;

	return spec->body ? buffer_append(&flight->body, spec->body, spec->body_len) : 0;
}

int platform_call_start(struct platform_call *call, struct platform *platform,
			const struct platform_spec *spec, struct error *err)
{
	struct platform_flight *flight;

	platform_call_stop(call);

	flight = calloc(1, sizeof(*flight));
	if (!flight)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot %s: out of memory",
				 spec->what);

	flight->platform = platform;
	flight->call = call;
	list_init(&flight->node);
	http_request_init(&flight->http, flight_on_http);
	if (flight_fill(flight, spec) < 0) {
		flight_free(flight);
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot %s: out of memory",
				 spec->what);
	}

	flight->queued = true;
	flight->queued_at_ms = loop_now_ms(platform->loop);
	list_append(&platform->queues[flight->class], &flight->node);
	platform->queued++;
	loop_defer(platform->loop, &platform->pump_soon);
	call->flight = flight;
	return 0;
}

void platform_call_stop(struct platform_call *call)
{
	struct platform_flight *flight = call->flight;

	if (!flight)
		return;

	http_request_stop(&flight->http);
	flight_detach(flight);
	flight_free(flight);
}

bool platform_call_is_running(const struct platform_call *call)
{
	return call->flight != NULL;
}

void platform_call_resume(struct platform_call *call)
{
	if (call->flight)
		http_request_resume(&call->flight->http);
}

bool platform_call_was_sent(const struct platform_call *call)
{
	return call->flight && http_request_was_sent(&call->flight->http);
}
