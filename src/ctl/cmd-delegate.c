/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl delegate: a task for somebody else, and with --wait what
 * became of it. Waiting has no limit; the delegation goes on when we end.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/input.h"
#include "ctl/params.h"
#include "ctl/say.h"
#include "ctl/show.h"

#define WAIT_MS 60000 /* of one call */

static int create(struct ctl *ctl, const char *task, struct answer *answer)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	char id[CTL_ID_SIZE];
	const char *key;
	int status;

	status = ctl_choose_id(ctl, "key", id, &key);
	if (status)
		return status;

	ctl_begin_params(ctl, &params);
	params_string(&params, "to", ctl->args.words[0]);
	params_string(&params, "task", task);
	params_string(&params, "idempotency_key", key);
	status = ctl_call(ctl, "delegation.create", &params, answer);
	if (status == error_exit_status(ERROR_UNKNOWN_OUTCOME))
		say("to hand it over again as the same delegation: --key %s", key);
	return status;
}

/* Into dst, safe for a terminal; "" when it is not there. */
static void copy_member(char *dst, size_t dst_size, struct json_text object, const char *name)
{
	AUTO(buffer_fini) struct buffer text = BUFFER_INIT(dst_size - 1);

	show_member(&text, object, name);
	(void)snprintf(dst, dst_size, "%.*s", (int)buffer_len(&text),
		       buffer_len(&text) ? buffer_at(&text) : "");
}

static bool has_status(struct json_text delegation, const char *status)
{
	return json_text_equals(json_text_member(delegation, "status"), status);
}

/* How it ended, in an exit status; what is not good is said. */
static int say_end(struct json_text delegation)
{
	enum error_kind kind = ERROR_NONE;
	char why[ERROR_TEXT_MAX];

	if (has_status(delegation, "failed"))
		kind = ERROR_PEER;
	if (has_status(delegation, "unknown"))
		kind = ERROR_UNKNOWN_OUTCOME;
	if (kind == ERROR_NONE)
		return 0;

	copy_member(why, sizeof(why), delegation, "error");
	return say_failed(kind, "%s", why);
}

static bool has_ended(struct json_text delegation)
{
	return has_status(delegation, "completed") || has_status(delegation, "failed") ||
	       has_status(delegation, "unknown");
}

static int wait_for_end(struct ctl *ctl, struct answer *answer)
{
	char id[64];
	int status;

	copy_member(id, sizeof(id), answer->result, "delegation_id");
	/* Whoever gets tired of it has to know what to ask for later. */
	if (isatty(STDERR_FILENO))
		say("delegation %s is accepted; waiting until it has ended", id);
	do {
		AUTO(buffer_fini) struct buffer params = PARAMS_INIT;

		ctl_begin_params(ctl, &params);
		params_string(&params, "delegation_id", id);
		params_int64(&params, "wait_ms", WAIT_MS);
		status = ctl_call_long(ctl, "delegation.wait", WAIT_MS, &params, answer);
	} while (!status && !has_ended(answer->result));

	if (status)
		say("delegation %s goes on", id);
	return status;
}

static void put_created(struct ctl *ctl, struct json_text result)
{
	struct buffer *out = &ctl->out;

	show_member(out, result, "delegation_id");
	(void)buffer_append_text(out, ": ");
	show_member(out, result, "status");
	if (json_text_is_true(json_text_member(result, "duplicate")))
		(void)buffer_append_text(out, " (that key was there before)");
	(void)buffer_append_char(out, '\n');
}

/* What the other one answered. */
static void put_preview(struct ctl *ctl, struct json_text delegation)
{
	struct json_text preview = json_text_member(delegation, "preview");

	if (json_text_kind(preview) != JSON_STRING)
		return;

	show_words(&ctl->out, preview, isatty(STDOUT_FILENO));
	(void)buffer_append_char(&ctl->out, '\n');
}

int cmd_delegate(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer input = INPUT_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	bool wait = args_has(&ctl->args, "wait");
	int status;

	status = input_read_text("delegate", "the task", ctl->args.words[1], &input);
	if (!status)
		status = create(ctl, buffer_at(&input), &answer);
	if (!status && wait)
		status = wait_for_end(ctl, &answer);
	if (status)
		return status;

	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else if (wait)
		put_preview(ctl, answer.result);
	else
		put_created(ctl, answer.result);
	return say_end(answer.result);
}
