/* SPDX-License-Identifier: MIT */
#include "platform/platform.h"

#include <stdio.h>
#include <string.h>

#include "lib/fake-http.h"
#include "lib/test.h"
#include "platform/platform-flight.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define N_CALLS 12

struct caller {
	struct platform_call call;
	int called;
	enum platform_verdict verdict;
	struct error err;
	struct caller *stops;   /* when it is called, or NULL */
	const char *asks_again; /* a path, or NULL */
	struct bench *bench;
};

struct bench {
	struct loop loop;
	struct http *http;
	struct platform_settings settings;
	struct platform *platform;
	struct caller callers[N_CALLS];
};

static void ask(struct caller *caller, const char *path, enum platform_class class);

static void on_done(struct platform_call *call, const struct platform_reply *reply)
{
	struct caller *caller = container_of(call, struct caller, call);

	caller->called++;
	caller->verdict = reply->verdict;
	caller->err = reply->err;
	CHECK(!platform_call_is_running(call));
	if (caller->stops)
		platform_call_stop(&caller->stops->call);
	if (caller->asks_again)
		ask(caller, TAKE(caller->asks_again), PLATFORM_STATE);
}

static void bench_init(struct bench *bench)
{
	*bench = (struct bench){ 0 };
	bench->settings.url = strdup("https://platform.test/base");
	CHECK(bench->settings.url);
	CHECK(loop_init(&bench->loop) == 0);
	CHECK(http_new(&bench->loop, &bench->http, NULL) == 0);
	CHECK(platform_new(&bench->loop, bench->http, &bench->settings, &bench->platform, NULL) ==
	      0);
	for (int i = 0; i < N_CALLS; i++) {
		platform_call_init(&bench->callers[i].call, on_done);
		bench->callers[i].bench = bench;
	}
}

static void bench_fini(struct bench *bench)
{
	for (int i = 0; i < N_CALLS; i++)
		platform_call_stop(&bench->callers[i].call);
	CHECK_INT(bench->platform->in_flight, 0);
	CHECK_INT(bench->platform->queued, 0);
	platform_free(bench->platform);
	http_free(bench->http);
	platform_settings_fini(&bench->settings);
	loop_fini(&bench->loop);
}

static void settle(struct bench *bench)
{
	for (int i = 0; i < 6; i++)
		(void)ev_run(bench->loop.ev, EVRUN_NOWAIT);
}

static void ask(struct caller *caller, const char *path, enum platform_class class)
{
	struct platform_spec spec = {
		.class = class,
		.method = "GET",
		.path = path,
		.what = "try this",
		.id = ID,
	};

	CHECK_INT(platform_call_start(&caller->call, caller->bench->platform, &spec, NULL), 0);
}

static struct fake_request *expect(struct bench *bench, const char *path)
{
	struct fake_request *request;

	settle(bench);
	request = fake_http_find(bench->http, "GET", path);
	if (!request)
		test_fail(__FILE__, __LINE__, "%s is not in flight", path);
	return request;
}

static bool is_out(struct bench *bench, const char *path)
{
	return fake_http_find(bench->http, "GET", path);
}

/* What keeps all connections but the one for heartbeats. */
static void fill(struct bench *bench)
{
	for (int i = 0; i < HTTP_ORIGIN_CONNECTIONS - 1; i++)
		ask(&bench->callers[i], "/slow", PLATFORM_BACKGROUND);
	settle(bench);
	CHECK_INT(fake_http_count(bench->http), HTTP_ORIGIN_CONNECTIONS - 1);
}

TEST(a_request_carries_what_it_was_given)
{
	struct platform_spec spec = {
		.class = PLATFORM_FOREGROUND,
		.method = "POST",
		.path = "/registry/x?y=z",
		.what = "try this",
		.id = ID,
		.caller = ID,
		.token = "token-of-ours",
		.body = "{\"a\":1}, and more",
		.body_len = 7,
		.max_body = 4711,
		.timeout_ms = 1234,
	};
	struct fake_request *request;
	struct bench bench;

	bench_init(&bench);
	CHECK_INT(platform_call_start(&bench.callers[0].call, bench.platform, &spec, NULL), 0);
	settle(&bench);
	request = fake_http_find(bench.http, "POST", "");
	CHECK(request);
	CHECK_TEXT(request->url, "https://platform.test/base/registry/x?y=z");
	CHECK_TEXT(request->bearer, "token-of-ours");
	CHECK_TEXT(request->body, "{\"a\":1}");
	CHECK_TEXT(request->headers, "X-Workspace-ID: " ID "\n");
	CHECK_INT(request->max_body, 4711);
	CHECK_INT(request->timeout_ms, 1234);
	bench_fini(&bench);
}

