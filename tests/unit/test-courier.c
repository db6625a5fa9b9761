/* SPDX-License-Identifier: MIT */
#include "agent/courier.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/contact.h"
#include "workspace-fixture.h"

#define PEER "11111111-1111-4111-8111-111111111111"
#define SHY "22222222-2222-4222-8222-222222222222"
#define STRANGER "33333333-3333-4333-8333-333333333333"
#define URL "http://192.0.32.10:9/in"
#define PEERS                                                            \
	"[{\"id\":\"" PEER "\",\"name\":\"alpha\",\"url\":\"" URL "\"}," \
	"{\"id\":\"" SHY "\",\"name\":\"shy\",\"url\":\"\"}]"
#define DIRECTLY "POST", "/in"
#define BY_PROXY "POST", "/workspaces/" PEER "/a2a"
#define DISCOVER "GET", "/registry/discover/" PEER

#define REPLY                                                                            \
	"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{\"kind\":\"message\",\"parts\":[" \
	"{\"kind\":\"text\",\"text\":\"hi\"}]}}"
#define TASK(state)                                                                       \
	"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{\"kind\":\"task\",\"id\":\"t-1\"," \
	"\"status\":{\"state\":\"" state "\"},\"artifacts\":[{\"parts\":[{\"text\":\"hi\"}]}]}}"
#define RPC_ERROR(code) \
	"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"error\":{\"code\":" code ",\"message\":\"no\"}}"

static struct fixture fixture;

/* One call, and what came of it. */
struct ask {
	struct waiter waiter;
	struct courier *courier; /* NULL: it has ended */
	int called;
	struct error err;
	enum a2a_answer_kind kind;
	enum a2a_route route;
	char text[64];
};

static void on_end(struct waiter *waiter, const struct error *err)
{
	struct ask *ask = container_of(waiter, struct ask, waiter);
	const struct courier *courier = TAKE(ask->courier);

	ask->called++;
	ask->err = err ? *err : (struct error){ 0 };
	if (err)
		return;

	ask->kind = courier->answer->kind;
	ask->route = courier->route;
	(void)json_text_cstring(courier->answer->text, ask->text, sizeof(ask->text));
}

static struct courier_spec spec_for(const char *to)
{
	return (struct courier_spec){
		.member = &fixture.workspace->membership,
		.book = workspace_peerbook(fixture.workspace, NULL),
		.to = to,
		.text = { "\"hello\"", 7 },
		.message_id = "m-1",
		.timeout_ms = 60000,
		.max_reply = 1 << 20,
	};
}

static void begin_as(struct ask *ask, const struct courier_spec *spec)
{
	*ask = (struct ask){ .called = 0 };
	waiter_init(&ask->waiter, on_end);
	CHECK_INT(courier_new(spec, &ask->waiter, &ask->courier, &ask->err), 0);
	fixture_settle(&fixture);
}

static void begin_call(struct ask *ask, enum courier_route route)
{
	struct courier_spec spec = spec_for(PEER);

	spec.route = route;
	begin_as(ask, &spec);
}

static struct http *calls(void)
{
	return fixture.agent->context.switchboard->http;
}

static bool is_out(const char *method, const char *end)
{
	fixture_settle(&fixture);
	return fake_http_find(calls(), method, end);
}

static struct fake_request *expect(const char *method, const char *end)
{
	struct fake_request *request;

	fixture_settle(&fixture);
	request = fake_http_find(calls(), method, end);
	if (!request)
		test_fail(__FILE__, __LINE__, "no %s ...%s, but %u others", method, end,
			  fake_http_count(calls()));
	return request;
}

static void answer(const char *method, const char *end, int status, const char *body)
{
	fake_answer(expect(method, end), status, body);
	fixture_settle(&fixture);
}

static void fail(const char *method, const char *end, enum http_outcome outcome, bool sent)
{
	struct http_result result = { .outcome = outcome, .sent = sent, .why = "as scripted" };

	fake_answer_with(expect(method, end), &result, NULL);
	fixture_settle(&fixture);
}

static void expire(struct timer *timer)
{
	CHECK(timer_is_running(timer));
	timer_stop(timer);
	timer->fn(timer);
	fixture_settle(&fixture);
}

static void list_peers(void)
{
	struct wish wish;

	wish_init(&wish);
	peerbook_fetch(workspace_peerbook(fixture.workspace, NULL), &wish.waiter);
	fixture_answer(&fixture, GET_PEERS, 200, PEERS);
	CHECK_INT(wish.err.kind, ERROR_NONE);
}

