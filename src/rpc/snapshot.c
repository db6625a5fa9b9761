/* SPDX-License-Identifier: MIT */
/*
 * How things are, for those who are about to hear what changes.
 */

#include "rpc/snapshot.h"

#include <stdbool.h>
#include <string.h>

#include "rpc/events.h"
#include "rpc/status.h"
#include "rpc/writer.h"

#define TYPES_OF_WORKSPACE (1u << EVENT_WORKSPACE_STATE | 1u << EVENT_WORKSPACE_REPORT)

static bool is_about(const char *only, const char *name)
{
	return !only[0] || strcmp(only, name) == 0;
}

static void write_all(struct buffer *out, const char *only, const char *member,
		      const struct agent *agent,
		      void (*write)(struct buffer *out, const struct workspace *workspace))
{
	writer_open(out, member, '[');
	list_for_each (node, &agent->workspaces) {
		const struct workspace *workspace = list_entry(node, struct workspace, node);

		if (is_about(only, workspace->settings.name))
			write(out, workspace);
	}
	writer_close(out, ']');
}

static void write_workspace(struct buffer *out, const struct workspace *workspace)
{
	status_write_workspace(out, NULL, workspace);
}

static void write_vault(struct buffer *out, const struct workspace *workspace)
{
	writer_open(out, NULL, '{');
	writer_text(out, "workspace", workspace->settings.name);
	status_write_keys(out, "keys", &workspace->vault);
	status_write_fetched_at(out, workspace->vault.fetched, workspace->vault.fetched_wall_ms);
	writer_close(out, '}');
}

static void write_peerbook(struct buffer *out, const struct workspace *workspace)
{
	writer_open(out, NULL, '{');
	writer_text(out, "workspace", workspace->settings.name);
	status_write_peers(out, workspace);
	writer_close(out, '}');
}

struct outgoing {
	struct buffer *out;
	const char *workspace;
};

static void write_delegation(const struct delegation *delegation, void *data)
{
	const struct outgoing *outgoing = data;

	status_write_delegation(outgoing->out, NULL, outgoing->workspace, delegation);
}

static void write_outbox(struct buffer *out, const struct workspace *workspace)
{
	struct outgoing outgoing = { out, workspace->settings.name };

	if (workspace->outbox)
		outbox_each(workspace->outbox, write_delegation, &outgoing);
}

struct installs {
	struct buffer *out;
	const char *workspace;
};

static void write_install(const struct shelf_progress *progress, void *data)
{
	const struct installs *installs = data;

	writer_open(installs->out, NULL, '{');
	writer_text(installs->out, "workspace", installs->workspace);
	status_write_plugin_progress(installs->out, progress);
	writer_close(installs->out, '}');
}

static void write_installs(struct buffer *out, const struct workspace *workspace)
{
	struct installs installs = { out, workspace->settings.name };

	if (workspace->shelf)
		shelf_each_install(workspace->shelf, write_install, &installs);
}

static void write_warnings(struct buffer *out, const char *only, const struct agent *agent)
{
	writer_open(out, "warnings", '[');
	list_for_each (node, &agent->context.warnings) {
		const struct agent_warning *warning = list_entry(node, struct agent_warning, node);

		if (is_about(only, warning->workspace))
			status_write_warning(out, NULL, warning);
	}
	writer_close(out, ']');
}

void snapshot_write(struct buffer *out, const char *name, const struct agent *agent, unsigned types,
		    const char *only)
{
	writer_open(out, name, '{');
	if (types & TYPES_OF_WORKSPACE)
		write_all(out, only, "workspaces", agent, write_workspace);
	if (types & 1u << EVENT_SECRETS_CHANGED)
		write_all(out, only, "secrets", agent, write_vault);
	if (types & 1u << EVENT_PEERS_CHANGED)
		write_all(out, only, "peers", agent, write_peerbook);
	if (types & 1u << EVENT_DELEGATION_UPDATED)
		write_all(out, only, "delegations", agent, write_outbox);
	if (types & 1u << EVENT_PLUGIN_PROGRESS)
		write_all(out, only, "plugins", agent, write_installs);
	if (types & 1u << EVENT_DAEMON_WARNING)
		write_warnings(out, only, agent);
	writer_close(out, '}');
}