TEST(a_request_has_limits_when_it_was_given_none)
{
	struct fake_request *request;
	struct bench bench;

	bench_init(&bench);
	ask(&bench.callers[0], "/a", PLATFORM_STATE);
	request = expect(&bench, "/a");
	CHECK_INT(request->max_body, PLATFORM_BODY_MAX);
	CHECK_INT(request->timeout_ms, PLATFORM_TIMEOUT_MS);
	CHECK(!request->bearer);
	CHECK_TEXT(request->headers, "");
	bench_fini(&bench);
}

TEST(the_headers_of_a_platform_go_with_every_request)
{
	struct platform_settings settings = {
		.url = (char[]){ "https://platform.test" },
		.org_id = (char[]){ "acme" },
		.origin = (char[]){ "https://canvas.test" },
	};
	struct platform *other;
	struct bench bench;

	bench_init(&bench);
	CHECK(platform_new(&bench.loop, bench.http, &settings, &other, NULL) == 0);
	CHECK_INT(platform_call_start(
			  &bench.callers[0].call, other,
			  &(struct platform_spec){ .method = "GET", .path = "/a", .what = "try" },
			  NULL),
		  0);
	CHECK_TEXT(expect(&bench, "/a")->headers,
		   "X-Molecule-Org-Id: acme\nOrigin: https://canvas.test\n");
	CHECK_TEXT(other->label, "platform.test");
	platform_call_stop(&bench.callers[0].call);
	platform_free(other);
	bench_fini(&bench);
}

TEST(nothing_is_called_from_inside_start)
{
	struct bench bench;

	bench_init(&bench);
	fake_http_refuse(bench.http, true);
	ask(&bench.callers[0], "/a", PLATFORM_STATE);
	CHECK_INT(bench.callers[0].called, 0);
	settle(&bench);
	CHECK_INT(bench.callers[0].called, 1);
	CHECK_INT(bench.callers[0].verdict, PLATFORM_DOWN);
	CHECK_INT(bench.callers[0].err.kind, ERROR_INTERNAL);
	bench_fini(&bench);
}

TEST(earlier_classes_go_first_and_within_one_the_oldest)
{
	static const char *const paths[] = { "/background", "/foreground", "/foreground-2",
					     "/state", "/heartbeat" };
	static const enum platform_class classes[] = { PLATFORM_BACKGROUND, PLATFORM_FOREGROUND,
						       PLATFORM_FOREGROUND, PLATFORM_STATE,
						       PLATFORM_HEARTBEAT };
	struct bench bench;

	bench_init(&bench);
	fill(&bench);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		ask(&bench.callers[6 + i], paths[i], classes[i]);
	settle(&bench);

	/* One connection is kept for heartbeats. */
	CHECK(is_out(&bench, "/heartbeat"));
	CHECK_INT(fake_http_count(bench.http), HTTP_ORIGIN_CONNECTIONS);

	/* With that one away there is room for one of the others at a time. */
	fake_answer(expect(&bench, "/heartbeat"), 200, "{}");
	settle(&bench);
	CHECK(!is_out(&bench, "/state"));
	fake_answer(expect(&bench, "/slow"), 200, "{}");
	fake_answer(expect(&bench, "/state"), 200, "{}");
	fake_answer(expect(&bench, "/foreground"), 200, "{}");
	CHECK(!is_out(&bench, "/foreground-2"));
	fake_answer(expect(&bench, "/foreground-2"), 200, "{}");
	fake_answer(expect(&bench, "/background"), 200, "{}");
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		CHECK_INT(bench.callers[6 + i].called, 1);
	bench_fini(&bench);
}

