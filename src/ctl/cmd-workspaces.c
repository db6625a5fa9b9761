/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl workspaces
 */

#include "ctl/ctl.h"
#include "ctl/show.h"
#include "ctl/table.h"

int cmd_workspaces(struct ctl *ctl)
{
	static const char *const names[] = { "NAME", "STATE", "ID" };
	AUTO(answer_fini) struct answer answer = { NULL };
	AUTO(table_fini) struct table table;
	struct json_text workspace;
	struct json_iter iter;
	int status;

	table_init(&table, names, ARRAY_LEN(names));
	status = ctl_call(ctl, "workspace.list", NULL, &answer);
	if (status)
		return status;

	if (ctl->json) {
		ctl_put_json(ctl, &answer);
		return 0;
	}

	iter = json_iter(json_text_member(answer.result, "workspaces"));
	while (json_next_element(&iter, &workspace)) {
		show_member(table_cell(&table), workspace, "name");
		show_member(table_cell(&table), workspace, "state");
		table_colour(&table, show_state_colour(json_text_member(workspace, "state")));
		show_member(table_cell(&table), workspace, "id");
	}
	table_render(&table, &ctl->out, ctl->coloured);
	return 0;
}
