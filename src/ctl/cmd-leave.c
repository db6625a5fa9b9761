/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl leave
 */

#include "ctl/ctl.h"
#include "ctl/params.h"

int cmd_leave(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	bool forget = args_has(&ctl->args, "forget");
	int status;

	ctl_begin_params(ctl, &params);
	if (forget)
		params_true(&params, "forget");
	status = ctl_call(ctl, "workspace.leave", &params, &answer);
	if (status)
		return status;

	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else
		(void)buffer_append_text(&ctl->out, forget ? "left, its token and data are wiped\n"
							   : "left, its token and data are kept\n");
	return 0;
}
