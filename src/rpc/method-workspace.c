/* SPDX-License-Identifier: MIT */
/*
 * workspace.*: who we are on the platform, and what we say there.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "base/secret.h"
#include "rpc/call.h"
#include "rpc/method.h"
#include "rpc/share.h"
#include "rpc/status.h"
#include "rpc/writer.h"

#define JOIN_WAIT_MS 10000 /* then the answer is that it is still joining */
#define TASKS_MAX 1000000

enum {
	UPDATE_WORKSPACE,
	UPDATE_CARD
};
enum {
	LEAVE_WORKSPACE,
	LEAVE_FORGET
};
enum {
	JOIN_PLATFORM_URL,
	JOIN_WORKSPACE_ID,
	JOIN_TOKEN,
	JOIN_NAME,
	JOIN_ORG_ID,
	JOIN_ORIGIN,
	JOIN_AGENT_CARD,
	JOIN_REPORTED_URL,
};
enum {
	REPORT_WORKSPACE,
	REPORT_CURRENT_TASK,
	REPORT_ACTIVE_TASKS,
	REPORT_ERROR_RATE,
	REPORT_SAMPLE_ERROR,
	REPORT_RUNTIME_STATE,
};

static void write_brief(struct buffer *out, const struct workspace *workspace)
{
	writer_open(out, NULL, '{');
	writer_text(out, "id", workspace->settings.id);
	writer_text(out, "name", workspace->settings.name);
	writer_text(out, "state", lifecycle_state_name(workspace->state));
	writer_close(out, '}');
}

static int workspace_list(struct call *call, struct error *err)
{
	struct buffer *out = call_result(call);

	writer_open(out, NULL, '{');
	writer_open(out, "workspaces", '[');
	list_for_each (node, &call->hub->host.agent->workspaces)
		write_brief(out, list_entry(node, struct workspace, node));
	writer_close(out, ']');
	writer_close(out, '}');
	return 0;
}

static int workspace_status(struct call *call, struct error *err)
{
	status_write_workspace(call_result(call), NULL, call->workspace);
	return 0;
}

/* Joining */

/* An argument as the text that a configuration file would have. */
static int set_from_arg(struct call *call, unsigned index, struct workspace_settings *settings,
			struct error *err)
{
	const struct field *field = &call->method->params[index];
	const struct arg *arg = &call->args[index];
	AUTO(free) char *text = NULL;
	int r;

	if (!arg_given(arg))
		return 0;

	if (field->type == FIELD_OBJECT)
		r = (text = strndup(arg->text.at, arg->text.len)) ? 0 : -ENOMEM;
	else
		r = json_text_dup(arg->text, &text);
	if (r == -ENOMEM)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for %s", field->name);
	if (r < 0)
		return error_set(err, ERROR_INVALID_PARAMS, -r, "%s must not hold a NUL",
				 field->name);

	if (index == JOIN_NAME)
		return workspace_settings_set_name(settings, text, err);

	return workspace_settings_set(settings, field->name, text, err);
}

static int read_settings(struct call *call, struct workspace_settings *settings, struct error *err)
{
	const char *key;
	int r;

	for (unsigned index = JOIN_PLATFORM_URL; index <= JOIN_REPORTED_URL; index++) {
		if (index == JOIN_TOKEN)
			continue;

		r = set_from_arg(call, index, settings, err);
		if (r < 0)
			return r;
	}

	if (!settings->name[0])
		(void)snprintf(settings->name, sizeof(settings->name), "%s", settings->id);
	settings->joined = true;
	return workspace_settings_check(settings, &key, err);
}

static int join_with_token(struct call *call, const struct workspace_settings *settings,
			   struct workspace **ret, struct error *err)
{
	char token[TOKEN_MAX + 1];
	int r;

	r = call_text(call, JOIN_TOKEN, token, sizeof(token), err);
	if (r == 0)
		r = agent_join(call->hub->host.agent, settings, token[0] ? token : NULL, ret, err);
	explicit_bzero(token, sizeof(token));
	return r;
}

static int join(struct call *call, struct workspace **ret, struct error *err)
{
	const struct hub_host *host = &call->hub->host;
	struct workspace_settings settings;
	int r;

	if (host->join_defaults)
		r = host->join_defaults(host->data, &settings);
	else
		r = workspace_settings_init(&settings);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "no memory for a workspace");

	r = read_settings(call, &settings, err);
	if (r == 0)
		r = join_with_token(call, &settings, ret, err);
	workspace_settings_fini(&settings);
	return r;
}

/* Joined or not: the answer says how far it has come. */
static int join_waited(struct call *call, const struct error *failed, struct error *err)
{
	status_write_workspace(call_result(call), NULL, call->workspace);
	return 0;
}

