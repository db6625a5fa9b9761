/* SPDX-License-Identifier: MIT */
/*
 * A workspace's plugins: nothing is kept of them until somebody asks.
 */

#include "agent/shelf.h"
#include "agent/workspace.h"

static void shelf_on_progress(void *data, const struct shelf_progress *progress)
{
	struct workspace *workspace = data;
	struct agent_context *context = workspace->context;

	context->events->on_plugin(context->events_data, workspace, progress);
}

static void shelf_on_doubt(void *data)
{
	workspace_doubt(data);
}

struct shelf *workspace_shelf(struct workspace *workspace, struct error *err)
{
	static const struct shelf_events shelf_events = { shelf_on_progress, shelf_on_doubt };
	struct plugin_pool *pool = workspace->context->pool;

	if (!workspace->shelf && !pool) {
		(void)error_set(err, ERROR_UNAVAILABLE, 0, "this daemon does not keep plugins");
		return NULL;
	}

	if (!workspace->shelf && shelf_new(&workspace->membership, pool, &shelf_events, workspace,
					   &workspace->shelf, err) < 0)
		return NULL;

	return workspace->shelf;
}