static struct peer *the_peer(void)
{
	return peerbook_find_id(workspace_peerbook(fixture.workspace, NULL), PEER);
}

static void begin(void)
{
	fixture_init(&fixture);
	fixture_begin_online(&fixture);
	list_peers();
}

/* Nothing is left of any call. */
static void end(void)
{
	const struct switchboard *board = fixture.agent->context.switchboard;

	CHECK_INT(fake_http_count(calls()), 0);
	CHECK_INT(board->n_open + board->n_waiting, 0);
	CHECK_INT(board->bytes, 0);
	fixture_fini(&fixture);
}

static void check_failed(const struct ask *ask, enum error_kind kind)
{
	CHECK_INT(ask->called, 1);
	if (ask->err.kind != kind)
		test_fail(__FILE__, __LINE__, "%s, not %s: %s", error_name(ask->err.kind),
			  error_name(kind), ask->err.text);
	CHECK(!strstr(ask->err.text, "token-of-"));
}

static void check_answered(const struct ask *ask, enum a2a_route route)
{
	if (ask->err.kind)
		test_fail(__FILE__, __LINE__, "%s", ask->err.text);
	CHECK_INT(ask->called, 1);
	CHECK_INT(ask->kind, A2A_ANSWERED);
	CHECK_INT(ask->route, route);
	CHECK_TEXT(ask->text, "hi");
}

static bool may_dial(const struct fake_request *request, const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	CHECK(inet_pton(AF_INET, address, &in.sin_addr) == 1);
	return request->may_dial((struct sockaddr *)&in, request->may_dial_context);
}

TEST(a_direct_call_carries_no_token_and_is_guarded)
{
	struct fake_request *request;
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	request = expect(DIRECTLY);
	CHECK_TEXT(request->url, URL);
	CHECK(!request->bearer);
	CHECK_TEXT(request->headers, "X-Workspace-ID: " ID "\n");
	CHECK(strstr(request->body, "\"method\":\"message/send\""));
	CHECK(strstr(request->body, "\"messageId\":\"m-1\""));
	CHECK(strstr(request->body, "\"text\":\"hello\""));
	CHECK(request->fresh);
	CHECK_INT(request->connect_timeout_ms, COURIER_CONNECT_MS);
	CHECK_INT(request->max_body, 1 << 20);
	CHECK(may_dial(request, "192.0.32.10"));
	CHECK(!may_dial(request, "127.0.0.1"));
	CHECK(!may_dial(request, "169.254.169.254"));
	fake_answer(request, 200, REPLY);
	check_answered(&ask, A2A_DIRECT);
	fixture_expect_quiet(&fixture);
	end();
}

TEST(the_platform_gets_the_token_and_who_calls)
{
	struct fake_request *request;
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_PROXY);
	request = expect(BY_PROXY);
	CHECK_TEXT(request->url, "https://platform.test/workspaces/" PEER "/a2a");
	CHECK_TEXT(request->bearer, "token-of-old");
	CHECK_TEXT(request->headers, "X-Workspace-ID: " ID "\n");
	CHECK(!request->fresh);
	fake_answer(request, 200, REPLY);
	check_answered(&ask, A2A_PROXY);
	end();
}

