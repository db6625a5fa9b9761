/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl status: a table of all workspaces, or all there is to know
 * of one.
 */

#include <string.h>

#include "ctl/ctl.h"
#include "ctl/params.h"
#include "ctl/show.h"
#include "ctl/table.h"
#include "ctl/workspace.h"

static void put_row(struct table *table, struct json_text workspace)
{
	struct json_text beat = json_text_member(workspace, "heartbeat");

	workspace_show_name(table_cell(table), workspace);
	workspace_show_state(table_cell(table), workspace);
	table_colour(table, show_state_colour(json_text_member(workspace, "state")));
	show_ago(table_cell(table), json_text_member(workspace, "since"));
	show_ago(table_cell(table), json_text_member(beat, "last_ok_at"));
	show_duration(table_cell(table), json_text_member(beat, "interval_ms"));
	show_member(table_cell(table), beat, "failed");
	show_member(table_cell(table), json_text_member(workspace, "token"), "prefix");
	show_ago(table_cell(table), json_text_member(workspace, "next_attempt_at"));
	show_member(table_cell(table), workspace, "last_error");
}

static void put_workspaces(struct ctl *ctl, struct json_text workspaces)
{
	static const char *const names[] = { "WORKSPACE", "STATE", "SINCE", "HEARTBEAT", "EVERY",
					     "FAILED",    "TOKEN", "NEXT",  "LAST ERROR" };
	AUTO(table_fini) struct table table;
	struct json_iter iter = json_iter(workspaces);
	struct json_text workspace;

	table_init(&table, names, ARRAY_LEN(names));
	while (json_next_element(&iter, &workspace))
		put_row(&table, workspace);

	(void)buffer_append_char(&ctl->out, '\n');
	if (table.n_cells)
		table_render(&table, &ctl->out, ctl->coloured);
	else
		(void)buffer_append_text(&ctl->out, "no workspace; see 'molecule-agentctl help "
						    "join'\n");
}

static void put_warning(struct ctl *ctl, struct json_text warning)
{
	struct json_text severity = json_text_member(warning, "severity");
	enum colour colour = json_text_equals(severity, "critical") ? COLOUR_RED : COLOUR_YELLOW;
	struct buffer *out = &ctl->out;

	show_begin_colour(out, ctl->coloured, colour);
	if (json_text_kind(severity) == JSON_STRING)
		show_value(out, severity);
	else
		(void)buffer_append_text(out, "warning");
	show_end_colour(out, ctl->coloured, colour);

	(void)buffer_append_text(out, ": ");
	show_member(out, warning, "text");
	(void)buffer_append_text(out, " (");
	show_member(out, warning, "code");
	(void)buffer_append_text(out, ", ");
	show_ago(out, json_text_member(warning, "since"));
	(void)buffer_append_text(out, ")\n");
}

static void put_daemon(struct ctl *ctl, struct json_text status)
{
	struct json_text state = json_text_member(status, "state");
	struct json_iter warnings = json_iter(json_text_member(status, "warnings"));
	struct json_text warning;
	bool first = true;

	(void)buffer_append_text(&ctl->out, "daemon: ");
	show_begin_colour(&ctl->out, ctl->coloured, show_state_colour(state));
	show_value(&ctl->out, state);
	show_end_colour(&ctl->out, ctl->coloured, show_state_colour(state));
	(void)buffer_append_text(&ctl->out, ", connections: ");
	show_member(&ctl->out, status, "connections");
	(void)buffer_append_char(&ctl->out, '\n');

	put_workspaces(ctl, json_text_member(status, "workspaces"));
	while (json_next_element(&warnings, &warning)) {
		if (first)
			(void)buffer_append_char(&ctl->out, '\n');
		first = false;
		put_warning(ctl, warning);
	}
}

enum shape {
	SHAPE_PLAIN,
	SHAPE_AGO,
	SHAPE_DURATION,
};

