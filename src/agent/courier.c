/* SPDX-License-Identifier: MIT */
/*
 * A call: how it begins, which way it takes, and how it ends. Whatever ends a
 * step decides on the next one; a step that ends the call touches nothing
 * afterwards, for that frees it.
 */

#include "agent/courier.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/contact.h"
#include "agent/courier-private.h"
#include "base/unique.h"

struct switchboard *courier_board(const struct courier *courier)
{
	return courier->spec.member->context->switchboard;
}

struct peer *courier_peer(const struct courier *courier)
{
	return peerbook_find_id(courier->spec.book, courier->to);
}

int64_t courier_now_ms(const struct courier *courier)
{
	return loop_now_ms(courier->spec.member->context->loop);
}

/* What to call the peer in a sentence. */
const char *courier_name(const struct courier *courier, char dst[static COURIER_NAME_SIZE])
{
	const struct peer *peer = courier_peer(courier);
	const char *name = peer ? peer->name : courier->to;

	return error_quote(dst, COURIER_NAME_SIZE, name, strlen(name));
}

/* The breaker's one try is over without a verdict on the peer. */
static void courier_forget_pass(struct courier *courier)
{
	struct peer *peer = courier_peer(courier);

	if (courier->step == COURIER_CALLS && peer && peer->contact)
		breaker_forget(&peer->contact->breaker, courier->pass);
}

/* Nothing of it goes on; what is known of it stays. */
static void courier_halt(struct courier *courier)
{
	if (courier->step != COURIER_DONE)
		courier_forget_pass(courier);
	courier->step = COURIER_DONE;
	waiter_cancel(&courier->book_news);
	waiter_cancel(&courier->farewell);
	http_request_stop(&courier->http);
	platform_call_stop(&courier->call);
	timer_stop(&courier->deadline);
	timer_stop(&courier->rest);
	line_close(&courier->line);
}

static void courier_count(struct courier *courier, enum switchboard_outcome outcome,
			  enum error_kind kind)
{
	enum switchboard_route route = SWITCHBOARD_NOWHERE;

	if (courier->tried)
		route = courier->route == A2A_DIRECT ? SWITCHBOARD_DIRECT : SWITCHBOARD_PROXY;
	switchboard_count(courier_board(courier), route, outcome, kind,
			  courier_now_ms(courier) - courier->began_ms);
}

static void courier_free(struct courier *courier)
{
	error_keep(&courier->before, NULL);
	free(courier->url);
	buffer_fini(&courier->first);
	free(courier);
}

static void courier_end(struct courier *courier, const struct error *err)
{
	waiters_call(&courier->waiters, err);
	courier_free(courier);
}

/* Nobody waits any more. */
static void courier_on_left(void *data)
{
	struct courier *courier = data;

	courier_halt(courier);
	courier_count(courier, SWITCHBOARD_FAILED, ERROR_CANCELLED);
	courier_free(courier);
}

void courier_succeed(struct courier *courier, const struct a2a_answer *answer)
{
	bool queued = answer->kind == A2A_QUEUED;

	courier_halt(courier);
	courier_count(courier, queued ? SWITCHBOARD_QUEUED : SWITCHBOARD_ANSWERED, ERROR_NONE);
	courier->answer = answer;
	courier_end(courier, NULL);
}

/* Whether it says that nothing was done. */
static bool is_harmless(enum error_kind kind)
{
	switch (kind) {
	case ERROR_UNAVAILABLE:
	case ERROR_TIMEOUT:
	case ERROR_RATE_LIMITED:
	case ERROR_PAUSED:
	case ERROR_INTERNAL:
	case ERROR_PLATFORM:
	case ERROR_UNAUTHORIZED:
	case ERROR_BUDGET:
	case ERROR_NOT_PERMITTED:
	case ERROR_NOT_FOUND:
		return true;
	default:
		return false;
	}
}

/*
 * The end of a call that had gone to the peer directly before: whoever hears of
 * it hears of both, and never that nothing was done when the peer had it.
 */
static void courier_join_errors(const struct courier *courier, struct error *err)
{
	const struct error *before = courier->before;
	char text[ERROR_TEXT_MAX];

	if (!before)
		return;

	(void)snprintf(text, sizeof(text), "%.*s; before that, directly: %.*s",
		       ERROR_TEXT_MAX / 2 - 16, err->text, ERROR_TEXT_MAX / 2 - 16, before->text);
	memcpy(err->text, text, sizeof(text));
	if (courier->reached && is_harmless(err->kind)) {
		err->kind = before->kind;
		err->http_status = before->http_status;
		err->retry_after_ms = before->retry_after_ms;
	}
}

void courier_fail(struct courier *courier, const struct error *why)
{
	struct error err = *why;

	courier_join_errors(courier, &err);
	courier_halt(courier);
	courier_count(courier, SWITCHBOARD_FAILED, err.kind);
	courier_end(courier, &err);
}