/* What a direct try may come to, and what then. */
static const struct outcome {
	enum http_outcome outcome;
	bool sent;
	int status;
	const char *body;
	bool falls_back;
	enum error_kind kind; /* when it does not, or may not */
} outcomes[] = {
	{ HTTP_UNRESOLVED, false, 0, NULL, true, ERROR_UNAVAILABLE },
	{ HTTP_UNREACHABLE, false, 0, NULL, true, ERROR_UNAVAILABLE },
	{ HTTP_UNTRUSTED, false, 0, NULL, true, ERROR_UNAVAILABLE },
	{ HTTP_REFUSED, false, 0, NULL, true, ERROR_UNAVAILABLE },
	{ HTTP_BROKEN, false, 0, NULL, true, ERROR_UNAVAILABLE },
	{ HTTP_TIMED_OUT, false, 0, NULL, true, ERROR_TIMEOUT },
	{ HTTP_ANSWERED, true, 500, "", true, ERROR_PEER },
	{ HTTP_ANSWERED, true, 502, "<html>", true, ERROR_PEER },
	{ HTTP_ANSWERED, true, 503, "{}", true, ERROR_PEER },
	{ HTTP_ANSWERED, true, 404, "{}", true, ERROR_PEER },
	{ HTTP_ANSWERED, true, 405, "", true, ERROR_PEER },
	{ HTTP_BROKEN, true, 0, NULL, false, ERROR_UNKNOWN_OUTCOME },
	{ HTTP_TIMED_OUT, true, 0, NULL, false, ERROR_UNKNOWN_OUTCOME },
	{ HTTP_TOO_LARGE, true, 0, NULL, false, ERROR_TOO_LARGE },
	{ HTTP_ANSWERED, true, 302, "", false, ERROR_PEER },
	{ HTTP_ANSWERED, true, 400, "{}", false, ERROR_PEER },
	{ HTTP_ANSWERED, true, 401, "{}", false, ERROR_PEER },
	{ HTTP_ANSWERED, true, 403, "", false, ERROR_PEER },
	{ HTTP_ANSWERED, true, 429, "", false, ERROR_RATE_LIMITED },
	{ HTTP_ANSWERED, true, 200, "", false, ERROR_PEER },
	{ HTTP_ANSWERED, true, 200, "<html>", false, ERROR_PEER },
	{ HTTP_ANSWERED, true, 200, RPC_ERROR("-32603"), false, ERROR_PEER },
	{ HTTP_ANSWERED, true, 500, RPC_ERROR("-32603"), false, ERROR_PEER },
};

static void play(const struct outcome *outcome)
{
	struct http_result result = {
		.outcome = outcome->outcome,
		.sent = outcome->sent,
		.status = outcome->status,
		.body = outcome->body ? outcome->body : "",
		.body_len = outcome->body ? strlen(outcome->body) : 0,
		.why = outcome->outcome == HTTP_ANSWERED ? NULL : "as scripted",
	};

	fake_answer_with(expect(DIRECTLY), &result, NULL);
	fixture_settle(&fixture);
}

TEST(it_goes_on_through_the_platform_only_where_that_is_safe)
{
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		struct fake_request *request;
		struct ask ask;
		char *body;

		if (i == 0)
			begin();
		else
			(void)peerbook_invalidate(fixture.workspace->peerbook, the_peer());
		list_peers();
		begin_call(&ask, COURIER_AUTO);
		body = strdup(expect(DIRECTLY)->body);
		CHECK(body);
		play(&outcomes[i]);
		request = fake_http_find(calls(), BY_PROXY);
		if (!outcomes[i].falls_back != !request)
			test_fail(__FILE__, __LINE__, "outcome %zu", i);
		if (request) {
			/* The very same request, with all its ids. */
			CHECK_TEXT(request->body, body);
			fake_answer(request, 200, REPLY);
			check_answered(&ask, A2A_PROXY);
		} else {
			check_failed(&ask, outcomes[i].kind);
		}
		free(body);
	}
	end();
}

TEST(who_wants_it_direct_gets_it_direct_or_not_at_all)
{
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		struct ask ask;

		if (i == 0)
			begin();
		else
			(void)peerbook_invalidate(fixture.workspace->peerbook, the_peer());
		list_peers();
		begin_call(&ask, COURIER_DIRECT);
		play(&outcomes[i]);
		check_failed(&ask, outcomes[i].kind);
	}
	end();
}

TEST(a_peer_that_failed_is_called_through_the_platform_for_a_while)
{
	struct ask ask;

	begin();
	CHECK(peerbook_calls_direct(fixture.workspace->peerbook, the_peer()));
	begin_call(&ask, COURIER_AUTO);
	fail(DIRECTLY, HTTP_UNREACHABLE, false);
	answer(BY_PROXY, 200, REPLY);
	check_answered(&ask, A2A_PROXY);
	CHECK(!peerbook_calls_direct(fixture.workspace->peerbook, the_peer()));

	begin_call(&ask, COURIER_AUTO);
	CHECK(!is_out(DIRECTLY));
	answer(BY_PROXY, 200, REPLY);

	/* A new list does not make it work. */
	list_peers();
	begin_call(&ask, COURIER_AUTO);
	CHECK(!is_out(DIRECTLY));
	answer(BY_PROXY, 200, REPLY);

	/* Time does, or who says so. */
	the_peer()->contact->avoid_until_ms = loop_now_ms(&fixture.loop);
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, REPLY);
	check_answered(&ask, A2A_DIRECT);
	end();
}

