/* SPDX-License-Identifier: MIT */
/*
 * The tries of a call: directly, through the platform, and asking after a task.
 *
 * Whether a message may be sent again is not decided here: a reply says so
 * (agent/a2a-answer), and a reply that was not had says no.
 */

#include "agent/courier-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/contact.h"
#include "agent/guard.h"
#include "base/log.h"
#include "base/unique.h"

/* How often to ask after a task: a peer of ours may take seconds, or half an hour. */
static const struct backoff_policy direct_polls = { .first_ms = 500, .cap_ms = 10000 };
/* Each of these is a request of the platform's budget. */
static const struct backoff_policy proxy_polls = { .first_ms = 2000, .cap_ms = 30000 };

#define RETRY_AFTER_MAX_MS 300000 /* a longer one is not believed */
/* HTTP has a deadline of its own; this one is for when ours failed to come first. */
#define DEADLINE_SLACK_MS 1000

/* What to post: the message, or a question after the task that it has become. */
int courier_compose(struct courier *courier, struct buffer *out, struct error *err)
{
	struct a2a_request request = {
		.version = courier->version,
		.id = courier->id,
		.message_id = courier->message_id,
		.text = courier->spec.text,
		.message = courier->spec.message,
	};
	char id[UUID_LEN + 1];
	int r;

	if (!courier->task_id[0])
		return a2a_request_write(&request, out, err);

	r = unique_uuid(id);
	if (r == 0)
		r = a2a_request_write_get(courier->version, id, courier->task_id, out);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "cannot ask after a task: %m") : 0;
}

static void courier_read(const struct courier *courier, const struct http_result *result,
			 struct a2a_answer *ret)
{
	const struct membership *member = courier->spec.member;
	struct a2a_question question = {
		.route = courier->route,
		.is_poll = courier->task_id[0],
		.platform = member->platform->label,
		.token = courier->route == A2A_PROXY ? member->token->text : NULL,
		.max_body = courier->spec.max_reply,
		.timeout_ms = courier->spec.timeout_ms,
		.now_s = wall_now_ms() / 1000,
		.rest_max_ms = RETRY_AFTER_MAX_MS,
	};
	const struct peer *peer = courier_peer(courier);

	question.peer = peer ? peer->name : courier->to;
	if (courier->route == A2A_DIRECT && !result->sent)
		question.timeout_ms = MIN(question.timeout_ms, (int64_t)COURIER_CONNECT_MS);
	a2a_answer_read(ret, &question, result);
}

/* --- asking after a task --- */

static void courier_rest(struct courier *courier, int64_t at_least_ms)
{
	const struct backoff_policy *policy =
		courier->route == A2A_DIRECT ? &direct_polls : &proxy_polls;
	int64_t delay_ms = backoff_failed(&courier->polls, policy, random_u32());

	courier->step = COURIER_RESTS;
	timer_start(&courier->rest, MAX(delay_ms, at_least_ms));
}

static void courier_note_task(struct courier *courier, const char *task_id)
{
	/* A task stays what it was called first. */
	if (!courier->task_id[0])
		(void)snprintf(courier->task_id, sizeof(courier->task_id), "%s", task_id);
	courier_rest(courier, 0);
}

/* Takes what is no failure; the courier may be gone then. */
static bool courier_take(struct courier *courier, const struct a2a_answer *answer)
{
	switch (answer->kind) {
	case A2A_ANSWERED:
	case A2A_QUEUED:
		courier_succeed(courier, answer);
		return true;
	case A2A_TASK_WORKING:
		courier_note_task(courier, answer->task_id);
		return true;
	case A2A_WRONG_VERSION:
	case A2A_FAILED:
		break;
	}
	return false;
}

/* What a try posts, when one may go now. *out is empty before. */
static int courier_load(struct courier *courier, struct buffer *out, struct error *err)
{
	struct buffer first = courier->first;

	if (!courier_may_go(courier, err))
		return -EPERM;

	if (!buffer_len(&first) || courier->version != A2A_0_3)
		return courier_compose(courier, out, err);

	courier->first = BUFFER_INIT(0);
	*out = first;
	return 0;
}

/* --- through the platform --- */

static void courier_on_refused(struct courier *courier, const struct a2a_answer *answer)
{
	struct peerbook *book = courier->spec.book;

	if (answer->err.kind == ERROR_UNAUTHORIZED)
		book->events->on_doubt(book->data);
	if (answer->may_poll_again)
		courier_rest(courier, answer->err.retry_after_ms);
	else
		courier_fail(courier, &answer->err);
}

