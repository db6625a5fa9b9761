/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl refresh
 */

#include "ctl/ctl.h"
#include "ctl/params.h"
#include "ctl/workspace.h"

int cmd_refresh(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	int status;

	ctl_begin_params(ctl, &params);
	status = ctl_call(ctl, "workspace.refresh", &params, &answer);
	if (status)
		return status;

	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else
		workspace_put_line(ctl, answer.result);
	return 0;
}
