/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl metrics: as they are, for a scraper.
 */

#include "ctl/ctl.h"
#include "ctl/show.h"

int cmd_metrics(struct ctl *ctl)
{
	AUTO(answer_fini) struct answer answer = { NULL };
	int status;

	status = ctl_call(ctl, "daemon.metrics", NULL, &answer);
	if (status)
		return status;

	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else
		show_raw(&ctl->out, json_text_member(answer.result, "text"));
	return 0;
}