static int workspace_join(struct call *call, struct error *err)
{
	struct waiter *waiter;
	int r;

	r = join(call, &call->workspace, err);
	if (r < 0)
		return r;

	/* It has joined, whether there is memory to wait for the outcome or not: the deadline
	 * answers. */
	waiter = call_park(&call, join_waited, err);
	if (!waiter)
		return join_waited(call, NULL, err);

	(void)workspace_await_join(call->workspace, waiter, NULL);
	call_set_deadline(call, JOIN_WAIT_MS);
	return CALL_PARKED;
}

static int answer_left(struct call *call)
{
	struct buffer *out = call_result(call);

	writer_open(out, NULL, '{');
	writer_bool(out, "left", true);
	writer_close(out, '}');
	return 0;
}

static int forgotten(struct call *call, const struct error *failed, struct error *err)
{
	if (!failed)
		return answer_left(call);

	*err = *failed;
	error_prefix(err, "it has left, but its journal is not wiped before the next start");
	return -EIO;
}

static int workspace_leave(struct call *call, struct error *err)
{
	struct workspace_key key = workspace_settings_key(&call->workspace->settings);
	struct agent *agent = call->hub->host.agent;
	bool forget = call->args[LEAVE_FORGET].boolean;
	struct waiter *waiter;
	int r;

	r = agent_leave(agent, call->workspace, forget, err);
	if (r < 0)
		return r;

	call->workspace = NULL;
	if (!forget || !agent_has_journal(agent))
		return answer_left(call);

	waiter = call_park(&call, forgotten, err);
	if (!waiter)
		return -ENOMEM;

	r = agent_forget(agent, &key, waiter, err);
	return r < 0 ? r : CALL_PARKED;
}

/* Reporting: a member that is left out stays as it was said before. */

static int read_report(const struct call *call, struct report_share *share, struct error *err)
{
	const struct arg *args = call->args;
	char runtime_state[16];
	int r;

	r = call_text(call, REPORT_RUNTIME_STATE, runtime_state, sizeof(runtime_state), err);
	if (r < 0)
		return r;

	if (runtime_state[0] && strcmp(runtime_state, "wedged") != 0)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "runtime_state must be \"wedged\" or empty");

	if (arg_given(&args[REPORT_CURRENT_TASK]))
		r = call_text(call, REPORT_CURRENT_TASK, share->current_task,
			      sizeof(share->current_task), err);
	if (r == 0 && arg_given(&args[REPORT_SAMPLE_ERROR]))
		r = call_text(call, REPORT_SAMPLE_ERROR, share->sample_error,
			      sizeof(share->sample_error), err);
	if (r < 0)
		return r;

	if (arg_given(&args[REPORT_ACTIVE_TASKS]))
		share->active_tasks = (int32_t)args[REPORT_ACTIVE_TASKS].integer;
	if (arg_given(&args[REPORT_ERROR_RATE]))
		share->error_rate = args[REPORT_ERROR_RATE].number;
	if (arg_given(&args[REPORT_RUNTIME_STATE]))
		share->wedged = runtime_state[0];
	share->has_task = share->current_task[0];
	share->has_error = share->sample_error[0];
	return 0;
}

static int workspace_report(struct call *call, struct error *err)
{
	struct workspace *workspace = call->workspace;
	struct report_share said;
	struct share *share;
	struct buffer *out;
	int r;

	r = share_get(call->caller, workspace, &share, err);
	if (r < 0)
		return r;

	said = share->report;
	r = read_report(call, &said, err);
	if (r < 0)
		return r;

	reporter_withdraw(&share->report);
	share->report = said;
	list_init(&share->report.node);
	reporter_put(&workspace->reporter, &share->report);
	workspace_report_changed(workspace);

	out = call_result(call);
	writer_open(out, NULL, '{');
	status_write_report(out, "report", workspace);
	writer_close(out, '}');
	return 0;
}

static int card_updated(struct call *call, const struct error *failed, struct error *err)
{
	struct buffer *out;

	if (failed)
		return error_copy(err, failed);

	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_bool(out, "updated", true);
	writer_close(out, '}');
	return 0;
}

static int workspace_update(struct call *call, struct error *err)
{
	struct workspace *workspace = call->workspace;
	struct json_text card = call->args[UPDATE_CARD].text;
	struct waiter *waiter;
	int r;

	if (card.len > AGENT_CARD_MAX)
		return error_set(err, ERROR_TOO_LARGE, EMSGSIZE,
				 "agent_card must have at most %d bytes", AGENT_CARD_MAX);

	waiter = call_park(&call, card_updated, err);
	if (!waiter)
		return -ENOMEM;

	r = workspace_update_card(workspace, card.at, card.len, waiter, err);
	return r < 0 ? r : CALL_PARKED;
}

static int refreshed(struct call *call, const struct error *failed, struct error *err)
{
	if (failed)
		return error_copy(err, failed);

	status_write_workspace(call_result(call), NULL, call->workspace);
	return 0;
}

static int workspace_refresh_now(struct call *call, struct error *err)
{
	struct waiter *waiter;
	int r;

	waiter = call_park(&call, refreshed, err);
	if (!waiter)
		return -ENOMEM;

	r = workspace_refresh(call->workspace, waiter, err);
	return r < 0 ? r : CALL_PARKED;
}