TEST(one_that_is_stopped_in_the_queue_is_never_sent)
{
	struct bench bench;

	bench_init(&bench);
	fill(&bench);
	ask(&bench.callers[6], "/late", PLATFORM_STATE);
	settle(&bench);
	CHECK(platform_call_is_running(&bench.callers[6].call));
	CHECK_INT(bench.platform->queued, 1);
	platform_call_stop(&bench.callers[6].call);
	platform_call_stop(&bench.callers[6].call);
	CHECK_INT(bench.platform->queued, 0);

	fake_answer(expect(&bench, "/slow"), 200, "{}");
	settle(&bench);
	CHECK(!is_out(&bench, "/late"));
	CHECK_INT(bench.callers[6].called, 0);
	bench_fini(&bench);
}

TEST(one_that_is_stopped_in_flight_makes_room)
{
	struct bench bench;

	bench_init(&bench);
	fill(&bench);
	ask(&bench.callers[6], "/late", PLATFORM_STATE);
	settle(&bench);
	platform_call_stop(&bench.callers[0].call);
	(void)expect(&bench, "/late");
	CHECK_INT(bench.callers[0].called, 0);
	CHECK_INT(bench.platform->in_flight, HTTP_ORIGIN_CONNECTIONS - 1);
	bench_fini(&bench);
}

TEST(one_that_is_started_again_is_stopped_first)
{
	struct bench bench;

	bench_init(&bench);
	ask(&bench.callers[0], "/first", PLATFORM_STATE);
	settle(&bench);
	ask(&bench.callers[0], "/second", PLATFORM_STATE);
	settle(&bench);
	CHECK(!is_out(&bench, "/first"));
	fake_answer(expect(&bench, "/second"), 200, "{}");
	CHECK_INT(bench.callers[0].called, 1);
	bench_fini(&bench);
}

TEST(a_callback_may_stop_others_in_flight_and_in_the_queue)
{
	struct bench bench;

	bench_init(&bench);
	fill(&bench);
	ask(&bench.callers[6], "/late", PLATFORM_STATE);
	settle(&bench);
	bench.callers[0].stops = &bench.callers[1];
	bench.callers[2].stops = &bench.callers[6];
	fake_answer(expect(&bench, "/slow"), 200, "{}");
	CHECK_INT(bench.callers[0].called, 1);
	CHECK(!platform_call_is_running(&bench.callers[1].call));

	platform_call_stop(&bench.callers[3].call);
	fake_answer(expect(&bench, "/slow"), 200, "{}");
	settle(&bench);
	CHECK(!platform_call_is_running(&bench.callers[6].call));
	CHECK_INT(bench.callers[1].called, 0);
	CHECK_INT(bench.callers[6].called, 0);
	bench_fini(&bench);
}

TEST(a_callback_may_ask_again)
{
	struct bench bench;

	bench_init(&bench);
	bench.callers[0].asks_again = "/again";
	ask(&bench.callers[0], "/first", PLATFORM_STATE);
	fake_answer(expect(&bench, "/first"), 500, "{}");
	fake_answer(expect(&bench, "/again"), 200, "{}");
	CHECK_INT(bench.callers[0].called, 2);
	CHECK_INT(bench.callers[0].verdict, PLATFORM_OK);
	bench_fini(&bench);
}

/* The look through the queue, as if ms had gone by. */
static void look_after(struct bench *bench, struct caller *caller, int64_t ms)
{
	caller->call.flight->queued_at_ms -= ms;
	CHECK(timer_is_running(&bench->platform->pump));
	bench->platform->pump.fn(&bench->platform->pump);
	settle(bench);
}

TEST(one_that_has_waited_too_long_gives_up)
{
	struct bench bench;

	bench_init(&bench);
	fill(&bench);
	ask(&bench.callers[6], "/late", PLATFORM_STATE);
	settle(&bench);
	look_after(&bench, &bench.callers[6], PLATFORM_TIMEOUT_MS - 1000);
	CHECK_INT(bench.callers[6].called, 0);
	look_after(&bench, &bench.callers[6], 1000);
	CHECK_INT(bench.callers[6].called, 1);
	CHECK_INT(bench.callers[6].verdict, PLATFORM_DOWN);
	CHECK(strstr(bench.callers[6].err.text, "earlier requests still wait"));
	CHECK_INT(bench.platform->queued, 0);
	bench_fini(&bench);
}

