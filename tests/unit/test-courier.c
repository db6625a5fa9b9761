/* SPDX-License-Identifier: MIT */
/*
 * Which way a call goes, and whether it goes on another one.
 */
#include "agent/courier.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "courier-fixture.h"

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
	CHECK_INT(request->max_idle_s, COURIER_IDLE_S);
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
	CHECK_INT(request->max_idle_s, 0);
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