TEST(where_it_is_now_is_asked_before_it_is_called_directly_again)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_DIRECT);
	fail(DIRECTLY, HTTP_UNREACHABLE, false);
	check_failed(&ask, ERROR_UNAVAILABLE);
	begin_call(&ask, COURIER_DIRECT);
	CHECK(!is_out(DIRECTLY));
	fixture_answer(&fixture, DISCOVER, 200,
		       "{\"id\":\"" PEER
		       "\",\"name\":\"alpha\",\"url\":\"http://192.0.32.11/new\"}");
	answer("POST", "/new", 200, REPLY);
	check_answered(&ask, A2A_DIRECT);

	/* It works again: so do the others. */
	begin_call(&ask, COURIER_AUTO);
	answer("POST", "/new", 200, REPLY);
	check_answered(&ask, A2A_DIRECT);
	end();
}

TEST(both_errors_are_told_and_the_graver_kind)
{
	struct ask ask;

	/* It had the message, and failed over it: something may have been done. */
	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 500, "");
	fail(BY_PROXY, HTTP_UNREACHABLE, false);
	check_failed(&ask, ERROR_PEER);
	CHECK_INT(ask.err.http_status, 500);
	CHECK(strstr(ask.err.text, "platform.test"));
	CHECK(strstr(ask.err.text, "HTTP 500"));

	/* Nobody had it. */
	(void)peerbook_invalidate(fixture.workspace->peerbook, the_peer());
	list_peers();
	begin_call(&ask, COURIER_AUTO);
	fail(DIRECTLY, HTTP_UNREACHABLE, false);
	fail(BY_PROXY, HTTP_UNREACHABLE, false);
	check_failed(&ask, ERROR_UNAVAILABLE);

	/* The platform may have delivered it. */
	(void)peerbook_invalidate(fixture.workspace->peerbook, the_peer());
	list_peers();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 500, "");
	fail(BY_PROXY, HTTP_BROKEN, true);
	check_failed(&ask, ERROR_UNKNOWN_OUTCOME);
	end();
}

TEST(a_peer_that_speaks_the_other_version_is_spoken_to_in_it)
{
	struct fake_request *request;
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, RPC_ERROR("-32601"));
	request = expect(DIRECTLY);
	CHECK(strstr(request->body, "\"method\":\"SendMessage\""));
	CHECK(strstr(request->body, "\"messageId\":\"m-1\""));
	CHECK_TEXT(request->headers, "X-Workspace-ID: " ID "\nA2A-Version: 1.0\n");
	fake_answer(request, 200, REPLY);
	check_answered(&ask, A2A_DIRECT);

	/* And remembered, across lists too. */
	list_peers();
	begin_call(&ask, COURIER_AUTO);
	CHECK(strstr(expect(DIRECTLY)->body, "\"method\":\"SendMessage\""));
	/* Until it does not any more. */
	answer(DIRECTLY, 200, RPC_ERROR("-32601"));
	CHECK(strstr(expect(DIRECTLY)->body, "\"method\":\"message/send\""));
	answer(DIRECTLY, 200, REPLY);
	begin_call(&ask, COURIER_AUTO);
	CHECK(strstr(expect(DIRECTLY)->body, "\"method\":\"message/send\""));
	answer(DIRECTLY, 200, REPLY);
	end();
}

TEST(a_peer_that_speaks_neither_version_is_not_asked_a_third_time)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, RPC_ERROR("-32601"));
	answer(DIRECTLY, 200, RPC_ERROR("-32601"));
	check_failed(&ask, ERROR_PEER);
	CHECK_INT(fake_http_count(calls()), 0);
	end();
}

TEST(a_task_is_asked_after_until_it_is_done)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, TASK("submitted"));
	CHECK_INT(ask.called, 0);
	for (int i = 0; i < 3; i++) {
		CHECK(!is_out(DIRECTLY));
		expire(&ask.courier->rest);
		CHECK(strstr(expect(DIRECTLY)->body, "\"method\":\"tasks/get\""));
		CHECK(strstr(expect(DIRECTLY)->body, "\"t-1\""));
		answer(DIRECTLY, 200, TASK("working"));
	}

	/* That it does not say so just now means nothing. */
	expire(&ask.courier->rest);
	fail(DIRECTLY, HTTP_UNREACHABLE, false);
	CHECK_INT(ask.called, 0);
	expire(&ask.courier->rest);
	CHECK(!is_out(BY_PROXY));
	answer(DIRECTLY, 200, TASK("completed"));
	check_answered(&ask, A2A_DIRECT);
	end();
}