static void courier_on_forwarded(struct platform_call *call, const struct platform_reply *reply)
{
	struct courier *courier = container_of(call, struct courier, call);
	struct a2a_answer answer;

	if (!reply->result) {
		if (courier->task_id[0])
			courier_rest(courier, reply->err.retry_after_ms);
		else
			courier_fail(courier, &reply->err);
		return;
	}

	courier_read(courier, reply->result, &answer);
	if (!courier_take(courier, &answer))
		courier_on_refused(courier, &answer);
	a2a_answer_fini(&answer);
}

static int courier_start_forwarding(struct courier *courier, struct error *err)
{
	AUTO(buffer_fini) struct buffer body = BUFFER_INIT(2 * A2A_MESSAGE_MAX);
	const struct membership *member = courier->spec.member;
	char path[80], what[96], name[COURIER_NAME_SIZE];
	int r;

	r = courier_load(courier, &body, err);
	if (r < 0)
		return r;

	(void)snprintf(path, sizeof(path), "/workspaces/%s/a2a", courier->to);
	(void)snprintf(what, sizeof(what), "call %s", courier_name(courier, name));
	return platform_call_start(
		&courier->call, member->platform,
		&(struct platform_spec){
			.class = PLATFORM_CALL,
			.method = "POST",
			.path = path,
			.what = what,
			.id = courier->to,
			.caller = member->settings->id,
			.token = member->token->text,
			.body = buffer_at(&body),
			.body_len = buffer_len(&body),
			.max_body = courier->spec.max_reply,
			.timeout_ms = timer_left_ms(&courier->deadline) + DEADLINE_SLACK_MS,
			.unread = true,
			.party = line_party(&courier->line),
		},
		err);
}

void courier_forward(struct courier *courier)
{
	struct error err = { 0 };

	courier->step = COURIER_FORWARDS;
	courier->route = A2A_PROXY;
	/* The platform drops the header that says which other version it is. */
	courier->version = A2A_0_3;
	if (courier_start_forwarding(courier, &err) < 0)
		courier_fail(courier, &err);
	else
		courier->tried = true;
}

/* --- directly --- */

static bool courier_may_dial(const struct sockaddr *address, void *context)
{
	const struct workspace_settings *settings = context;

	return guard_allows(settings->peer_networks, address);
}

/* How the peer is, as far as this shows it. That it is slow shows nothing. */
enum health {
	HEALTH_UNKNOWN,
	HEALTH_GOOD,
	HEALTH_BAD,
};

static enum health read_health(const struct http_result *result)
{
	switch (result->outcome) {
	case HTTP_ANSWERED:
		return result->status >= 500 ? HEALTH_BAD : HEALTH_GOOD;
	case HTTP_TIMED_OUT:
		return result->sent ? HEALTH_UNKNOWN : HEALTH_BAD;
	case HTTP_UNRESOLVED:
	case HTTP_UNREACHABLE:
	case HTTP_UNTRUSTED:
	case HTTP_BROKEN:
		return HEALTH_BAD;
	case HTTP_TOO_LARGE:
	case HTTP_REFUSED:
		break;
	}
	return HEALTH_UNKNOWN;
}

static void courier_note_health(struct courier *courier, struct contact *contact,
				enum health health)
{
	switch (health) {
	case HEALTH_GOOD:
		breaker_succeeded(&contact->breaker);
		contact->avoid_until_ms = 0;
		break;
	case HEALTH_BAD:
		breaker_failed(&contact->breaker, courier->pass, courier_now_ms(courier));
		break;
	case HEALTH_UNKNOWN:
		breaker_forget(&contact->breaker, courier->pass);
		break;
	}
}

/* Told once, when it begins. */
static void courier_avoid(struct courier *courier, struct peer *peer, const struct error *why)
{
	const struct workspace_settings *settings = courier->spec.member->settings;
	char ttl[64];

	if (courier_now_ms(courier) >= peer->contact->avoid_until_ms)
		log_event(LOG_INFO, settings->name, "peer_avoided", NULL,
			  "%s; for %s it is called through the platform", why->text,
			  format_duration(ttl, sizeof(ttl), settings->url_cache_ttl_ms));
	peerbook_avoid(courier->spec.book, peer);
}

/* What this try has taught about the peer. */
static void courier_learn(struct courier *courier, const struct http_result *result,
			  const struct a2a_answer *answer)
{
	struct peer *peer = courier_peer(courier);
	enum health health = read_health(result);
	bool speaks_other = courier->switched_version && health == HEALTH_GOOD &&
			    answer->kind != A2A_WRONG_VERSION;
	struct contact *contact;

	if (!peer)
		return;

	contact = peer->contact;
	if (!contact && (health == HEALTH_BAD || answer->may_fall_back || speaks_other))
		contact = peerbook_contact(courier->spec.book, peer,
					   &courier_board(courier)->contacts);
	if (!contact)
		return;

	courier_note_health(courier, contact, health);
	/* Its end of the connection was closed, or just closing: then it is so again. */
	if (result->outcome == HTTP_BROKEN && result->reused)
		contact->alone_until_ms =
			courier_now_ms(courier) + courier->spec.member->settings->url_cache_ttl_ms;
	if (speaks_other)
		contact->version = courier->version;
	if (answer->may_fall_back)
		courier_avoid(courier, peer, &answer->err);
}

