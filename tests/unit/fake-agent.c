/* SPDX-License-Identifier: MIT */
/*
 * The functions of agent/ that the local API calls, without what is behind them.
 */

#include "fake-agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/test.h"

#define NOON_MS INT64_C(1795176000000) /* 2026-11-20T12:00:00.000Z */

struct fake fake;

void fake_init(struct loop *loop, const struct agent_events *events, void *data)
{
	fake = (struct fake){
		.agent = { .context = { .loop = loop, .events = events, .events_data = data } }
	};
	list_init(&fake.join_waiters);
	list_init(&fake.agent.workspaces);
	list_init(&fake.agent.platforms);
	list_init(&fake.agent.context.warnings);
	list_init(&fake.waiters);
	fake_shelf_init();
}

static void end(struct workspace *workspace)
{
	list_remove(&workspace->node);
	fake.agent.n_workspaces--;
	workspace_settings_fini(&workspace->settings);
	bundle_free(workspace->vault.bundle);
	free(workspace->peerbook->peers);
	buffer_fini(&workspace->peerbook->json);
	free(workspace->peerbook);
	free(workspace->outbox);
	free(workspace);
}

void fake_fini(void)
{
	fake_shelf_fini();
	while (!list_empty(&fake.agent.workspaces))
		end(list_entry(fake.agent.workspaces.next, struct workspace, node));
}

void fake_set_bundle(struct workspace *workspace, const char *bundle)
{
	struct vault *vault = &workspace->vault;

	bundle_free(TAKE(vault->bundle));
	CHECK_INT(bundle_new(json_text_from(bundle, strlen(bundle)), &vault->bundle), 0);
	vault->fetched = true;
	vault->fetched_wall_ms = NOON_MS;
}

struct workspace *fake_add(const char *name, const char *id, const char *bundle)
{
	struct workspace *workspace = calloc(1, sizeof(*workspace));

	CHECK(workspace);
	CHECK_INT(workspace_settings_init(&workspace->settings), 0);
	(void)snprintf(workspace->settings.name, sizeof(workspace->settings.name), "%s", name);
	(void)snprintf(workspace->settings.id, sizeof(workspace->settings.id), "%s", id);
	workspace->settings.platform.url = strdup("https://platform.test");
	CHECK(workspace->settings.platform.url);
	workspace->context = &fake.agent.context;
	workspace->state = LIFECYCLE_ONLINE;
	workspace->heartbeat.born_ms = loop_now_ms(fake.agent.context.loop);
	reporter_init(&workspace->reporter);
	list_init(&workspace->vault.waiters);
	if (bundle)
		fake_set_bundle(workspace, bundle);
	workspace->peerbook = calloc(1, sizeof(*workspace->peerbook));
	CHECK(workspace->peerbook);
	list_init(&workspace->peerbook->waiters);
	buffer_init(&workspace->peerbook->json, 1 << 24);
	workspace->outbox = calloc(1, sizeof(*workspace->outbox));
	CHECK(workspace->outbox);
	list_append(&fake.agent.workspaces, &workspace->node);
	fake.agent.n_workspaces++;
	return workspace;
}

void fake_set_state(struct workspace *workspace, enum lifecycle_state state)
{
	enum lifecycle_state before = workspace->state;

	workspace->state = state;
	fake.agent.context.events->on_state(fake.agent.context.events_data, workspace, before);
}

void fake_set_peers(struct workspace *workspace, const char *peers)
{
	struct peerbook *book = workspace->peerbook;
	struct json_iter iter;
	struct json_text one;

	buffer_reset(&book->json);
	CHECK_INT(buffer_append_text(&book->json, peers), 0);
	book->fetched = true;
	book->fetched_at_ms = loop_now_ms(fake.agent.context.loop);
	book->n_peers = 0;
	book->peers = realloc(book->peers, 16 * sizeof(*book->peers));
	CHECK(book->peers);
	book->fetched_wall_ms = NOON_MS + 1000;
	iter = json_iter((struct json_text){ buffer_at(&book->json), buffer_len(&book->json) });
	while (json_next_element(&iter, &one)) {
		struct peer *peer = &book->peers[book->n_peers++];

		*peer = (struct peer){ 0 };
		CHECK_INT(
			json_text_cstring(json_text_member(one, "id"), peer->id, sizeof(peer->id)),
			0);
		peer->name = peer->id;
		CHECK(book->n_peers < 16);
	}
}

/* agent/agent.h */

struct workspace *agent_find(struct agent *agent, const char *name_or_id)
{
	list_for_each (node, &agent->workspaces) {
		struct workspace *workspace = list_entry(node, struct workspace, node);

		if (strcmp(workspace->settings.name, name_or_id) == 0 ||
		    strcasecmp(workspace->settings.id, name_or_id) == 0)
			return workspace;
	}

	return NULL;
}