/* The peer may have the message, of the try that is under way or of one before it. */
static bool courier_was_sent(const struct courier *courier)
{
	return courier->task_id[0] || http_request_was_sent(&courier->http) ||
	       platform_call_was_sent(&courier->call);
}

/* An end that comes from outside: what is under way may have been sent. */
static void courier_break_off(struct courier *courier, enum error_kind kind, const char *why)
{
	struct error err = { 0 };
	char name[COURIER_NAME_SIZE];

	(void)courier_name(courier, name);
	if (courier->task_id[0])
		(void)error_set(&err, ERROR_UNKNOWN_OUTCOME, 0,
				"the call to %s has no known outcome: it works on it as task %s, "
				"and %s",
				name, courier->task_id, why);
	else if (courier_was_sent(courier))
		(void)error_set(
			&err, ERROR_UNKNOWN_OUTCOME, 0,
			"the call to %s has no known outcome: it was sent, and %s; the peer "
			"may still act on it",
			name, why);
	else
		(void)error_set(&err, kind, 0, "cannot call %s: %s", name, why);
	courier_fail(courier, &err);
}

static void courier_on_deadline(struct timer *timer)
{
	struct courier *courier = container_of(timer, struct courier, deadline);
	double seconds = (double)courier->spec.timeout_ms / 1000;
	char why[96];

	if (courier_was_sent(courier))
		(void)snprintf(why, sizeof(why), "no answer came within %.1f s", seconds);
	else if (courier->step == COURIER_WAITS)
		(void)snprintf(why, sizeof(why),
			       "%.1f s were not enough for earlier calls to make room", seconds);
	else
		(void)snprintf(why, sizeof(why), "nothing could be sent within %.1f s", seconds);
	courier_break_off(courier, ERROR_TIMEOUT, why);
}

/* The workspace is going, and all its traffic ends. */
static void courier_on_farewell(struct waiter *waiter, const struct error *err)
{
	struct courier *courier = container_of(waiter, struct courier, farewell);
	const struct membership *member = courier->spec.member;
	char why[WORKSPACE_NAME_MAX + 32];

	(void)snprintf(why, sizeof(why), "%s is %s", member->settings->name,
		       lifecycle_state_name(*member->state));
	courier_break_off(courier, err->kind, why);
}

/* Whether something may leave now: the platform may have paused us meanwhile. */
bool courier_may_go(const struct courier *courier, struct error *err)
{
	const struct membership *member = courier->spec.member;
	enum lifecycle_state state = *member->state;
	char name[COURIER_NAME_SIZE];

	if (state == LIFECYCLE_ONLINE || state == LIFECYCLE_DEGRADED)
		return true;

	(void)error_set(err, lifecycle_refusal(state), 0, "cannot call %s: %s is %s",
			courier_name(courier, name), member->settings->name,
			lifecycle_state_name(state));
	return false;
}

/* --- which way --- */

static void courier_fail_direct(struct courier *courier, const char *why, int64_t retry_after_ms)
{
	struct error err = { 0 };
	char name[COURIER_NAME_SIZE];

	(void)error_set(&err, ERROR_UNAVAILABLE, 0, "cannot call %s directly: %s",
			courier_name(courier, name), why);
	err.retry_after_ms = retry_after_ms;
	courier_fail(courier, &err);
}

/* There is a URL; whether it works is for the breaker to say. */
static void courier_try_url(struct courier *courier, struct peer *peer, const char *url)
{
	struct breaker *breaker = peer->contact ? &peer->contact->breaker : NULL;
	int64_t now_ms = courier_now_ms(courier);
	struct error err = { 0 };

	courier->pass = breaker ? breaker_ask(breaker, now_ms) : BREAKER_LETS;
	if (courier->pass == BREAKER_REFUSES && courier->spec.route == COURIER_AUTO) {
		courier_forward(courier);
		return;
	}
	if (courier->pass == BREAKER_REFUSES) {
		courier_fail_direct(courier, "it has failed too often of late",
				    MAX(breaker_left_ms(breaker, now_ms), (int64_t)1));
		return;
	}

	free(courier->url);
	courier->url = strdup(url);
	if (!courier->url) {
		if (breaker)
			breaker_forget(breaker, courier->pass);
		(void)error_set(&err, ERROR_INTERNAL, ENOMEM, "no memory for a call");
		courier_fail(courier, &err);
		return;
	}
	if (peer->contact)
		courier->version = peer->contact->version;
	courier_call(courier);
}

static bool courier_avoids(const struct courier *courier, const struct peer *peer)
{
	return courier->spec.route == COURIER_AUTO && peer->contact &&
	       courier_now_ms(courier) < peer->contact->avoid_until_ms;
}

static void courier_discover(struct courier *courier, struct peer *peer)
{
	struct error err = { 0 };

	courier->discovered = true;
	if (peerbook_discover(courier->spec.book, peer, &courier->book_news, &err) == 0)
		return;

	if (courier->spec.route == COURIER_AUTO)
		courier_forward(courier);
	else
		courier_fail(courier, &err);
}

