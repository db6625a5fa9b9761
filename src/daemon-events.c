/* SPDX-License-Identifier: MIT */
/*
 * What the agent tells, handed on to whom it concerns: the service manager and
 * the callers at the socket; and what it wants kept across restarts.
 */

#include <stdio.h>

#include "agent/agent.h"
#include "daemon-private.h"
#include "exit.h"

static void on_state(void *data, struct workspace *workspace, enum lifecycle_state before)
{
	struct daemon *daemon = data;

	loop_defer(&daemon->loop, &daemon->tell);
	if (daemon->server)
		server_on_state(daemon->server, workspace, before);
}

static void on_report(void *data, struct workspace *workspace)
{
	struct daemon *daemon = data;

	if (daemon->server)
		server_on_report(daemon->server, workspace);
}

static void on_secrets(void *data, struct workspace *workspace, const char *changed, size_t len)
{
	struct daemon *daemon = data;

	if (daemon->server)
		server_on_secrets(daemon->server, workspace, changed, len);
}

static void on_peers(void *data, struct workspace *workspace)
{
	struct daemon *daemon = data;

	if (daemon->server)
		server_on_peers(daemon->server, workspace);
}

static void on_delegation(void *data, struct workspace *workspace,
			  const struct delegation *delegation)
{
	struct daemon *daemon = data;

	if (daemon->server)
		server_on_delegation(daemon->server, workspace, delegation);
}

static void on_plugin(void *data, struct workspace *workspace,
		      const struct shelf_progress *progress)
{
	struct daemon *daemon = data;

	if (daemon->server)
		server_on_plugin(daemon->server, workspace, progress);
}

static void on_warning(void *data, const struct agent_warning *warning, bool raised)
{
	struct daemon *daemon = data;

	if (daemon->server)
		server_on_warning(daemon->server, warning, raised);
}

static void on_exit_wanted(void *data, struct workspace *workspace, int status)
{
	struct daemon *daemon = data;
	char why[160];

	/* A single round ends by itself, with the gravest status of all workspaces. */
	if (daemon->stopping || daemon->once)
		return;

	(void)snprintf(why, sizeof(why), "%s was %s, and its configuration says to exit",
		       workspace->settings.name, status == DAEMON_PAUSED ? "paused" : "deleted");
	daemon_stop(daemon, status, why);
}

static int save_workspace(void *data, const struct workspace_settings *settings, struct error *err)
{
	struct daemon *daemon = data;

	return config_save_workspace(daemon->state.fd, settings, &daemon->config->agent.defaults,
				     err);
}

static int forget_workspace(void *data, const char *name, struct error *err)
{
	struct daemon *daemon = data;

	return config_forget_workspace(daemon->state.fd, name, err);
}

const struct agent_events daemon_events = {
	.on_state = on_state,
	.on_report = on_report,
	.on_secrets = on_secrets,
	.on_peers = on_peers,
	.on_plugin = on_plugin,
	.on_delegation = on_delegation,
	.on_warning = on_warning,
	.on_exit = on_exit_wanted,
	.save = save_workspace,
	.forget = forget_workspace,
};