struct workspace *agent_only(const struct agent *agent, struct error *err)
{
	if (agent->n_workspaces == 1)
		return list_entry(agent->workspaces.next, struct workspace, node);

	(void)error_set(err, agent->n_workspaces ? ERROR_CONFLICT : ERROR_NOT_FOUND, 0,
			"say which workspace");
	return NULL;
}

int agent_join(struct agent *agent, const struct workspace_settings *settings, const char *token,
	       struct workspace **ret, struct error *err)
{
	struct workspace *workspace;

	if (agent_find(agent, settings->name))
		return error_set(err, ERROR_CONFLICT, EEXIST, "it is there");

	workspace = fake_add(settings->name, settings->id, NULL);
	workspace_settings_fini(&workspace->settings);
	CHECK_INT(workspace_settings_copy(&workspace->settings, settings), 0);
	workspace->state = LIFECYCLE_JOINING;
	(void)snprintf(fake.token, sizeof(fake.token), "%s", token ? token : "");
	*ret = workspace;
	return 0;
}

int agent_leave(struct agent *agent, struct workspace *workspace, bool forget, struct error *err)
{
	struct error gone;

	fake.forgotten = forget;
	fake_set_state(workspace, LIFECYCLE_LEAVING);
	(void)error_set(&gone, ERROR_UNAVAILABLE, 0, "it leaves");
	waiters_call(&workspace->vault.waiters, &gone);
	waiters_call(&workspace->peerbook->waiters, &gone);
	waiters_call(&fake.join_waiters, &gone);
	end(workspace);
	return 0;
}

bool agent_has_warnings(const struct agent_context *context)
{
	return !list_empty(&context->warnings);
}

void agent_write_metrics(const struct agent *agent, struct buffer *out)
{
	metrics_family(out, "fake", METRIC_GAUGE, NULL, "Nothing");
}

/* agent/workspace.h, agent/token.h */

int workspace_may_call(const struct workspace *workspace, struct error *err)
{
	if (fake.refuses == ERROR_NONE)
		return 0;

	return error_set(err, fake.refuses, 0, "it may not call now");
}

static int wait_for(struct waiter *waiter)
{
	list_append(&fake.waiters, &waiter->node);
	return 0;
}

int workspace_refresh(struct workspace *workspace, struct waiter *waiter, struct error *err)
{
	return wait_for(waiter);
}

int workspace_update_card(struct workspace *workspace, const char *card, size_t len,
			  struct waiter *waiter, struct error *err)
{
	int r = workspace_may_call(workspace, err);

	if (r < 0)
		return r;

	fake.n_cards++;
	return wait_for(waiter);
}

int workspace_await_join(struct workspace *workspace, struct waiter *waiter, struct error *err)
{
	list_append(&fake.join_waiters, &waiter->node);
	return 0;
}

int workspace_set_token(struct workspace *workspace, const char *text, size_t len,
			struct waiter *waiter, struct error *err)
{
	if (len < 8)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "that is no token");

	(void)snprintf(fake.token, sizeof(fake.token), "%s", text);
	workspace->token.text = fake.token;
	return wait_for(waiter);
}

int workspace_rotate_token(struct workspace *workspace, struct waiter *waiter, struct error *err)
{
	int r = workspace_may_call(workspace, err);

	if (r < 0)
		return r;

	fake.n_rotations++;
	return wait_for(waiter);
}

void workspace_report_changed(struct workspace *workspace)
{
	fake.agent.context.events->on_report(fake.agent.context.events_data, workspace);
}

int64_t workspace_next_attempt_wall_ms(const struct workspace *workspace)
{
	return 0;
}

char *token_prefix(const struct token *token, char *dst)
{
	(void)snprintf(dst, TOKEN_PREFIX_LEN + 1, "%s", token->text ? token->text : "");
	return dst;
}

/* agent/vault.h */

bool vault_is_fresh(const struct vault *vault, int64_t max_age_ms)
{
	return vault->fetched && !vault->failing && (max_age_ms < 0 || fake.age_ms <= max_age_ms);
}

bool vault_may_serve_stale(const struct vault *vault)
{
	return vault->fetched && !fake.too_stale;
}

bool vault_is_stale(const struct vault *vault)
{
	return vault->failing;
}

void vault_fetch(struct vault *vault, struct waiter *waiter)
{
	fake.n_fetches++;
	list_append(&vault->waiters, &waiter->node);
}

const struct peerbook *workspace_peers(const struct workspace *workspace)
{
	return workspace->peerbook;
}

struct peerbook *workspace_peerbook(struct workspace *workspace, struct error *err)
{
	return workspace->peerbook;
}

/* agent/peerbook.h */

bool peerbook_is_fresh(const struct peerbook *book)
{
	return book->fetched && !fake.old_peers;
}

void peerbook_fetch(struct peerbook *book, struct waiter *waiter)
{
	fake.n_peer_fetches++;
	list_append(&book->waiters, &waiter->node);
}

