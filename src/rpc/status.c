/* SPDX-License-Identifier: MIT */
/*
 * States and reports in words.
 */

#include "rpc/status.h"

#include "rpc/writer.h"

static const char *text_of(const struct error *err)
{
	return err && err->kind != ERROR_NONE ? err->text : NULL;
}

static void write_heartbeat(struct buffer *out, const struct workspace *workspace)
{
	const struct heartbeat *heartbeat = &workspace->heartbeat;

	writer_open(out, "heartbeat", '{');
	writer_int(out, "interval_ms", workspace->settings.heartbeat_interval_ms);
	writer_time(out, "last_ok_at", heartbeat->last_ok_wall_ms);
	writer_text(out, "last_error", text_of(heartbeat->last_error));
	writer_int(out, "sent", (int64_t)heartbeat->sent);
	writer_int(out, "failed", (int64_t)heartbeat->failed);
	writer_close(out, '}');
}

static void write_token(struct buffer *out, const struct workspace *workspace)
{
	char prefix[TOKEN_PREFIX_LEN + 1];

	writer_open(out, "token", '{');
	writer_bool(out, "present", workspace->token.text != NULL);
	writer_text(out, "prefix", token_prefix(&workspace->token, prefix));
	writer_close(out, '}');
}

static void write_features(struct buffer *out, const struct workspace *workspace)
{
	const struct workspace_features *features = &workspace->features;

	writer_open(out, "features", '{');
	writer_bool(out, "probed", features->probed);
	writer_bool(out, "cursors", features->cursors);
	writer_bool(out, "poll_delivery", features->poll_delivery);
	writer_bool(out, "inbound_secret", features->inbound_secret);
	writer_text(out, "registered_by", registry_way_name(features->registered_by));
	writer_close(out, '}');
}

static void write_inbox(struct buffer *out)
{
	writer_open(out, "inbox", '{');
	writer_int(out, "pending", 0);
	writer_int(out, "leased", 0);
	writer_int(out, "dead", 0);
	writer_close(out, '}');
}

void status_write_report(struct buffer *out, const char *name, const struct workspace *workspace)
{
	struct report report = reporter_sum(&workspace->reporter);

	writer_open(out, name, '{');
	writer_text(out, "current_task", report.current_task);
	writer_int(out, "active_tasks", report.active_tasks);
	writer_number(out, "error_rate", report.error_rate);
	writer_text(out, "sample_error", report.sample_error);
	writer_close(out, '}');
}

void status_write_workspace(struct buffer *out, const char *name, const struct workspace *workspace)
{
	const char *platform_status = workspace->platform_status;
	int64_t uptime_ms = loop_now_ms(workspace->context->loop) - workspace->heartbeat.born_ms;

	writer_open(out, name, '{');
	writer_text(out, "id", workspace->settings.id);
	writer_text(out, "name", workspace->settings.name);
	writer_text(out, "platform_url", workspace->settings.platform.url);
	writer_text(out, "state", lifecycle_state_name(workspace->state));
	writer_text(out, "platform_status", platform_status[0] ? platform_status : NULL);
	writer_bool(out, "paused", workspace->state == LIFECYCLE_PAUSED);
	writer_time(out, "since", workspace->state_since_wall_ms);
	writer_int(out, "uptime_ms", uptime_ms);
	write_heartbeat(out, workspace);
	writer_time(out, "next_attempt_at", workspace_next_attempt_wall_ms(workspace));
	write_token(out, workspace);
	write_features(out, workspace);
	status_write_report(out, "report", workspace);
	write_inbox(out);
	writer_text(out, "last_error", text_of(workspace->last_error));
	writer_close(out, '}');
}

void status_write_delegation(struct buffer *out, const char *name, const char *workspace,
			     const struct delegation *delegation)
{
	writer_open(out, name, '{');
	if (workspace)
		writer_text(out, "workspace", workspace);
	writer_text(out, "delegation_id", delegation->id);
	writer_text(out, "to", delegation->to);
	writer_text(out, "status", delegate_status_name(delegation->status));
	writer_time(out, "created_at", delegation->created_wall_ms);
	writer_time(out, "updated_at", delegation->updated_wall_ms);
	writer_text(out, "preview", delegation->preview);
	writer_text(out, "error", delegation->error);
	writer_text(out, "platform_delegation_id", delegation->platform_id);
	writer_close(out, '}');
}

void status_write_warning(struct buffer *out, const char *name, const struct agent_warning *warning)
{
	writer_open(out, name, '{');
	writer_text(out, "code", warning->code);
	writer_text(out, "severity", warning->severity == AGENT_CRITICAL ? "critical" : "warning");
	writer_text(out, "text", warning->text);
	writer_text(out, "workspace", warning->workspace[0] ? warning->workspace : NULL);
	writer_time(out, "since", warning->since_wall_ms);
	writer_close(out, '}');
}

void status_write_workspaces(struct buffer *out, const char *name, const struct agent *agent)
{
	writer_open(out, name, '[');
	list_for_each (node, &agent->workspaces)
		status_write_workspace(out, NULL, list_entry(node, struct workspace, node));
	writer_close(out, ']');
}

void status_write_warnings(struct buffer *out, const char *name, const struct agent *agent)
{
	writer_open(out, name, '[');
	list_for_each (node, &agent->context.warnings)
		status_write_warning(out, NULL, list_entry(node, struct agent_warning, node));
	writer_close(out, ']');
}

void status_write_keys(struct buffer *out, const char *name, const struct vault *vault)
{
	writer_open(out, name, '[');
	for (size_t i = 0; i < bundle_count(vault->bundle); i++) {
		struct json_text key = bundle_entry(vault->bundle, i).key;

		writer_raw(out, NULL, key.at, key.len);
	}
	writer_close(out, ']');
}

void status_write_plugin_progress(struct buffer *out, const struct shelf_progress *progress)
{
	writer_text(out, "name", progress->name);
	writer_text(out, "phase", plugin_phase_name(progress->phase));
	writer_int(out, "bytes", progress->bytes);
	if (progress->total >= 0)
		writer_int(out, "total", progress->total);
	else
		writer_text(out, "total", NULL);
	writer_int(out, "files", progress->files);
	if (progress->message)
		writer_text(out, "message", progress->message);
}

void status_write_fetched_at(struct buffer *out, bool fetched, int64_t wall_ms)
{
	writer_time(out, "fetched_at", fetched ? wall_ms : 0);
}

void status_write_peers(struct buffer *out, const struct workspace *workspace)
{
	writer_int(out, "n_peers", (int64_t)workspace_peers(workspace)->n_peers);
	status_write_fetched_at(out, workspace_peers(workspace)->fetched,
				workspace_peers(workspace)->fetched_wall_ms);
}
