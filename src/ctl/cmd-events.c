/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl events: how things are, and with --follow what happens, for
 * as long as one likes, whatever happens to the daemon meanwhile.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"
#include "ctl/params.h"
#include "ctl/say.h"
#include "ctl/show.h"
#include "ctl/width.h"
#include "ctl/workspace.h"

#define RETRY_FIRST_MS 100
#define RETRY_MOST_MS 5000

static void show_padded(struct buffer *out, size_t from, unsigned width)
{
	unsigned have = width_of(buffer_at(out) + from, buffer_len(out) - from);

	if (!have) {
		(void)buffer_append_char(out, '-');
		have = 1;
	}
	for (; have < width; have++)
		(void)buffer_append_char(out, ' ');
	(void)buffer_append_text(out, "  ");
}

/* The local time of day; the time now when there is none. */
static void show_clock(struct buffer *out, struct json_text at)
{
	int64_t ms = show_now_ms();
	char text[64];
	struct tm tm;
	time_t s;

	if (json_text_kind(at) == JSON_STRING && json_text_cstring(at, text, sizeof(text)) == 0)
		(void)show_parse_time(text, strlen(text), &ms);

	s = (time_t)(ms / 1000);
	if (localtime_r(&s, &tm) && strftime(text, sizeof(text), "%H:%M:%S  ", &tm))
		(void)buffer_append_text(out, text);
}

/* Texts and numbers, joined; of objects their names. */
static void show_list(struct buffer *out, struct json_text list)
{
	struct json_iter iter = json_iter(list);
	struct json_text element;
	bool first = true;

	while (json_next_element(&iter, &element)) {
		if (!first)
			(void)buffer_append_char(out, ',');
		first = false;
		if (json_text_kind(element) == JSON_OBJECT)
			workspace_show_name(out, element);
		else
			show_value(out, element);
	}
}

/* The workspace has a column of its own. */
static bool is_worth_a_word(struct json_text name, struct json_text value)
{
	switch (json_text_kind(value)) {
	case JSON_NONE:
	case JSON_NULL:
	case JSON_OBJECT:
		return false;
	case JSON_ARRAY:
		return value.len > strlen("[]");
	case JSON_BOOL:
	case JSON_NUMBER:
	case JSON_STRING:
		return !json_text_equals(name, "workspace");
	}
	return false;
}

/* "name=value name=value" */
static void show_members(struct buffer *out, struct json_text object)
{
	struct json_iter iter = json_iter(object);
	struct json_text name, value;
	bool first = true;

	while (json_next_member(&iter, &name, &value)) {
		if (!is_worth_a_word(name, value))
			continue;
		if (!first)
			(void)buffer_append_char(out, ' ');
		first = false;
		show_value(out, name);
		(void)buffer_append_char(out, '=');
		if (json_text_kind(value) == JSON_ARRAY)
			show_list(out, value);
		else
			show_value(out, value);
	}
}

/* "unreachable, was online: no route" */
static void put_state(struct ctl *ctl, struct json_text data)
{
	struct json_text before = json_text_member(data, "before");
	struct json_text why = json_text_member(data, "last_error");
	enum colour colour = show_state_colour(json_text_member(data, "state"));
	struct buffer *out = &ctl->out;

	show_begin_colour(out, ctl->coloured, colour);
	workspace_show_state(out, data);
	show_end_colour(out, ctl->coloured, colour);

	if (json_text_kind(before) == JSON_STRING) {
		(void)buffer_append_text(out, ", was ");
		show_value(out, before);
	}
	if (json_text_kind(why) == JSON_STRING) {
		(void)buffer_append_text(out, ": ");
		show_value(out, why);
	}
}

/* What has a state is told by it, what has a text by that, the rest by what is in it. */
static void put_text(struct ctl *ctl, struct json_text data)
{
	struct json_text warning = json_text_member(data, "warning");
	struct json_text raised = json_text_member(data, "raised");
	struct buffer *out = &ctl->out;

	if (json_text_kind(warning) == JSON_OBJECT) {
		if (json_text_kind(raised) == JSON_BOOL && !json_text_is_true(raised))
			(void)buffer_append_text(out, "over: ");
		data = warning;
	}

	if (json_text_kind(json_text_member(data, "state")) == JSON_STRING)
		put_state(ctl, data);
	else if (json_text_kind(json_text_member(data, "text")) == JSON_STRING)
		show_member(out, data, "text");
	else if (json_text_kind(data) == JSON_OBJECT)
		show_members(out, data);
	else
		show_value(out, data);
}

/* A thing of a workspace names it, a workspace has a name, anything else is nobody's. */
static void put_whose(struct buffer *out, struct json_text workspace)
{
	struct json_text whose = json_text_member(workspace, "workspace");

	if (json_text_kind(workspace) == JSON_STRING)
		show_value(out, workspace);
	else if (json_text_kind(whose) != JSON_NONE)
		show_value(out, whose);
	else
		workspace_show_name(out, workspace);
}