/* An answer with the three headers. */
static void answer_with(struct bench *bench, const char *path, int status, const char *remaining,
			const char *retry_after)
{
	char left[64];
	const char *const headers[] = { "X-RateLimit-Limit: 600", left, "x-ratelimit-reset: 30",
					NULL };
	struct http_result result = {
		.outcome = HTTP_ANSWERED,
		.status = status,
		.body = "{}",
		.body_len = 2,
		.retry_after = retry_after,
	};

	(void)snprintf(left, sizeof(left), "X-RateLimit-Remaining: %s", remaining);
	fake_answer_with(expect(bench, path), &result, headers);
	settle(bench);
}

TEST(what_is_left_of_a_tight_window_is_for_heartbeats)
{
	struct bench bench;

	bench_init(&bench);
	bench.platform->beats_per_minute = 4;
	ask(&bench.callers[0], "/first", PLATFORM_STATE);
	answer_with(&bench, "/first", 200, "4", NULL);

	ask(&bench.callers[1], "/state", PLATFORM_STATE);
	ask(&bench.callers[2], "/background", PLATFORM_BACKGROUND);
	ask(&bench.callers[3], "/heartbeat", PLATFORM_HEARTBEAT);
	settle(&bench);
	CHECK(is_out(&bench, "/heartbeat"));
	CHECK(!is_out(&bench, "/state"));
	CHECK(!is_out(&bench, "/background"));

	look_after(&bench, &bench.callers[1], PLATFORM_TIMEOUT_MS);
	CHECK_INT(bench.callers[1].verdict, PLATFORM_LIMITED);
	CHECK_INT(bench.callers[1].err.kind, ERROR_RATE_LIMITED);
	bench_fini(&bench);
}

/* One that tells whoever asked whatever came. */
static void ask_peer(struct caller *caller, const char *path)
{
	struct platform_spec spec = {
		.class = PLATFORM_CALL,
		.method = "GET",
		.path = path,
		.what = "call a peer",
		.id = ID,
		.unread = true,
	};

	CHECK_INT(platform_call_start(&caller->call, caller->bench->platform, &spec, NULL), 0);
}

TEST(calls_to_peers_take_no_connection_of_the_others)
{
	struct http *call_http;
	struct bench bench;

	bench_init(&bench);
	CHECK(http_new(&bench.loop, &call_http, NULL) == 0);
	bench.platform->call_http = call_http;
	for (int i = 0; i < 8; i++)
		ask_peer(&bench.callers[i], "/a2a");
	settle(&bench);
	CHECK_INT(fake_http_count(call_http), 8);
	ask(&bench.callers[8], "/state", PLATFORM_STATE);
	(void)expect(&bench, "/state");

	/* Nor do they wait for one. */
	for (int i = 0; i < 6; i++)
		platform_call_stop(&bench.callers[i].call);
	platform_call_stop(&bench.callers[8].call);
	CHECK_INT(fake_http_count(call_http), 2);
	fill(&bench);
	ask_peer(&bench.callers[9], "/late");
	settle(&bench);
	CHECK_INT(fake_http_count(call_http), 3);

	for (int i = 0; i < N_CALLS; i++)
		platform_call_stop(&bench.callers[i].call);
	CHECK_INT(bench.platform->calls_in_flight, 0);
	http_free(call_http);
	bench_fini(&bench);
}

TEST(calls_to_peers_leave_the_most_of_a_tight_window)
{
	struct bench bench;

	bench_init(&bench);
	bench.platform->beats_per_minute = 4;
	ask(&bench.callers[0], "/first", PLATFORM_STATE);
	answer_with(&bench, "/first", 200, "32", NULL);
	ask_peer(&bench.callers[1], "/a2a");
	ask(&bench.callers[2], "/background", PLATFORM_BACKGROUND);
	settle(&bench);
	CHECK(!is_out(&bench, "/a2a"));
	CHECK(is_out(&bench, "/background"));
	bench_fini(&bench);
}

