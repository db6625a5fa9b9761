/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl delegations
 */

#include "base/parse.h"
#include "ctl/ctl.h"
#include "ctl/params.h"
#include "ctl/say.h"
#include "ctl/show.h"
#include "ctl/table.h"

static void put_row(struct table *table, struct json_text delegation)
{
	struct json_text error = json_text_member(delegation, "error");

	show_member(table_cell(table), delegation, "delegation_id");
	show_member(table_cell(table), delegation, "to");
	show_member(table_cell(table), delegation, "status");
	table_colour(table, show_state_colour(json_text_member(delegation, "status")));
	show_ago(table_cell(table), json_text_member(delegation, "created_at"));
	show_ago(table_cell(table), json_text_member(delegation, "updated_at"));
	show_member(table_cell(table), delegation,
		    json_text_kind(error) == JSON_STRING ? "error" : "preview");
}

int cmd_delegations(struct ctl *ctl)
{
	static const char *const names[] = { "ID", "TO", "STATUS", "CREATED", "CHANGED", "ANSWER" };
	const char *limit = args_get(&ctl->args, "limit");
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	AUTO(table_fini) struct table table;
	struct json_text delegation;
	struct json_iter iter;
	int64_t n = 0;
	int status;

	table_init(&table, names, ARRAY_LEN(names));
	if (limit && parse_int64(limit, 1, INT32_MAX, &n) < 0)
		return say_usage("delegations", "--limit is a number from 1 to 500, not '%s'",
				 limit);

	ctl_begin_params(ctl, &params);
	params_string(&params, "status", args_get(&ctl->args, "status"));
	if (limit)
		params_int64(&params, "limit", n);
	params_string(&params, "before", args_get(&ctl->args, "before"));
	status = ctl_call(ctl, "delegation.list", &params, &answer);
	if (status)
		return status;

	if (ctl->json) {
		ctl_put_json(ctl, &answer);
		return 0;
	}

	iter = json_iter(json_text_member(answer.result, "delegations"));
	while (json_next_element(&iter, &delegation))
		put_row(&table, delegation);
	table_render(&table, &ctl->out, ctl->coloured);
	return 0;
}
