/* SPDX-License-Identifier: MIT */
/*
 * A workspace's status for people and for scripts.
 */

#include "ctl/workspace.h"

#include <string.h>

#include "base/error.h"
#include "ctl/show.h"

/* Each state is the error that a call would be answered with in it. */
static const struct {
	const char *state;
	enum error_kind kind;
} states[] = {
	{ "online", ERROR_NONE },
	{ "degraded", ERROR_NONE },
	{ "paused", ERROR_PAUSED },
	{ "removed", ERROR_REMOVED },
	{ "auth_lost", ERROR_UNAUTHORIZED },
	{ "unreachable", ERROR_UNAVAILABLE },
	{ "misrouted", ERROR_PLATFORM },
	{ "joining", ERROR_TIMEOUT },
	{ "leaving", ERROR_CONFLICT },
};

int workspace_exit_status(struct json_text state)
{
	if (json_text_kind(state) == JSON_STRING)
		for (size_t i = 0; i < ARRAY_LEN(states); i++)
			if (json_text_equals(state, states[i].state))
				return error_exit_status(states[i].kind);

	return error_exit_status(ERROR_PLATFORM);
}

void workspace_show_name(struct buffer *out, struct json_text status)
{
	size_t before = buffer_len(out);

	show_member(out, status, "name");
	if (buffer_len(out) == before)
		show_member(out, status, "id");
}

static bool is_same(struct json_text a, struct json_text b)
{
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

void workspace_show_state(struct buffer *out, struct json_text status)
{
	struct json_text state = json_text_member(status, "state");
	struct json_text platform = json_text_member(status, "platform_status");

	show_value(out, state);
	if (json_text_kind(platform) == JSON_STRING && platform.len > 2 &&
	    !is_same(state, platform)) {
		(void)buffer_append_text(out, " (");
		show_value(out, platform);
		(void)buffer_append_char(out, ')');
	}
}

void workspace_put_line(struct ctl *ctl, struct json_text status)
{
	struct json_text state = json_text_member(status, "state");
	struct json_text token = json_text_member(status, "token");
	struct json_text beat = json_text_member(status, "heartbeat");
	struct json_text interval = json_text_member(beat, "interval_ms");
	struct json_text last_error = json_text_member(status, "last_error");
	enum colour colour = show_state_colour(state);
	struct buffer *out = &ctl->out;

	workspace_show_name(out, status);
	(void)buffer_append_text(out, ": ");
	show_begin_colour(out, ctl->coloured, colour);
	workspace_show_state(out, status);
	show_end_colour(out, ctl->coloured, colour);

	(void)buffer_append_text(out, json_text_is_true(json_text_member(token, "present"))
					      ? "  (token stored"
					      : "  (no token");
	if (json_text_kind(interval) == JSON_NUMBER) {
		(void)buffer_append_text(out, ", heartbeat every ");
		show_duration(out, interval);
	}
	(void)buffer_append_char(out, ')');

	if (workspace_exit_status(state) != 0 && json_text_kind(last_error) != JSON_NONE &&
	    json_text_kind(last_error) != JSON_NULL) {
		(void)buffer_append_text(out, ": ");
		show_value(out, last_error);
	}
	(void)buffer_append_char(out, '\n');
}
