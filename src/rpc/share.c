/* SPDX-License-Identifier: MIT */
/*
 * Shares of reports.
 */

#include "rpc/share.h"

#include <errno.h>
#include <stdlib.h>

int share_get(struct caller *caller, struct workspace *workspace, struct share **ret,
	      struct error *err)
{
	struct share *share;

	if (workspace->state == LIFECYCLE_LEAVING)
		return error_set(err, ERROR_UNAVAILABLE, ESHUTDOWN, "workspace %s is leaving",
				 workspace->settings.name);

	list_for_each (node, &caller->shares) {
		share = list_entry(node, struct share, node);
		if (share->workspace == workspace) {
			*ret = share;
			return 0;
		}
	}

	if (caller->n_shares >= SHARES_MAX)
		return error_set(err, ERROR_OVERLOADED, EUSERS,
				 "this connection reports for %d workspaces already", SHARES_MAX);

	share = calloc(1, sizeof(*share));
	if (!share)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a report");

	share->caller = caller;
	share->workspace = workspace;
	list_init(&share->report.node);
	list_init(&share->node);
	list_append(&caller->shares, &share->node);
	caller->n_shares++;
	*ret = share;
	return 0;
}

static void share_free(struct share *share)
{
	reporter_withdraw(&share->report);
	list_remove(&share->node);
	share->caller->n_shares--;
	free(share);
}

void shares_end_all(struct caller *caller)
{
	while (!list_empty(&caller->shares)) {
		struct share *share = list_entry(caller->shares.next, struct share, node);
		struct workspace *workspace = share->workspace;

		share_free(share);
		workspace_report_changed(workspace);
	}
}

void shares_forget(struct hub *hub, const struct workspace *workspace)
{
	list_for_each (caller_node, &hub->callers) {
		struct caller *caller = list_entry(caller_node, struct caller, node);

		list_for_each_safe (node, &caller->shares) {
			struct share *share = list_entry(node, struct share, node);

			if (share->workspace == workspace)
				share_free(share);
		}
	}
}