TEST(a_task_is_asked_after_the_way_it_went)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_PROXY);
	answer(BY_PROXY, 200, TASK("working"));
	expire(&ask.courier->rest);
	CHECK(strstr(expect(BY_PROXY)->body, "\"method\":\"tasks/get\""));
	answer(BY_PROXY, 200, TASK("completed"));
	check_answered(&ask, A2A_PROXY);
	end();
}

TEST(a_task_that_is_not_done_in_time_has_no_known_outcome)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, TASK("working"));
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_UNKNOWN_OUTCOME);
	CHECK(strstr(ask.err.text, "t-1"));
	end();
}

TEST(while_paused_nobody_asks_after_a_task)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, TASK("working"));
	fixture.workspace->state = LIFECYCLE_PAUSED;
	expire(&ask.courier->rest);
	CHECK(!is_out(DIRECTLY));
	fixture.workspace->state = LIFECYCLE_ONLINE;
	expire(&ask.courier->rest);
	answer(DIRECTLY, 200, TASK("completed"));
	check_answered(&ask, A2A_DIRECT);
	end();
}

TEST(time_that_runs_out_is_told_by_what_was_sent)
{
	struct courier_spec spec;
	struct ask ask;

	/* It never had a line. */
	begin();
	fixture.agent->context.switchboard->settings.max_calls = 0;
	begin_call(&ask, COURIER_AUTO);
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_TIMEOUT);
	fixture.agent->context.switchboard->settings.max_calls = 8;

	/* It was on its way, and no byte had left. */
	begin_call(&ask, COURIER_AUTO);
	CHECK(is_out(DIRECTLY));
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_TIMEOUT);
	begin_call(&ask, COURIER_PROXY);
	CHECK(is_out(BY_PROXY));
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_TIMEOUT);

	/* Some byte had. */
	begin_call(&ask, COURIER_AUTO);
	expect(DIRECTLY)->sent = true;
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_UNKNOWN_OUTCOME);
	begin_call(&ask, COURIER_PROXY);
	expect(BY_PROXY)->sent = true;
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_UNKNOWN_OUTCOME);

	/* That a peer is slow opens no breaker, and makes nobody avoid it. */
	CHECK(peerbook_calls_direct(fixture.workspace->peerbook, the_peer()));
	CHECK(!the_peer()->contact);

	/* It was still looked for. */
	fixture.workspace->peerbook->fetched = false;
	spec = spec_for(PEER);
	begin_as(&ask, &spec);
	expire(&ask.courier->deadline);
	check_failed(&ask, ERROR_TIMEOUT);
	fixture_answer(&fixture, GET_PEERS, 200, PEERS);
	end();
}

TEST(what_was_paused_meanwhile_does_not_go_on)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	fixture.workspace->state = LIFECYCLE_PAUSED;
	fail(DIRECTLY, HTTP_UNREACHABLE, false);
	check_failed(&ask, ERROR_PAUSED);
	CHECK(!is_out(BY_PROXY));
	fixture.workspace->state = LIFECYCLE_ONLINE;
	end();
}

TEST(a_workspace_that_goes_ends_its_calls)
{
	struct ask early, late;

	begin();
	begin_call(&late, COURIER_AUTO);
	expect(DIRECTLY)->sent = true;
	begin_call(&early, COURIER_PROXY);
	workspace_stop(fixture.workspace);
	check_failed(&late, ERROR_UNKNOWN_OUTCOME);
	check_failed(&early, ERROR_UNAVAILABLE);
	end();
}

TEST(who_leaves_cancels_the_call_wherever_it_is)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	waiter_cancel(&ask.waiter);
	begin_call(&ask, COURIER_PROXY);
	waiter_cancel(&ask.waiter);
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, TASK("working"));
	waiter_cancel(&ask.waiter);
	CHECK_INT(ask.called, 0);
	CHECK_INT(fixture.agent->context.switchboard->stats
			  .failed[SWITCHBOARD_DIRECT][ERROR_CANCELLED],
		  2);
	end();
}