/* What is shown of one workspace; where is the member's object, NULL: the status itself. */
static const struct {
	const char *title, *where, *member;
	enum shape shape;
} details[] = {
	{ "id", NULL, "id", SHAPE_PLAIN },
	{ "platform", NULL, "platform_url", SHAPE_PLAIN },
	{ "since", NULL, "since", SHAPE_AGO },
	{ "uptime", NULL, "uptime_ms", SHAPE_DURATION },
	{ "token", "token", "prefix", SHAPE_PLAIN },
	{ "heartbeat every", "heartbeat", "interval_ms", SHAPE_DURATION },
	{ "heartbeat last ok", "heartbeat", "last_ok_at", SHAPE_AGO },
	{ "heartbeats sent", "heartbeat", "sent", SHAPE_PLAIN },
	{ "heartbeats failed", "heartbeat", "failed", SHAPE_PLAIN },
	{ "heartbeat error", "heartbeat", "last_error", SHAPE_PLAIN },
	{ "next attempt", NULL, "next_attempt_at", SHAPE_AGO },
	{ "current task", "report", "current_task", SHAPE_PLAIN },
	{ "active tasks", "report", "active_tasks", SHAPE_PLAIN },
	{ "error rate", "report", "error_rate", SHAPE_PLAIN },
	{ "sample error", "report", "sample_error", SHAPE_PLAIN },
	{ "inbox pending", "inbox", "pending", SHAPE_PLAIN },
	{ "inbox leased", "inbox", "leased", SHAPE_PLAIN },
	{ "inbox dead", "inbox", "dead", SHAPE_PLAIN },
	{ "last error", NULL, "last_error", SHAPE_PLAIN },
};

static void show_shaped(struct buffer *out, struct json_text value, enum shape shape)
{
	switch (shape) {
	case SHAPE_PLAIN:
		show_value(out, value);
		return;
	case SHAPE_AGO:
		show_ago(out, value);
		return;
	case SHAPE_DURATION:
		show_duration(out, value);
		return;
	}
}

static void put_detail(struct ctl *ctl, const char *title, struct json_text value, enum shape shape)
{
	size_t before;

	(void)buffer_printf(&ctl->out, "%19s: ", title);
	before = buffer_len(&ctl->out);
	show_shaped(&ctl->out, value, shape);
	if (buffer_len(&ctl->out) == before)
		(void)buffer_append_char(&ctl->out, '-');
	(void)buffer_append_char(&ctl->out, '\n');
}

/* What was found out about the platform: names of what is, then of what is not. */
static void put_features(struct ctl *ctl, struct json_text features)
{
	struct json_iter iter = json_iter(features);
	struct json_text name, value;

	while (json_next_member(&iter, &name, &value)) {
		(void)buffer_printf(&ctl->out, "%19s: ", "feature");
		show_value(&ctl->out, name);
		(void)buffer_append_text(&ctl->out, " = ");
		show_value(&ctl->out, value);
		(void)buffer_append_char(&ctl->out, '\n');
	}
}

static void put_one(struct ctl *ctl, struct json_text status)
{
	enum colour colour = show_state_colour(json_text_member(status, "state"));
	struct json_text object;

	workspace_show_name(&ctl->out, status);
	(void)buffer_append_text(&ctl->out, ": ");
	show_begin_colour(&ctl->out, ctl->coloured, colour);
	workspace_show_state(&ctl->out, status);
	show_end_colour(&ctl->out, ctl->coloured, colour);
	(void)buffer_append_char(&ctl->out, '\n');

	for (size_t i = 0; i < ARRAY_LEN(details); i++) {
		object = details[i].where ? json_text_member(status, details[i].where) : status;
		put_detail(ctl, details[i].title, json_text_member(object, details[i].member),
			   details[i].shape);
	}
	put_features(ctl, json_text_member(status, "features"));
}

int cmd_status(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	bool one = args_has(&ctl->args, "workspace");
	int status;

	ctl_begin_params(ctl, &params);
	status = ctl_call(ctl, one ? "workspace.status" : "daemon.status", &params, &answer);
	if (status)
		return status;

	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else if (one)
		put_one(ctl, answer.result);
	else
		put_daemon(ctl, answer.result);
	return 0;
}
