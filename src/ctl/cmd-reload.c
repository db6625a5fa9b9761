/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl reload
 */

#include "ctl/ctl.h"
#include "ctl/show.h"

int cmd_reload(struct ctl *ctl)
{
	AUTO(answer_fini) struct answer answer = { NULL };
	struct json_text name;
	struct json_iter iter;
	bool first = true;
	int status;

	status = ctl_call(ctl, "daemon.reload", NULL, &answer);
	if (status)
		return status;

	if (ctl->json) {
		ctl_put_json(ctl, &answer);
		return 0;
	}

	iter = json_iter(json_text_member(answer.result, "changed"));
	while (json_next_element(&iter, &name)) {
		(void)buffer_append_text(&ctl->out, first ? "changed: " : ", ");
		show_value(&ctl->out, name);
		first = false;
	}
	(void)buffer_append_text(&ctl->out, first ? "nothing changed\n" : "\n");
	return 0;
}
