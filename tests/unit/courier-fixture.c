/* SPDX-License-Identifier: MIT */
#include "courier-fixture.h"

#include <string.h>

struct fixture fixture;

void on_end(struct waiter *waiter, const struct error *err)
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

struct courier_spec spec_for(const char *to)
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

void begin_as(struct ask *ask, const struct courier_spec *spec)
{
	*ask = (struct ask){ .called = 0 };
	waiter_init(&ask->waiter, on_end);
	CHECK_INT(courier_new(spec, &ask->waiter, &ask->courier, &ask->err), 0);
	fixture_settle(&fixture);
}

void begin_call(struct ask *ask, enum courier_route route)
{
	struct courier_spec spec = spec_for(PEER);

	spec.route = route;
	begin_as(ask, &spec);
}

struct http *calls(void)
{
	return fixture.agent->context.switchboard->http;
}

bool is_out(const char *method, const char *end)
{
	fixture_settle(&fixture);
	return fake_http_find(calls(), method, end);
}

struct fake_request *expect(const char *method, const char *end)
{
	struct fake_request *request;

	fixture_settle(&fixture);
	request = fake_http_find(calls(), method, end);
	if (!request)
		test_fail(__FILE__, __LINE__, "no %s ...%s, but %u others", method, end,
			  fake_http_count(calls()));
	return request;
}

void answer(const char *method, const char *end, int status, const char *body)
{
	fake_answer(expect(method, end), status, body);
	fixture_settle(&fixture);
}

void fail(const char *method, const char *end, enum http_outcome outcome, bool sent)
{
	struct http_result result = { .outcome = outcome, .sent = sent, .why = "as scripted" };

	fake_answer_with(expect(method, end), &result, NULL);
	fixture_settle(&fixture);
}

void expire(struct timer *timer)
{
	CHECK(timer_is_running(timer));
	timer_stop(timer);
	timer->fn(timer);
	fixture_settle(&fixture);
}

void list_peers(void)
{
	struct wish wish;

	wish_init(&wish);
	peerbook_fetch(workspace_peerbook(fixture.workspace, NULL), &wish.waiter);
	fixture_answer(&fixture, GET_PEERS, 200, PEERS);
	CHECK_INT(wish.err.kind, ERROR_NONE);
}

struct peer *the_peer(void)
{
	return peerbook_find_id(workspace_peerbook(fixture.workspace, NULL), PEER);
}

void begin(void)
{
	fixture_init(&fixture);
	fixture_begin_online(&fixture);
	list_peers();
}

/* Nothing is left of any call. */
void end(void)
{
	const struct switchboard *board = fixture.agent->context.switchboard;

	CHECK_INT(fake_http_count(calls()), 0);
	CHECK_INT(board->n_open + board->n_waiting, 0);
	CHECK_INT(board->bytes, 0);
	fixture_fini(&fixture);
}

void check_failed(const struct ask *ask, enum error_kind kind)
{
	CHECK_INT(ask->called, 1);
	if (ask->err.kind != kind)
		test_fail(__FILE__, __LINE__, "%s, not %s: %s", error_name(ask->err.kind),
			  error_name(kind), ask->err.text);
	CHECK(!strstr(ask->err.text, "token-of-"));
}

void check_answered(const struct ask *ask, enum a2a_route route)
{
	if (ask->err.kind)
		test_fail(__FILE__, __LINE__, "%s", ask->err.text);
	CHECK_INT(ask->called, 1);
	CHECK_INT(ask->kind, A2A_ANSWERED);
	CHECK_INT(ask->route, route);
	CHECK_TEXT(ask->text, "hi");
}