static void break_peer(void)
{
	struct ask ask;

	for (int i = 0; i < BREAKER_FAILURES; i++) {
		the_peer()->dropped = false;
		begin_call(&ask, COURIER_DIRECT);
		fail(DIRECTLY, HTTP_BROKEN, true);
		check_failed(&ask, ERROR_UNKNOWN_OUTCOME);
	}
}

TEST(a_peer_that_fails_again_and_again_is_left_alone)
{
	struct ask ask;

	begin();
	break_peer();
	begin_call(&ask, COURIER_DIRECT);
	check_failed(&ask, ERROR_UNAVAILABLE);
	CHECK(ask.err.retry_after_ms > BREAKER_OPEN_MS / 2);
	CHECK(error_is_retryable(&ask.err));
	begin_call(&ask, COURIER_AUTO);
	answer(BY_PROXY, 200, REPLY);
	check_answered(&ask, A2A_PROXY);
	end();
}

TEST(one_call_finds_out_whether_it_works_again)
{
	struct ask first, second;

	begin();
	break_peer();
	the_peer()->contact->breaker.until_ms = loop_now_ms(&fixture.loop);
	begin_call(&first, COURIER_AUTO);
	CHECK(is_out(DIRECTLY));
	begin_call(&second, COURIER_AUTO);
	answer(BY_PROXY, 200, REPLY);
	check_answered(&second, A2A_PROXY);

	/* One that was cancelled found out nothing: the next one may. */
	waiter_cancel(&first.waiter);
	begin_call(&first, COURIER_AUTO);
	answer(DIRECTLY, 200, REPLY);
	check_answered(&first, A2A_DIRECT);
	CHECK_INT(the_peer()->contact->breaker.n_failures, 0);
	end();
}

TEST(who_has_no_url_is_called_through_the_platform)
{
	struct courier_spec spec;
	struct ask ask;

	begin();
	spec = spec_for(SHY);
	begin_as(&ask, &spec);
	answer("POST", "/workspaces/" SHY "/a2a", 200, REPLY);
	check_answered(&ask, A2A_PROXY);

	spec = spec_for(STRANGER);
	begin_as(&ask, &spec);
	answer("POST", "/workspaces/" STRANGER "/a2a", 200, REPLY);
	check_answered(&ask, A2A_PROXY);

	spec.route = COURIER_DIRECT;
	begin_as(&ask, &spec);
	check_failed(&ask, ERROR_UNAVAILABLE);
	CHECK(strstr(ask.err.text, "list of peers"));
	spec = spec_for(SHY);
	spec.route = COURIER_DIRECT;
	begin_as(&ask, &spec);
	check_failed(&ask, ERROR_UNAVAILABLE);
	CHECK(strstr(ask.err.text, "no URL"));
	end();
}

TEST(a_list_that_is_old_or_missing_is_fetched)
{
	struct ask ask, direct;

	fixture_init(&fixture);
	fixture_begin_online(&fixture);
	begin_call(&ask, COURIER_AUTO);
	fixture_answer(&fixture, GET_PEERS, 200, PEERS);
	answer(DIRECTLY, 200, REPLY);
	check_answered(&ask, A2A_DIRECT);

	/* The platform may still pass a message on when it does not say where the peer is. */
	fixture.workspace->peerbook->fetched_at_ms -= fixture.workspace->settings.url_cache_ttl_ms;
	begin_call(&ask, COURIER_AUTO);
	begin_call(&direct, COURIER_DIRECT);
	fixture_answer(&fixture, GET_PEERS, 500, "{}");
	check_failed(&direct, ERROR_UNAVAILABLE);
	answer(BY_PROXY, 200, REPLY);
	check_answered(&ask, A2A_PROXY);
	end();
}

TEST(what_the_platform_queued_is_told_and_not_sent_again)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_PROXY);
	answer(BY_PROXY, 202, "{\"queued\":true,\"queue_id\":\"q-1\"}");
	CHECK_INT(ask.called, 1);
	CHECK_INT(ask.kind, A2A_QUEUED);
	CHECK_INT(fixture.agent->context.switchboard->stats.queued[SWITCHBOARD_PROXY], 1);
	end();
}

TEST(when_the_platform_refuses_our_token_the_workspace_hears_of_it)
{
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_PROXY);
	answer(BY_PROXY, 401, "{\"error\":\"invalid caller auth token\"}");
	check_failed(&ask, ERROR_UNAUTHORIZED);
	CHECK(fixture.workspace->doubted || agenda_has(&fixture.workspace->agenda, AGENDA_POLL));
	end();
}

