/* SPDX-License-Identifier: MIT */
/*
 * All workspaces of the host: found, joined, left, and made to be what the
 * settings say. Two whose platform settings are equal share one platform.
 */

#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/journal.h"
#include "agent/plugin-pool.h"
#include "agent/switchboard.h"
#include "base/json.h"
#include "base/log.h"

static void agent_on_quiet(struct loop_work *work)
{
	struct agent *agent = container_of(work, struct agent, quiet);

	if (agent->on_quiet)
		agent->on_quiet(agent->quiet_data);
}

int agent_new(struct loop *loop, struct http *http, int state_dirfd,
	      const struct agent_events *events, void *events_data, struct agent **ret,
	      struct error *err)
{
	struct agent *agent;
	int r;

	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the agent");

	r = switchboard_new(loop, &agent->context.switchboard, err);
	if (r < 0) {
		free(agent);
		return r;
	}

	agent->context.loop = loop;
	agent->context.http = http;
	agent->context.state_dirfd = state_dirfd;
	agent->context.events = events;
	agent->context.events_data = events_data;
	list_init(&agent->workspaces);
	roster_init(&agent->roster, &agent->workspaces);
	outboxes_init(&agent->outboxes, &agent->context, &agent->roster, &agent->workspaces);
	farewells_init(&agent->farewells, &agent->context);
	list_init(&agent->platforms);
	list_init(&agent->context.warnings);
	loop_work_init(&agent->quiet, agent_on_quiet);
	host_id(agent->context.machine);
	*ret = agent;
	return 0;
}

/* Platforms that nobody uses any more, and what the others must leave for beats. */
static void agent_tidy_platforms(struct agent *agent)
{
	list_for_each (node, &agent->platforms) {
		struct platform *platform = list_entry(node, struct platform, node);

		platform->n_workspaces = 0;
		platform->beats_per_minute = 0;
	}

	list_for_each (node, &agent->workspaces) {
		struct workspace *workspace = list_entry(node, struct workspace, node);

		workspace->platform->n_workspaces++;
		workspace->platform->beats_per_minute +=
			60000.0 / (double)workspace->settings.heartbeat_interval_ms;
	}

	list_for_each_safe (node, &agent->platforms) {
		struct platform *platform = list_entry(node, struct platform, node);

		if (!platform->n_workspaces)
			platform_free(platform);
	}
}

static int agent_platform(struct agent *agent, const struct platform_settings *settings,
			  struct platform **ret, struct error *err)
{
	int r;

	list_for_each (node, &agent->platforms) {
		struct platform *platform = list_entry(node, struct platform, node);

		if (platform_settings_equal(&platform->settings, settings)) {
			*ret = platform;
			return 0;
		}
	}

	r = platform_new(agent->context.loop, agent->context.http, settings, ret, err);
	if (r < 0)
		return r;

	(*ret)->call_http = agent->context.switchboard->http;
	list_append(&agent->platforms, &(*ret)->node);
	return 0;
}

/* From the end: those of a configuration come sorted. */
static void agent_insert(struct agent *agent, struct workspace *workspace)
{
	struct list *node = agent->workspaces.prev;

	while (node != &agent->workspaces &&
	       strcmp(list_entry(node, struct workspace, node)->settings.name,
		      workspace->settings.name) > 0)
		node = node->prev;

	list_prepend(node, &workspace->node);
	agent->n_workspaces++;
	roster_changed(&agent->roster);
}

static int agent_add(struct agent *agent, const struct workspace_settings *settings,
		     struct workspace **ret, struct error *err)
{
	struct platform *platform;
	int r;

	r = agent_platform(agent, &settings->platform, &platform, err);
	if (r < 0)
		return r;

	return workspace_new(&agent->context, platform, settings, ret, err);
}

static void agent_remove(struct agent *agent, struct workspace *workspace)
{
	char name[WORKSPACE_NAME_MAX + 1];

	(void)snprintf(name, sizeof(name), "%s", workspace->settings.name);
	workspace_stop(workspace);
	workspace_free(workspace);
	agent->n_workspaces--;
	roster_changed(&agent->roster);
	agent_unwarn_all(&agent->context, name);
}