/* It did not go directly: on through the platform, unless that was not asked for. */
static void courier_fall_back(struct courier *courier, const struct http_result *result,
			      const struct error *why)
{
	if (courier->spec.route != COURIER_AUTO) {
		courier_fail(courier, why);
		return;
	}

	courier_board(courier)->stats.n_fallbacks++;
	courier->reached = result->sent;
	error_keep(&courier->before, why);
	courier_forward(courier);
}

static void courier_on_failed(struct courier *courier, const struct http_result *result,
			      const struct a2a_answer *answer)
{
	if (answer->kind == A2A_WRONG_VERSION && !courier->switched_version) {
		courier->switched_version = true;
		courier->version = courier->version == A2A_0_3 ? A2A_1_0 : A2A_0_3;
		courier_call(courier);
	} else if (answer->may_poll_again) {
		courier_rest(courier, answer->err.retry_after_ms);
	} else if (answer->may_fall_back) {
		courier_fall_back(courier, result, &answer->err);
	} else {
		courier_fail(courier, &answer->err);
	}
}

static void courier_on_called(struct http_request *request, const struct http_result *result)
{
	struct courier *courier = container_of(request, struct courier, http);
	struct a2a_answer answer;

	courier_read(courier, result, &answer);
	courier_learn(courier, result, &answer);
	courier->pass = BREAKER_LETS;
	if (!courier_take(courier, &answer))
		courier_on_failed(courier, result, &answer);
	a2a_answer_fini(&answer);
}

static bool courier_needs_connection(const struct courier *courier)
{
	const struct peer *peer = courier_peer(courier);

	return peer && peer->contact && courier_now_ms(courier) < peer->contact->alone_until_ms;
}

static int courier_start_calling(struct courier *courier, struct error *err)
{
	AUTO(buffer_fini) struct buffer body = BUFFER_INIT(2 * A2A_MESSAGE_MAX);
	const struct workspace_settings *settings = courier->spec.member->settings;
	const char *headers[3] = { NULL };
	char caller[64];
	int r;

	r = courier_load(courier, &body, err);
	if (r < 0)
		return r;

	(void)snprintf(caller, sizeof(caller), "X-Workspace-ID: %s", settings->id);
	headers[0] = caller;
	if (courier->version == A2A_1_0)
		headers[1] = "A2A-Version: 1.0";
	/* No token: whoever registered that URL would have it. */
	return http_request_start(
		&courier->http, courier_board(courier)->http,
		&(struct http_spec){
			.method = "POST",
			.url = courier->url,
			.headers = headers,
			.body = buffer_at(&body),
			.body_len = buffer_len(&body),
			.max_body = courier->spec.max_reply,
			.timeout_ms = timer_left_ms(&courier->deadline) + DEADLINE_SLACK_MS,
			.connect_timeout_ms = COURIER_CONNECT_MS,
			.ca_file = settings->platform.ca_file,
			.allow_http = true,
			.takes_unframed = true,
			.alone = courier_needs_connection(courier),
			.max_idle_s = COURIER_IDLE_S,
			.may_dial = courier_may_dial,
			.may_dial_context = (void *)(uintptr_t)settings,
			.party = line_party(&courier->line),
		},
		err);
}

void courier_call(struct courier *courier)
{
	struct error err = { 0 };

	courier->step = COURIER_CALLS;
	courier->route = A2A_DIRECT;
	if (courier_start_calling(courier, &err) < 0)
		courier_fail(courier, &err);
	else
		courier->tried = true;
}

static void courier_on_rested(struct timer *timer)
{
	struct courier *courier = container_of(timer, struct courier, rest);

	/* One that is paused, or has lost the platform for a while, asks later. */
	if (!courier_may_go(courier, NULL))
		courier_rest(courier, 0);
	else if (courier->route == A2A_DIRECT)
		courier_call(courier);
	else
		courier_forward(courier);
}

void courier_init_tries(struct courier *courier)
{
	http_request_init(&courier->http, courier_on_called);
	platform_call_init(&courier->call, courier_on_forwarded);
	timer_init(&courier->rest, courier->spec.member->context->loop, courier_on_rested);
}