TEST(a_request_that_the_platform_has_counted_is_not_counted_again)
{
	struct bench bench;

	bench_init(&bench);
	/* Six that take their time, and one after them whose reply counts them. */
	for (int i = 0; i < 6; i++)
		ask_peer(&bench.callers[i], "/a2a");
	settle(&bench);
	ask(&bench.callers[6], "/state", PLATFORM_STATE);
	answer_with(&bench, "/state", 200, "6", NULL);
	ask(&bench.callers[7], "/again", PLATFORM_STATE);
	(void)expect(&bench, "/again");

	/* One that left before them counts none of them. */
	CHECK_INT(bench.platform->n_sent, 8);
	CHECK_INT(bench.platform->n_told, 7);
	answer_with(&bench, "/a2a", 200, "6", NULL);
	CHECK_INT(bench.platform->n_told, 7);
	bench_fini(&bench);
}

TEST(what_is_read_by_whoever_asked_has_no_verdict_but_a_429_of_the_platform)
{
	struct bench bench;

	bench_init(&bench);
	ask_peer(&bench.callers[0], "/gone");
	answer_with(&bench, "/gone", 404, "500", NULL);
	CHECK_INT(bench.callers[0].verdict, PLATFORM_OK);
	ask_peer(&bench.callers[0], "/busy-peer");
	answer_with(&bench, "/busy-peer", 429, "500", NULL);
	CHECK_INT(bench.callers[0].verdict, PLATFORM_OK);
	CHECK_INT(bench.platform->budget.rests_until_ms, 0);
	ask_peer(&bench.callers[0], "/limited");
	answer_with(&bench, "/limited", 429, "0", "30");
	CHECK_INT(bench.callers[0].verdict, PLATFORM_LIMITED);
	CHECK(bench.platform->budget.rests_until_ms > 0);
	bench_fini(&bench);
}

TEST(after_a_429_all_rest)
{
	struct bench bench;

	bench_init(&bench);
	ask(&bench.callers[0], "/first", PLATFORM_STATE);
	answer_with(&bench, "/first", 429, "0", "30");
	CHECK_INT(bench.callers[0].verdict, PLATFORM_LIMITED);
	CHECK_INT(bench.platform->stats.limited, 1);

	ask(&bench.callers[1], "/heartbeat", PLATFORM_HEARTBEAT);
	settle(&bench);
	CHECK_INT(fake_http_count(bench.http), 0);

	/* It goes when the rest is over. */
	bench.platform->budget.rests_until_ms = 0;
	bench.platform->budget.resets_at_ms = 0;
	look_after(&bench, &bench.callers[1], 0);
	(void)expect(&bench, "/heartbeat");
	bench_fini(&bench);
}

TEST(answers_are_counted_by_what_they_prove)
{
	struct bench bench;

	bench_init(&bench);
	ask(&bench.callers[0], "/a", PLATFORM_STATE);
	fake_answer(expect(&bench, "/a"), 200, "{}");
	ask(&bench.callers[0], "/a", PLATFORM_STATE);
	fake_answer(expect(&bench, "/a"), 404, "{}");
	ask(&bench.callers[0], "/a", PLATFORM_STATE);
	fake_fail(expect(&bench, "/a"), HTTP_TIMED_OUT);
	CHECK_INT(bench.platform->stats.requests, 3);
	CHECK_INT(bench.platform->stats.failures, 1);
	CHECK_INT(bench.callers[0].verdict, PLATFORM_DOWN);
	CHECK(strstr(bench.callers[0].err.text, "did not answer within 10.0 s"));
	bench_fini(&bench);
}

TEST(verdicts_have_names_of_their_own)
{
	for (enum platform_verdict verdict = PLATFORM_OK; verdict <= PLATFORM_REJECTED; verdict++) {
		CHECK(strcmp(platform_verdict_name(verdict), "?") != 0);
		for (enum platform_verdict other = PLATFORM_OK; other < verdict; other++)
			CHECK(strcmp(platform_verdict_name(verdict),
				     platform_verdict_name(other)) != 0);
	}
}