struct peer *peerbook_find(struct peerbook *book, const char *id_or_name, struct error *err)
{
	for (size_t i = 0; i < book->n_peers; i++)
		if (strcmp(book->peers[i].id, id_or_name) == 0)
			return &book->peers[i];

	(void)error_set(err, ERROR_NOT_FOUND, ENOENT, "there is no such peer");
	return NULL;
}

int peerbook_write(struct peerbook *book, const char *query, struct buffer *out)
{
	if (!query)
		return buffer_append(out, buffer_at(&book->json), buffer_len(&book->json));

	return buffer_printf(out, "[\"%s\"]", query);
}

bool peerbook_calls_direct(const struct peerbook *book, const struct peer *peer)
{
	return peer->direct_url;
}

bool peer_is_discovered(const struct peerbook *book, const struct peer *peer)
{
	return peer->direct_until_ms > loop_now_ms(fake.agent.context.loop);
}

int peerbook_discover(struct peerbook *book, struct peer *peer, struct waiter *waiter,
		      struct error *err)
{
	fake.n_discoveries++;
	return wait_for(waiter);
}

bool peerbook_invalidate(struct peerbook *book, struct peer *peer)
{
	bool known = peer->direct_until_ms > 0;

	peer->direct_until_ms = 0;
	peer->direct_url = NULL;
	return known;
}

bool agent_has_journal(const struct agent *agent)
{
	return fake.has_journal;
}

int agent_forget(struct agent *agent, const struct workspace_key *workspace, struct waiter *waiter,
		 struct error *err)
{
	(void)snprintf(fake.wiped, sizeof(fake.wiped), "%s", workspace->text);
	return wait_for(waiter);
}

/* agent/outbox.h */

struct outbox *workspace_outbox(struct workspace *workspace, struct error *err)
{
	return workspace->outbox;
}

static void set_told(struct delegations told, bool duplicate)
{
	list_for_each (node, &fake.agent.workspaces) {
		struct workspace *workspace = list_entry(node, struct workspace, node);

		workspace->outbox->told = told;
		workspace->outbox->told_duplicate = duplicate;
	}
}

void fake_tell(struct delegation *rows, size_t n, bool duplicate)
{
	set_told((struct delegations){ rows, n }, duplicate);
	waiters_call(&fake.waiters, NULL);
	set_told((struct delegations){ NULL }, false);
}

int outbox_create(struct outbox *outbox, const struct outbox_order *order, struct waiter *waiter,
		  struct error *err)
{
	if (fake.full)
		return error_set(err, ERROR_OVERLOADED, EBUSY, "there are too many");

	(void)snprintf(fake.ordered, sizeof(fake.ordered), "%s %s %s", order->to,
		       order->key ? order->key : "-", order->task);
	return wait_for(waiter);
}

int outbox_find(struct outbox *outbox, const char *id, struct waiter *waiter, struct error *err)
{
	(void)snprintf(fake.ordered, sizeof(fake.ordered), "%s", id);
	return wait_for(waiter);
}

int outbox_list(struct outbox *outbox, const struct outbox_selection *selection,
		struct waiter *waiter, struct error *err)
{
	(void)snprintf(fake.ordered, sizeof(fake.ordered), "%s %zu%s%s",
		       selection->status ? delegate_status_name(*selection->status) : "any",
		       selection->limit, selection->before ? " before " : "",
		       selection->before ? selection->before : "");
	return wait_for(waiter);
}

const struct delegation *outbox_look(const struct outbox *outbox, const char *id)
{
	return fake.open;
}

bool outbox_await_try(struct outbox *outbox, const char *id, struct waiter *waiter)
{
	return fake.open && wait_for(waiter) == 0;
}

bool outbox_await_end(struct outbox *outbox, const char *id, struct waiter *waiter)
{
	return fake.open && wait_for(waiter) == 0;
}

void outbox_each(const struct outbox *outbox,
		 void (*visit)(const struct delegation *delegation, void *data), void *data)
{
	if (fake.open)
		visit(fake.open, data);
}

/* agent/courier.h */

int courier_new(const struct courier_spec *spec, struct waiter *waiter, struct courier **ret,
		struct error *err)
{
	struct courier *courier = &fake.courier;

	if (fake.refuses_call)
		return error_set(err, fake.refuses_call, EBUSY, "no call now");

	fake.n_calls++;
	courier->spec = *spec;
	(void)snprintf(courier->to, sizeof(courier->to), "%s", spec->to);
	(void)snprintf(courier->message_id, sizeof(courier->message_id), "%s",
		       spec->message_id[0] ? spec->message_id : "made-up");
	*ret = courier;
	return wait_for(waiter);
}

void fake_answer_call(enum a2a_route route, const struct a2a_answer *answer)
{
	fake.courier.route = route;
	fake.courier.answer = answer;
	waiters_call(&fake.waiters, NULL);
}
