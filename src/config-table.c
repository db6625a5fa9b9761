/* SPDX-License-Identifier: MIT */
/*
 * The sections of agentd.conf, and what [daemon] takes. What the others take
 * is said by the layers that use it.
 */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "config-build.h"

static int check_socket(const char *text, char **ret, struct error *err);

/* The index is the level, as syslog has it. */
static const char *const log_levels[] = { "emerg",  "alert", "crit",  "error", "warning",
					  "notice", "info",  "debug", NULL };

#define AT(member) offsetof(struct config, member)

static const struct setting daemon_settings[] = {
	{ .name = "log_level",
	  .offset = AT(daemon.log_level),
	  .type = SETTING_CHOICE,
	  .choices = log_levels,
	  .initial = "info",
	  .help = "how much to log: error, warning, notice, info or debug" },
	{ .name = "state_dir",
	  .offset = AT(daemon.state_dir),
	  .type = SETTING_TEXT,
	  .flags = SETTING_RESTART,
	  .check = platform_check_path,
	  .initial = LOCALSTATEDIR "/lib/molecule",
	  .help = "where tokens, messages, plugins and joined workspaces are kept" },
	{ .name = "socket",
	  .offset = AT(daemon.sockets),
	  .type = SETTING_LIST,
	  .flags = SETTING_LINES | SETTING_RESTART,
	  .check = check_socket,
	  .initial = "/run/molecule.sock /run/molecule/agentd.sock",
	  .help = "where clients connect, when systemd does not pass the sockets" },
	{ .name = "socket_group",
	  .offset = AT(daemon.socket_group),
	  .type = SETTING_TEXT,
	  .flags = SETTING_RESTART,
	  .check = platform_check_header,
	  .initial = "molecule",
	  .help = "group that may connect, when systemd does not pass the sockets" },
	{ .name = "stop_timeout",
	  .offset = AT(agent.stop_timeout_ms),
	  .type = SETTING_DURATION,
	  .max = 10 * 60 * 1000,
	  .initial = "10s",
	  .help = "how long calls that are out may take to end when the daemon stops" },
};

static const struct setting_table daemon_settings_table = {
	daemon_settings,
	ARRAY_LEN(daemon_settings),
};

const struct config_section_kind config_sections[] = {
	{ "daemon", &daemon_settings_table, 0 },
	{ "rpc", &rpc_settings_table, AT(rpc) },
	{ "calls", &call_settings_table, AT(agent.calls) },
	{ "plugins", &plugin_settings_table, AT(agent.plugins) },
	{ "defaults", &workspace_settings_table, AT(agent.defaults) },
	{ NULL, NULL, 0 },
};

static int check_socket(const char *text, char **ret, struct error *err)
{
	size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (strlen(text) > max)
		return error_set(err, ERROR_INVALID_PARAMS, ENAMETOOLONG,
				 "the path of a socket may have at most %zu bytes", max);

	return platform_check_path(text, ret, err);
}