void agent_free(struct agent *agent)
{
	if (!agent)
		return;

	while (!list_empty(&agent->workspaces))
		agent_remove(agent, list_entry(agent->workspaces.next, struct workspace, node));
	farewells_fini(&agent->farewells);
	outboxes_fini(&agent->outboxes);
	roster_fini(&agent->roster);
	agent_tidy_platforms(agent);
	switchboard_free(agent->context.switchboard);
	plugin_pool_free(agent->context.pool);
	loop_work_cancel(&agent->quiet);
	while (!list_empty(&agent->context.warnings))
		free(list_entry(list_pop(&agent->context.warnings), struct agent_warning, node));
	free(agent);
}

int agent_keep_plugins(struct agent *agent, struct reaper *reaper, struct error *err)
{
	return plugin_pool_new(agent->context.loop, reaper, agent->context.state_dirfd,
			       &agent->context.pool, err);
}

/* What agent_apply() is about to do to one name. */
struct plan {
	struct workspace *fresh; /* owned until it is taken over */
	struct workspace *old;
	struct workspace_settings *wanted; /* owned; of an old one that changes where it stands */
};

static void plans_free(struct plan *plans, size_t n)
{
	for (size_t i = 0; plans && i < n; i++) {
		workspace_free(plans[i].fresh);
		workspace_settings_fini(plans[i].wanted);
		free(plans[i].wanted);
	}
	free(plans);
}

static int plan_adjust(struct plan *plan, const struct workspace_settings *wanted,
		       struct error *err)
{
	if (workspace_settings_equal(&plan->old->settings, wanted))
		return 0;

	plan->wanted = calloc(1, sizeof(*plan->wanted));
	if (plan->wanted && workspace_settings_copy(plan->wanted, wanted) == 0)
		return 0;

	return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the settings of %s",
			 wanted->name);
}

/* Everything that can fail happens here. */
static int agent_prepare(struct agent *agent, const struct agent_settings *settings,
			 struct plan *plans, struct error *err)
{
	int r;

	for (size_t i = 0; i < settings->n_workspaces; i++) {
		const struct workspace_settings *wanted = &settings->workspaces[i];

		plans[i].old = roster_find_name(&agent->roster, wanted->name);
		if (plans[i].old && workspace_can_adjust(plans[i].old, wanted))
			r = plan_adjust(&plans[i], wanted, err);
		else
			r = agent_add(agent, wanted, &plans[i].fresh, err);
		if (r < 0)
			return r;
	}

	return 0;
}

static int compare_name(const void *name, const void *settings)
{
	return strcmp(name, ((const struct workspace_settings *)settings)->name);
}

static bool settings_have(const struct agent_settings *settings, const char *name)
{
	return settings->n_workspaces && bsearch(name, settings->workspaces, settings->n_workspaces,
						 sizeof(*settings->workspaces), compare_name);
}

static void note_changed(struct buffer *changed, const char *name)
{
	if (!changed)
		return;

	(void)buffer_append_char(changed, buffer_len(changed) ? ',' : '[');
	(void)json_write_string(changed, name, strlen(name));
}

static void agent_drop_missing(struct agent *agent, const struct agent_settings *settings,
			       struct buffer *changed)
{
	list_for_each_safe (node, &agent->workspaces) {
		struct workspace *workspace = list_entry(node, struct workspace, node);

		if (settings_have(settings, workspace->settings.name))
			continue;

		note_changed(changed, workspace->settings.name);
		agent_remove(agent, workspace);
	}
}

/* So many a second begin to join: each has a handful of requests, which need memory. */
#define STARTS_PER_SECOND 500

static void agent_commit(struct agent *agent, struct plan *plan,
			 const struct workspace_settings *wanted, struct buffer *changed)
{
	int64_t after_ms = agent_starts_ms(agent);
	struct workspace *fresh = TAKE(plan->fresh);

	if (!fresh) {
		if (plan->wanted) {
			note_changed(changed, wanted->name);
			workspace_adjust(plan->old, plan->wanted);
		}
		workspace_retry(plan->old);
		return;
	}

	note_changed(changed, wanted->name);
	if (plan->old)
		agent_remove(agent, plan->old);
	agent_insert(agent, fresh);
	workspace_start(fresh, after_ms);
	agent->n_started++;
}