static const char *why_not_direct(const struct peer *peer)
{
	if (!peer)
		return "it is not on the list of peers, which has the URLs";
	if (!peer->url || !peer->url[0])
		return "it has registered no URL";

	return "it has no URL that may be called; peer_networks in agentd.conf(5) says which may";
}

static void courier_choose(struct courier *courier)
{
	struct peerbook *book = courier->spec.book;
	struct peer *peer = courier_peer(courier);
	const char *url = NULL;

	if (peer && !courier_avoids(courier, peer)) {
		if (!peerbook_knows_url(book, peer) && !courier->discovered) {
			courier_discover(courier, peer);
			return;
		}
		url = peerbook_direct_url(book, peer);
	}

	if (url)
		courier_try_url(courier, peer, url);
	else if (courier->spec.route == COURIER_AUTO)
		courier_forward(courier);
	else
		courier_fail_direct(courier, why_not_direct(peer), 0);
}

static void courier_on_book_news(struct waiter *waiter, const struct error *err)
{
	struct courier *courier = container_of(waiter, struct courier, book_news);

	if (err && courier->spec.route == COURIER_DIRECT) {
		courier_fail(courier, err);
		return;
	}

	/* The platform may still pass the message on, though it does not say where the peer is. */
	courier->discovered |= err != NULL;
	courier_choose(courier);
}

static void courier_look(struct courier *courier)
{
	struct peerbook *book = courier->spec.book;
	const struct peer *peer = courier_peer(courier);
	struct error err = { 0 };

	courier->step = COURIER_LOOKS;
	if (!courier_may_go(courier, &err)) {
		courier_fail(courier, &err);
		return;
	}

	if (courier->spec.route == COURIER_PROXY)
		courier_forward(courier);
	else if (peerbook_is_fresh(book) || (peer && peer_is_discovered(book, peer)))
		courier_choose(courier);
	else
		peerbook_fetch(book, &courier->book_news);
}

static void courier_on_line(struct line *line)
{
	courier_look(container_of(line, struct courier, line));
}

/* --- beginning and end --- */

static int courier_name_it(struct courier *courier)
{
	const char *given = courier->spec.message_id;

	if (!given[0])
		return unique_uuids(courier->id, courier->message_id);

	(void)snprintf(courier->message_id, sizeof(courier->message_id), "%s", given);
	return unique_uuid(courier->id);
}

/* Ids, and how much it is: what is too large is never sent. */
static int courier_fill(struct courier *courier, size_t *ret_len, struct error *err)
{
	AUTO(buffer_fini) struct buffer body = BUFFER_INIT(2 * A2A_MESSAGE_MAX);
	int r;

	r = courier_name_it(courier);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "no random numbers for an id: %m");

	courier->spec.message_id = courier->message_id;
	r = courier_compose(courier, &body, err);
	*ret_len = buffer_len(&body);
	if (r == 0 && *ret_len <= COURIER_FIRST_MAX) {
		courier->first = body;
		body = BUFFER_INIT(0);
	}
	return r;
}

static void courier_init(struct courier *courier, const struct courier_spec *spec)
{
	struct loop *loop = spec->member->context->loop;

	*courier = (struct courier){ .spec = *spec, .pass = BREAKER_LETS };
	(void)snprintf(courier->to, sizeof(courier->to), "%s", spec->to);
	courier->spec.to = courier->to;
	courier->began_ms = loop_now_ms(loop);
	list_init(&courier->waiters);
	waiter_init(&courier->book_news, courier_on_book_news);
	waiter_init(&courier->farewell, courier_on_farewell);
	line_init(&courier->line, courier_on_line);
	timer_init(&courier->deadline, loop, courier_on_deadline);
	courier_init_tries(courier);
}

static int courier_request_line(struct courier *courier, size_t len, struct error *err)
{
	struct line_spec spec = {
		.peer = courier->to,
		.workspace = courier->spec.member->settings->id,
		.uid = courier->spec.uid,
		.bytes = len,
	};
	char name[COURIER_NAME_SIZE];
	int r;

	r = line_request(&courier->line, courier_board(courier), &spec, err);
	if (r < 0)
		error_prefix(err, "cannot call %s", courier_name(courier, name));
	return r;
}

int courier_new(const struct courier_spec *spec, struct waiter *waiter, struct courier **ret,
		struct error *err)
{
	struct courier *courier;
	size_t len;
	int r;

	courier = calloc(1, sizeof(*courier));
	if (!courier)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a call");

	courier_init(courier, spec);
	r = courier_fill(courier, &len, err);
	if (r == 0)
		r = courier_request_line(courier, len, err);
	if (r < 0) {
		courier_count(courier, SWITCHBOARD_FAILED, err->kind);
		courier_free(courier);
		return r;
	}

	list_append(&courier->waiters, &waiter->node);
	waiter_watch(waiter, courier_on_left, courier);
	list_append(&spec->book->farewells, &courier->farewell.node);
	timer_start(&courier->deadline, spec->timeout_ms);
	*ret = courier;
	return 0;
}