TEST(there_is_an_end_to_how_many_may_wait)
{
	struct switchboard *board;
	struct courier_spec spec;
	struct ask asks[4], late = { 0 };

	begin();
	board = fixture.agent->context.switchboard;
	board->settings.max_calls = 2;
	board->settings.max_waiting = 2;
	for (size_t i = 0; i < ARRAY_LEN(asks); i++)
		begin_call(&asks[i], COURIER_PROXY);
	CHECK_INT(board->n_open, 2);
	CHECK_INT(board->n_waiting, 2);
	CHECK_INT(fake_http_count(calls()), 2);

	spec = spec_for(PEER);
	waiter_init(&late.waiter, on_end);
	CHECK(courier_new(&spec, &late.waiter, &late.courier, &late.err) < 0);
	CHECK_INT(late.err.kind, ERROR_OVERLOADED);
	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		answer(BY_PROXY, 200, REPLY);
		check_answered(&asks[i], A2A_PROXY);
	}
	end();
}

TEST(there_is_an_end_to_what_messages_may_take)
{
	struct switchboard *board;
	struct ask ask, late = { 0 };
	struct courier_spec spec;

	begin();
	board = fixture.agent->context.switchboard;
	board->settings.max_message_bytes = 300;
	begin_call(&ask, COURIER_PROXY);
	spec = spec_for(PEER);
	waiter_init(&late.waiter, on_end);
	CHECK(courier_new(&spec, &late.waiter, &late.courier, &late.err) < 0);
	CHECK_INT(late.err.kind, ERROR_OVERLOADED);
	CHECK(strstr(late.err.text, "max_message_bytes"));
	answer(BY_PROXY, 200, REPLY);
	begin_call(&late, COURIER_PROXY);
	answer(BY_PROXY, 200, REPLY);
	end();
}

TEST(what_the_platform_would_cut_is_never_sent)
{
	size_t len = A2A_MESSAGE_MAX;
	struct courier_spec spec;
	struct ask ask = { 0 };
	char *text;

	begin();
	text = malloc(len);
	CHECK(text);
	memset(text, 'x', len);
	text[0] = text[len - 1] = '"';
	spec = spec_for(PEER);
	spec.text = (struct json_text){ text, len };
	waiter_init(&ask.waiter, on_end);
	CHECK(courier_new(&spec, &ask.waiter, &ask.courier, &ask.err) < 0);
	CHECK_INT(ask.err.kind, ERROR_TOO_LARGE);
	free(text);
	end();
}

TEST(what_cannot_be_started_is_told)
{
	struct ask ask;

	begin();
	fake_http_refuse(calls(), true);
	begin_call(&ask, COURIER_AUTO);
	check_failed(&ask, ERROR_INTERNAL);
	begin_call(&ask, COURIER_PROXY);
	check_failed(&ask, ERROR_INTERNAL);
	fake_http_refuse(calls(), false);
	end();
}

TEST(calls_are_counted_by_route_and_outcome)
{
	struct buffer out = BUFFER_INIT(1 << 20);
	struct ask ask;

	begin();
	begin_call(&ask, COURIER_AUTO);
	answer(DIRECTLY, 200, REPLY);
	begin_call(&ask, COURIER_AUTO);
	fail(DIRECTLY, HTTP_UNREACHABLE, false);
	answer(BY_PROXY, 402, "{\"error\":\"workspace budget limit exceeded\"}");
	check_failed(&ask, ERROR_BUDGET);
	(void)peerbook_invalidate(fixture.workspace->peerbook, the_peer());
	break_peer();
	switchboard_write_metrics(fixture.agent->context.switchboard, &out);
	CHECK_INT(buffer_append_char(&out, '\0'), 0);
	CHECK(strstr(buffer_at(&out), "{route=\"direct\",outcome=\"answered\"} 1\n"));
	CHECK(strstr(buffer_at(&out), "{route=\"proxy\",outcome=\"budget_exceeded\"} 1\n"));
	CHECK(strstr(buffer_at(&out), "molecule_a2a_fallbacks_total 1\n"));
	CHECK(strstr(buffer_at(&out), "molecule_a2a_breakers{state=\"open\"} 1\n"));
	CHECK(strstr(buffer_at(&out), "latency_seconds_count{route=\"proxy\"} 1\n"));
	buffer_fini(&out);
	end();
}