int agent_apply(struct agent *agent, const struct agent_settings *settings, struct buffer *changed,
		struct error *err)
{
	struct plan *plans;
	int r;

	plans = calloc(settings->n_workspaces + 1, sizeof(*plans));
	if (!plans)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for %zu workspaces",
				 settings->n_workspaces);

	r = agent_prepare(agent, settings, plans, err);
	if (r == 0) {
		switchboard_configure(agent->context.switchboard, &settings->calls);
		agent->context.plugins = settings->plugins;
		agent_drop_missing(agent, settings, changed);
		agent->n_started = 0;
		for (size_t i = 0; i < settings->n_workspaces; i++)
			agent_commit(agent, &plans[i], &settings->workspaces[i], changed);
		if (changed)
			(void)buffer_append_text(changed, buffer_len(changed) ? "]" : "[]");
		outboxes_load(&agent->outboxes);
	}

	plans_free(plans, settings->n_workspaces);
	agent_tidy_platforms(agent);
	return r;
}

int64_t agent_starts_ms(const struct agent *agent)
{
	return (int64_t)(agent->n_started * 1000 / STARTS_PER_SECOND);
}

struct workspace *agent_find(struct agent *agent, const char *name_or_id)
{
	struct workspace *found = roster_find_name(&agent->roster, name_or_id);
	char id[UUID_LEN + 1];

	if (found || parse_uuid(name_or_id, id) < 0)
		return found;

	return roster_find_id(&agent->roster, id);
}

struct workspace *agent_only(const struct agent *agent, struct error *err)
{
	if (agent->n_workspaces == 1)
		return list_entry(agent->workspaces.next, struct workspace, node);

	if (agent->n_workspaces)
		(void)error_set(err, ERROR_CONFLICT, 0,
				"there are %zu workspaces here; say which with `workspace`",
				agent->n_workspaces);
	else
		(void)error_set(
			err, ERROR_NOT_FOUND, 0,
			"there is no workspace here; join one with `molecule-agentctl join`");
	return NULL;
}

static int agent_check_join(struct agent *agent, const struct workspace_settings *settings,
			    struct error *err)
{
	if (roster_find_name(&agent->roster, settings->name))
		return error_set(
			err, ERROR_CONFLICT, EEXIST,
			"a workspace called %s is here already; leave it first, or join under "
			"another name",
			settings->name);

	list_for_each (node, &agent->workspaces) {
		const struct workspace_settings *other =
			&list_entry(node, struct workspace, node)->settings;

		if (strcmp(other->id, settings->id) == 0 &&
		    strcmp(other->platform.url, settings->platform.url) == 0)
			return error_set(err, ERROR_CONFLICT, EEXIST,
					 "that workspace is here already, as %s", other->name);
	}

	return 0;
}

/*
 * The only token is stored as it is. Where one is that has worked (this
 * workspace was here before), it stands until the other one has, too.
 */
static int agent_keep_token(struct agent *agent, struct workspace *workspace, const char *token,
			    bool *ret_stored, struct error *err)
{
	const struct workspace_settings *settings = &workspace->settings;
	int dirfd = agent->context.state_dirfd;
	int r;

	if (token_load(&workspace->token, dirfd, settings, NULL, NULL) == 0 &&
	    workspace->token.source == TOKEN_STATE)
		return strcmp(workspace->token.text, token) == 0
			       ? 0
			       : workspace_set_token(workspace, token, strlen(token), NULL, err);

	r = token_store(&workspace->token, dirfd, settings, token, err);
	*ret_stored = r == 0;
	return r;
}

int agent_join(struct agent *agent, const struct workspace_settings *settings, const char *token,
	       struct workspace **ret, struct error *err)
{
	struct workspace *workspace;
	bool stored = false;
	int r;

	r = token ? token_check_given(token, strlen(token), err) : 0;
	if (r < 0)
		return r;

	r = agent_check_join(agent, settings, err);
	if (r < 0)
		return r;

	r = agent_add(agent, settings, &workspace, err);
	if (r < 0) {
		agent_tidy_platforms(agent);
		return r;
	}