#define STATUS_FIELDS                                                                           \
	FIELDS({ "id", FIELD_STRING, .help = "its id on the platform" },                        \
	       { "name", FIELD_STRING, .help = "what we call it" },                             \
	       { "platform_url", FIELD_STRING, .help = "where its platform is" },               \
	       { "state", FIELD_STRING,                                                         \
		 .help = "joining, online, degraded, paused, unreachable, "                     \
			 "misrouted, auth_lost, removed or leaving" },                          \
	       { "platform_status", FIELD_STRING, FIELD_NULLABLE,                               \
		 .help = "what the platform calls it" },                                        \
	       { "paused", FIELD_BOOLEAN, .help = "whether the platform has paused it" },       \
	       { "since", FIELD_TIME, FIELD_NULLABLE, .help = "when it came into this state" }, \
	       { "uptime_ms", FIELD_INTEGER, .help = "how long the daemon has had it" },        \
	       { "heartbeat", FIELD_OBJECT,                                                     \
		 .help = "interval_ms, last_ok_at, last_error, sent, failed" },                 \
	       { "next_attempt_at", FIELD_TIME, FIELD_NULLABLE,                                 \
		 .help = "when the platform is tried again" },                                  \
	       { "token", FIELD_OBJECT, .help = "present, prefix" },                            \
	       { "features", FIELD_OBJECT, .help = "what was found out about the platform" },   \
	       { "report", FIELD_OBJECT,                                                        \
		 .help = "current_task, active_tasks, error_rate, sample_error" },              \
	       { "inbox", FIELD_OBJECT, .help = "pending, leased, dead" },                      \
	       { "last_error", FIELD_STRING, FIELD_NULLABLE, .help = "why it is not online" })

const struct method methods_workspace[] = {
	{ "workspace.list", POLICY_READ, workspace_list, "list the workspaces of this host",
	  NO_FIELDS, FIELDS({ "workspaces", FIELD_OBJECTS, .help = "id, name, state" }) },
	{ "workspace.status", POLICY_READ, workspace_status, "say how a workspace is",
	  FIELDS(FIELD_THE_WORKSPACE), STATUS_FIELDS },
	{ "workspace.join", POLICY_ADMIN, workspace_join,
	  "bring a workspace to life on this host, and keep it across restarts",
	  FIELDS({ "platform_url", FIELD_STRING, FIELD_REQUIRED, .help = "https://host[:port]" },
		 { "workspace_id", FIELD_STRING, FIELD_REQUIRED, .help = "a UUID" },
		 { "token", FIELD_STRING, .help = "when there is one; else the platform mints it" },
		 { "name", FIELD_STRING, .help = "what to call it; its id when left out" },
		 { "org_id", FIELD_STRING, .help = "for a platform that serves several" },
		 { "origin", FIELD_STRING,
		   .help = "for a platform behind a gateway that wants it" },
		 { "agent_card", FIELD_OBJECT, .help = "what the agent says about itself" },
		 { "reported_url", FIELD_STRING,
		   .help = "where the platform can reach the agent" }),
	  STATUS_FIELDS },
	{ "workspace.leave", POLICY_ADMIN, workspace_leave, "take a workspace off this host",
	  FIELDS(FIELD_THE_WORKSPACE,
		 { "forget", FIELD_BOOLEAN, .help = "wipe its token and data, too" }),
	  FIELDS({ "left", FIELD_BOOLEAN, .help = "always true" }) },
	{ "workspace.report", POLICY_USE, workspace_report,
	  "say what the caller does, for as long as its connection lives",
	  FIELDS(FIELD_THE_WORKSPACE,
		 { "current_task", FIELD_STRING, .help = "a sentence; at most 1024 bytes" },
		 { "active_tasks", FIELD_INTEGER, .max = TASKS_MAX, .help = "how many" },
		 { "error_rate", FIELD_NUMBER, .max = 1, .help = "0 to 1" },
		 { "sample_error", FIELD_STRING, .help = "a sentence; at most 1024 bytes" },
		 { "runtime_state", FIELD_STRING, .help = "\"wedged\", or empty" }),
	  FIELDS({ "report", FIELD_OBJECT,
		   .help = "of all callers, as the platform will see it" }) },
	{ "workspace.update_card", POLICY_USE, workspace_update,
	  "replace what the agent says about itself",
	  FIELDS(FIELD_THE_WORKSPACE,
		 { "agent_card", FIELD_OBJECT, FIELD_REQUIRED, .help = "the whole card" }),
	  FIELDS({ "updated", FIELD_BOOLEAN, .help = "always true" }) },
	{ "workspace.refresh", POLICY_USE, workspace_refresh_now,
	  "make a heartbeat and ask for the state now", FIELDS(FIELD_THE_WORKSPACE),
	  STATUS_FIELDS },
	{ 0 },
};
