/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl peers
 */

#include "ctl/ctl.h"
#include "ctl/params.h"
#include "ctl/show.h"
#include "ctl/table.h"

static void put_row(struct table *table, struct json_text peer)
{
	show_member(table_cell(table), peer, "name");
	show_member(table_cell(table), peer, "role");
	show_member(table_cell(table), peer, "status");
	table_colour(table, show_state_colour(json_text_member(peer, "status")));
	show_member(table_cell(table), peer, "tier");
	show_member(table_cell(table), peer, "active_tasks");
	show_member(table_cell(table), peer, "id");
	show_member(table_cell(table), peer, "url");
}

int cmd_peers(struct ctl *ctl)
{
	static const char *const names[] = {
		"NAME", "ROLE", "STATUS", "TIER", "TASKS", "ID", "URL"
	};
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	AUTO(table_fini) struct table table;
	struct json_text peer;
	struct json_iter iter;
	int status;

	table_init(&table, names, ARRAY_LEN(names));
	ctl_begin_params(ctl, &params);
	params_string(&params, "query", ctl->args.words[0]);
	if (args_has(&ctl->args, "refresh"))
		params_true(&params, "refresh");
	status = ctl_call(ctl, "peers.list", &params, &answer);
	if (status)
		return status;

	if (ctl->json) {
		ctl_put_json(ctl, &answer);
		return 0;
	}

	iter = json_iter(json_text_member(answer.result, "peers"));
	while (json_next_element(&iter, &peer))
		put_row(&table, peer);
	table_render(&table, &ctl->out, ctl->coloured);
	return 0;
}