	if (token)
		r = agent_keep_token(agent, workspace, token, &stored, err);
	if (r == 0)
		r = agent->context.events->save(agent->context.events_data, settings, err);
	if (r < 0) {
		/* What failed may have failed after its file was in place. */
		(void)agent->context.events->forget(agent->context.events_data, settings->name,
						    NULL);
		if (stored)
			(void)token_forget(&workspace->token, agent->context.state_dirfd, settings,
					   NULL);
		workspace_free(workspace);
		agent_tidy_platforms(agent);
		return r;
	}

	agent_insert(agent, workspace);
	agent_tidy_platforms(agent);
	workspace_start(workspace, 0);
	outboxes_load(&agent->outboxes);
	*ret = workspace;
	return 0;
}

/* What is ours on disk: first what would bring it back. */
static int agent_erase(struct agent *agent, struct workspace *workspace, bool forget,
		       struct error *err)
{
	struct workspace_key key = workspace_settings_key(&workspace->settings);
	struct agent_context *context = &agent->context;
	int r = 0;

	if (workspace->settings.joined)
		r = context->events->forget(context->events_data, workspace->settings.name, err);
	if (r == 0 && forget && context->pool)
		r = plugin_pool_forget(context->pool, context->state_dirfd, &key, err);
	if (r == 0 && forget)
		r = token_forget(&workspace->token, context->state_dirfd, &workspace->settings,
				 err);
	return r;
}

int agent_leave(struct agent *agent, struct workspace *workspace, bool forget, struct error *err)
{
	struct workspace_key key = workspace_settings_key(&workspace->settings);
	int r = 0;

	/* An earlier try to leave for good may have failed halfway. */
	if (forget)
		r = farewell_begin(&agent->farewells, &key, err);
	else
		farewell_end(&agent->farewells, &key);
	if (r < 0)
		return r;

	r = agent_erase(agent, workspace, forget, err);
	if (r < 0)
		return r;

	if (forget && !agent_has_journal(agent))
		farewell_end(&agent->farewells, &key);
	agent_remove(agent, workspace);
	agent_tidy_platforms(agent);
	return 0;
}

static bool agent_is_here(void *data, const struct workspace_key *key)
{
	struct agent *agent = data;

	list_for_each (node, &agent->workspaces) {
		const struct workspace *workspace = list_entry(node, struct workspace, node);

		if (strcmp(workspace_settings_key(&workspace->settings).text, key->text) == 0)
			return true;
	}

	return false;
}

void agent_resume(struct agent *agent)
{
	farewells_resume(&agent->farewells, agent_has_journal(agent), agent_is_here, agent);
}

bool agent_has_journal(const struct agent *agent)
{
	return outboxes_have_journal(&agent->outboxes);
}

int agent_forget(struct agent *agent, const struct workspace_key *workspace, struct waiter *waiter,
		 struct error *err)
{
	return farewell_wipe_journal(&agent->farewells, workspace, waiter, err);
}

void agent_stop(struct agent *agent, void (*on_quiet)(void *data), void *data)
{
	agent->stopping = true;
	list_for_each (node, &agent->workspaces)
		workspace_stop(list_entry(node, struct workspace, node));

	agent->on_quiet = on_quiet;
	agent->quiet_data = data;
	if (agent->context.pool)
		plugin_pool_stop(agent->context.pool, on_quiet, data);
	else
		loop_defer(agent->context.loop, &agent->quiet);
}

void agent_wake(struct agent *agent, bool slept)
{
	http_drop_connections(agent->context.http);
	http_drop_connections(agent->context.switchboard->http);
	list_for_each (node, &agent->workspaces)
		workspace_wake(list_entry(node, struct workspace, node), slept);
}

void agent_summary(const struct agent *agent, char *dst, size_t dst_size)
{
	size_t len = 0;
	int n;

	(void)snprintf(dst, dst_size, "no workspaces; join one with molecule-agentctl join");
	list_for_each (node, &agent->workspaces) {
		const struct workspace *workspace = list_entry(node, struct workspace, node);

		n = snprintf(dst + len, dst_size - len, "%s%s %s", len ? ", " : "",
			     workspace->settings.name, lifecycle_state_name(workspace->state));
		if (n < 0 || (size_t)n >= dst_size - len) {
			(void)snprintf(dst + len, dst_size - len, "...");
			return;
		}
		len += (size_t)n;
	}
}