static void put_line(struct ctl *ctl, struct json_text at, struct json_text workspace,
		     struct json_text type, struct json_text data)
{
	struct buffer *out = &ctl->out;
	size_t from;

	show_clock(out, at);
	from = buffer_len(out);
	put_whose(out, workspace);
	show_padded(out, from, 12);

	from = buffer_len(out);
	show_value(out, type);
	show_padded(out, from, 18);
	put_text(ctl, data);
	(void)buffer_append_char(out, '\n');
}

/* One line for each thing that the subscription's types describe. */
static void put_snapshot(struct ctl *ctl, struct json_text snapshot)
{
	const struct json_text none = { NULL, 0 };
	struct json_iter iter = json_iter(snapshot), things;
	struct json_text type, value, thing;

	while (json_next_member(&iter, &type, &value)) {
		if (json_text_kind(value) != JSON_ARRAY) {
			put_line(ctl, none, value, type, value);
			continue;
		}
		things = json_iter(value);
		while (json_next_element(&things, &thing))
			put_line(ctl, none, thing, type, thing);
	}
}

static int subscribe(struct ctl *ctl, struct mol_agent_error *err)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	int r;

	ctl_begin_params(ctl, &params);
	if (args_has(&ctl->args, "type")) {
		params_begin_list(&params, "types");
		for (const struct given *given = ctl->args.given; given->option; given++)
			if (strcmp(given->option->name, "type") == 0)
				params_element(&params, given->value);
		params_end_list(&params);
	}

	r = ctl_try_open(ctl, err);
	if (r == 0)
		r = ctl_try_call(ctl, "events.subscribe", &params, &answer, err);
	if (r < 0)
		return r;

	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else
		put_snapshot(ctl, json_text_member(answer.result, "snapshot"));
	return 0;
}

/* An overflow from the daemon ended one subscription, one from the library all of them. */
static void on_overflow(struct ctl *ctl, struct json_text event)
{
	say("events came faster than they were read, some are lost: here is how things are now");
	if (json_text_kind(json_text_member(event, "subscription")) == JSON_NONE)
		ctl_close(ctl);
}

/* Events until the connection is lost (negative), output fails (positive), or an overflow (0). */
static int read_events(struct ctl *ctl, struct mol_agent_error *err)
{
	struct json_text event;
	bool overflow;
	char *text;
	int r;

	for (;;) {
		r = ctl_flush(ctl);
		if (r)
			return r;

		r = mol_agent_next_event(ctl->agent, -1, &text, err);
		if (r == -EINTR)
			continue;
		if (r < 0)
			return r;

		event = json_text_from(text, strlen(text));
		overflow = json_text_equals(json_text_member(event, "type"), "overflow");
		if (ctl->json)
			(void)buffer_printf(&ctl->out, "%s\n", text);
		else if (!overflow)
			put_line(ctl, json_text_member(event, "at"),
				 json_text_member(event, "workspace"),
				 json_text_member(event, "type"), json_text_member(event, "data"));
		if (overflow)
			on_overflow(ctl, event);
		mol_agent_free(text);
		if (overflow)
			return 0;
	}
}

/* Whether a daemon that starts again would mend it. */
static bool is_passing(int r, const struct mol_agent_error *err)
{
	enum error_kind kind = error_from_code(err->code);

	return kind == ERROR_UNAVAILABLE || kind == ERROR_CANCELLED || kind == ERROR_OVERLOADED ||
	       kind == ERROR_UNKNOWN_OUTCOME || (kind == ERROR_TIMEOUT && r != -EREMOTEIO);
}

static int follow(struct ctl *ctl)
{
	int delay_ms = RETRY_FIRST_MS, r = 0;
	struct mol_agent_error err;
	bool lost = false;

	for (;;) {
		if (lost)
			(void)poll(NULL, 0, delay_ms);
		r = subscribe(ctl, &err);
		if (r == 0) {
			if (lost)
				say("the daemon is back");
			lost = false;
			delay_ms = RETRY_FIRST_MS;
			r = read_events(ctl, &err);
		}
		if (r > 0)
			return r;
		if (r == 0)
			continue;

		ctl_close(ctl);
		if (!is_passing(r, &err))
			return ctl_say_failure(ctl, r, &err);
		if (!lost)
			say("%s: waiting for the daemon", err.message);
		else
			delay_ms = MIN(delay_ms * 2, RETRY_MOST_MS);
		lost = true;
	}
}

int cmd_events(struct ctl *ctl)
{
	struct mol_agent_error err;
	int status, r;

	/* A daemon that is not there at the start is a mistake to be told. */
	status = ctl_open(ctl);
	if (status)
		return status;

	if (args_has(&ctl->args, "follow"))
		return follow(ctl);

	r = subscribe(ctl, &err);
	return r < 0 ? ctl_say_failure(ctl, r, &err) : 0;
}
