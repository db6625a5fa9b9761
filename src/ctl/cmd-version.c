/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl version: ours, and the daemon's when there is one.
 */

#include <string.h>

#include "config-build.h"

#include "ctl/ctl.h"
#include "ctl/show.h"

static void put_json(struct ctl *ctl, const struct answer *answer)
{
	(void)buffer_append_text(&ctl->out, "{\"client\":\"" MOLECULE_VERSION "\",\"daemon\":");
	if (answer->text)
		(void)buffer_append(&ctl->out, answer->result.at, answer->result.len);
	else
		(void)buffer_append_text(&ctl->out, "null");
	(void)buffer_append_text(&ctl->out, "}\n");
}

int cmd_version(struct ctl *ctl)
{
	AUTO(answer_fini) struct answer answer = { NULL };
	struct mol_agent_error err;
	int r;

	/* No daemon is an answer here, not a failure. */
	r = ctl_try_open(ctl, &err);
	if (r == 0)
		r = ctl_try_call(ctl, "daemon.info", NULL, &answer, &err);

	if (ctl->json) {
		put_json(ctl, &answer);
		return 0;
	}

	(void)buffer_append_text(&ctl->out, "molecule-agentctl " MOLECULE_VERSION "\n");
	if (r == 0) {
		show_member(&ctl->out, answer.result, "name");
		(void)buffer_append_char(&ctl->out, ' ');
		show_member(&ctl->out, answer.result, "version");
		(void)buffer_append_text(&ctl->out, " (pid ");
		show_member(&ctl->out, answer.result, "pid");
		(void)buffer_append_text(&ctl->out, ", up since ");
		show_member(&ctl->out, answer.result, "started_at");
		(void)buffer_append_text(&ctl->out, ")\n");
	} else {
		(void)buffer_append_text(&ctl->out, "daemon: ");
		show_text(&ctl->out, err.message, strlen(err.message));
		(void)buffer_append_char(&ctl->out, '\n');
	}
	return 0;
}
