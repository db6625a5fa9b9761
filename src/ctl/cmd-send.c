/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl send: a message to a peer, and its answer.
 */

#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/input.h"
#include "ctl/params.h"
#include "ctl/say.h"
#include "ctl/show.h"

#define ANSWER_MS 360000 /* how long the daemon waits when it is not told */
#define SLACK_MS 5000    /* it says what became of the message then, and has to be heard */
#define EXIT_QUEUED 13

static int send_params(struct ctl *ctl, const char *message_id, struct buffer *params)
{
	AUTO(buffer_fini) struct buffer text = INPUT_INIT;
	int status;

	status = input_read_text("send", "the text", ctl->args.words[1], &text);
	if (status)
		return status;

	ctl_begin_params(ctl, params);
	params_string(params, "to", ctl->args.words[0]);
	params_string(params, "text", buffer_at(&text));
	params_string(params, "route", args_get(&ctl->args, "route"));
	params_string(params, "message_id", message_id);
	if (args_has(&ctl->args, "timeout"))
		params_int64(params, "timeout_ms", ctl->timeout_ms);
	return 0;
}

/* The text; of an answer without text all of it. */
static void put_answer(struct ctl *ctl, struct json_text result)
{
	struct json_text text = json_text_member(result, "text");
	struct json_text response = json_text_member(result, "response");

	if (json_text_kind(text) == JSON_STRING)
		show_words(&ctl->out, text, isatty(STDOUT_FILENO));
	else
		(void)buffer_append(&ctl->out, response.at, response.len);
	(void)buffer_append_char(&ctl->out, '\n');
}

int cmd_send(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	const char *message_id;
	char id[CTL_ID_SIZE];
	bool queued;
	int status;

	status = ctl_choose_id(ctl, "message-id", id, &message_id);
	if (!status)
		status = send_params(ctl, message_id, &params);
	if (status)
		return status;

	status = ctl_call_long(ctl, "a2a.send",
			       args_has(&ctl->args, "timeout") ? SLACK_MS : ANSWER_MS, &params,
			       &answer);
	if (status == error_exit_status(ERROR_UNKNOWN_OUTCOME))
		say("to send it again as the same message: --message-id %s", message_id);
	if (status)
		return status;

	queued = json_text_equals(json_text_member(answer.result, "outcome"), "queued");
	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else if (!queued)
		put_answer(ctl, answer.result);
	if (!queued)
		return 0;

	say("%s is busy: the platform has queued the message, and no answer will come",
	    ctl->args.words[0]);
	return EXIT_QUEUED;
}
