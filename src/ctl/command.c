/* SPDX-License-Identifier: MIT */
/*
 * The table of commands, and looking things up in it.
 */

#include "ctl/command.h"

#include <string.h>

const struct option_spec global_options[] = {
	{ "workspace", 'w', "NAME", "the workspace, by name or id; not needed where there is one",
	  COMPLETES_WORKSPACE },
	{ "json", 0, NULL, "print the daemon's result as one line of JSON" },
	{ "socket", 0, "PATH", "the daemon's socket", COMPLETES_FILE },
	{ "user", 0, NULL, "talk to your own daemon, not to the system's" },
	{ "timeout", 0, "TIME", "how long to wait for the daemon, e.g. 30s (the default), 2min" },
	{ "no-color", 0, NULL, "no colours, as with NO_COLOR in the environment" },
	{ "help", 'h', NULL, "show help, of the command when there is one" },
	{ "version", 0, NULL, "show the version of this program" },
	{ NULL },
};

static const struct option_spec join_options[] = {
	{ "url", 0, "URL", "the platform" },
	{ "workspace-id", 0, "ID", "the workspace's id on the platform (a UUID)" },
	{ "name", 0, "NAME", "what the workspace is called here" },
	{ "org-id", 0, "ID", "the organisation, for a platform with several" },
	{ "origin", 0, "ORIGIN", "the Origin header, where the platform asks for one" },
	{ "agent-card", 0, "FILE|JSON", "the agent card to register", COMPLETES_FILE },
	{ "reported-url", 0, "URL", "where others can reach the agent, if anywhere" },
	{ "token-file", 0, "FILE", "read the token from here; others must not be able to",
	  COMPLETES_FILE },
	{ NULL },
};

static const struct option_spec leave_options[] = {
	{ "forget", 0, NULL, "wipe the workspace's token and data too" },
	{ NULL },
};

static const struct option_spec get_options[] = {
	{ "format", 0, "FORMAT", "env (to be sourced by a shell), json (one object) or raw",
	  COMPLETES_FORMAT },
	{ "max-age", 0, "TIME", "ask the platform when what is known is older, e.g. 10s" },
	{ NULL },
};

static const struct option_spec peers_options[] = {
	{ "refresh", 0, NULL, "ask the platform, not the daemon's memory" },
	{ NULL },
};

static const struct option_spec install_options[] = {
	{ "source", 0, "SOURCE",
	  "local://NAME or github://OWNER/REPO#REF; else the platform's own" },
	{ "sha256", 0, "DIGEST", "what the plugin's tarball must have" },
	{ "run-setup", 0, NULL, "run its setup.sh, if there is one" },
	{ "require-setup", 0, NULL, "the same, and install nothing when that fails" },
	{ "no-setup", 0, NULL, "do not run it, whatever the configuration says" },
	{ "no-report", 0, NULL, "do not tell the platform" },
	{ "quiet", 'q', NULL, "do not show how far it is" },
	{ NULL },
};

static const struct option_spec send_options[] = {
	{ "route", 0, "ROUTE", "auto (the default), direct or proxy: through the platform",
	  COMPLETES_ROUTE },
	{ "message-id", 0, "ID", "the same for the same message, when it is sent again" },
	{ NULL },
};

static const struct option_spec delegate_options[] = {
	{ "key", 0, "KEY", "the same key again is the same delegation" },
	{ "wait", 0, NULL, "wait until it has ended, and print the answer" },
	{ NULL },
};

static const struct option_spec delegations_options[] = {
	{ "status", 0, "STATUS", "only those that are that far", COMPLETES_DELEGATION_STATUS },
	{ "limit", 0, "N", "how many at most; 50 when left out" },
	{ "before", 0, "ID", "only those older than that one" },
	{ NULL },
};

static const struct option_spec events_options[] = {
	{ "follow", 'f', NULL, "go on with each event as it comes" },
	{ "type", 't', "TYPE", "only events of this type; may be given more than once",
	  COMPLETES_EVENT_TYPE },
	{ NULL },
};

static const struct option_spec report_options[] = {
	{ "current-task", 0, "TEXT", "what is being done" },
	{ "active-tasks", 0, "N", "how many tasks are being done" },
	{ "error-rate", 0, "RATE", "share of what fails, 0 to 1" },
	{ "sample-error", 0, "TEXT", "one of the errors" },
	{ "runtime-state", 0, "STATE", "wedged, when the runtime is stuck" },
	{ NULL },
};

const struct command commands[] = {
	{ .name = "status",
	  .help = "show how the daemon and its workspaces are",
	  .more = "With --workspace, all that is known of that one.",
	  .run = cmd_status },
	{ .name = "workspaces",
	  .help = "list the workspaces",
	  .no_workspace = true,
	  .run = cmd_workspaces },
	{ .name = "join",
	  .help = "join a workspace of a platform, and stay joined",
	  .more = "Standard input may hold what the platform gave you: the reply to the creation of\n"
		  "the workspace (JSON), the environment block to paste, or the token alone. Options\n"
		  "win over it. A token is never taken from the arguments. Waits until the state is\n"
		  "known, and exits with 0 when the workspace is online.",
	  .options = join_options,
	  .changes = true,
	  .no_workspace = true,
	  .run = cmd_join },
	{ .name = "leave",
	  .help = "leave a workspace",
	  .options = leave_options,
	  .changes = true,
	  .run = cmd_leave },
	{ .name = "secrets",
	  .verb = "list",
	  .help = "list the names of the secrets you may read",
	  .run = cmd_secrets_list },
	{ .name = "secrets",
	  .verb = "get",
	  .words = "[KEY...]",
	  .help = "print secrets",
	  .more = "One KEY is printed as it is, several or none (all) as a table.",
	  .options = get_options,
	  .max_words = WORDS_MANY,
	  .completes = COMPLETES_SECRET,
	  .run = cmd_secrets_get },
	{ .name = "secrets",
	  .verb = "refresh",
	  .help = "fetch the secrets from the platform now",
	  .run = cmd_secrets_refresh },
	{ .name = "peers",
	  .words = "[QUERY]",
	  .help = "list the agents this one may talk to",
	  .options = peers_options,
	  .max_words = 1,
	  .run = cmd_peers },
	{ .name = "send",
	  .words = "PEER TEXT|-",
	  .help = "send an agent a message, and print its answer",
	  .more = "With - the text comes from standard input. PEER is an id, or a name that only one\n"
		  "has. Waits for six minutes, or for as long as --timeout says. Exits with 13 when the\n"
		  "message was queued, with 12 when it was sent and no answer came.",
	  .options = send_options,
	  .min_words = 2,
	  .max_words = 2,
	  .completes = COMPLETES_PEER,
	  .changes = true,
	  .run = cmd_send },
	{ .name = "delegate",
	  .words = "PEER TASK|-",
	  .help = "hand an agent a task, which is then delivered whatever happens",
	  .more = "With - the task comes from standard input. PEER is an id, or a name that only one\n"
		  "has. What was accepted is sent until the platform has it, across restarts too.",
	  .options = delegate_options,
	  .min_words = 2,
	  .max_words = 2,
	  .completes = COMPLETES_PEER,
	  .changes = true,
	  .run = cmd_delegate },
	{ .name = "delegations",
	  .help = "list what was delegated, newest first",
	  .options = delegations_options,
	  .run = cmd_delegations },
	{ .name = "plugin",
	  .verb = "install",
	  .words = "NAME",
	  .help = "fetch a plugin from the platform, and switch to it when all of it is there",
	  .more = "What was there before is kept for a rollback. When anything fails, or this command\n"
		  "is interrupted, nothing has changed.",
	  .options = install_options,
	  .min_words = 1,
	  .max_words = 1,
	  .changes = true,
	  .run = cmd_plugin_install },
	{ .name = "plugin",
	  .verb = "list",
	  .help = "list the plugins that are installed",
	  .run = cmd_plugin_list },
	{ .name = "plugin",
	  .verb = "verify",
	  .words = "[NAME]",
	  .help = "look whether the files of plugins are still what was installed",
	  .max_words = 1,
	  .completes = COMPLETES_PLUGIN,
	  .run = cmd_plugin_verify },
	{ .name = "plugin",
	  .verb = "rollback",
	  .words = "NAME",
	  .help = "go back to the version of a plugin that was there before",
	  .min_words = 1,
	  .max_words = 1,
	  .completes = COMPLETES_PLUGIN,
	  .changes = true,
	  .run = cmd_plugin_rollback },
	{ .name = "plugin",
	  .verb = "remove",
	  .words = "NAME",
	  .help = "take a plugin off this host",
	  .min_words = 1,
	  .max_words = 1,
	  .completes = COMPLETES_PLUGIN,
	  .changes = true,
	  .run = cmd_plugin_remove },
	{ .name = "events",
	  .help = "show the state of things and, with --follow, what happens",
	  .options = events_options,
	  .run = cmd_events },
	{ .name = "metrics",
	  .help = "print the daemon's metrics (OpenMetrics)",
	  .no_workspace = true,
	  .run = cmd_metrics },
	{ .name = "reload",
	  .help = "make the daemon read its configuration again",
	  .changes = true,
	  .no_workspace = true,
	  .run = cmd_reload },
	{ .name = "report",
	  .words = "[COMMAND [ARGUMENT...]]",
	  .help = "tell the platform what is being done, while it is being done",
	  .more = "With a COMMAND (put -- before it), for as long as that runs, and exits as it does;\n"
		  "without one, until interrupted. With neither options nor a COMMAND, shows what the\n"
		  "platform sees now.",
	  .options = report_options,
	  .max_words = WORDS_MANY,
	  .completes = COMPLETES_FILE,
	  .run = cmd_report },
	{ .name = "refresh",
	  .help = "make a heartbeat and a look at the state now",
	  .run = cmd_refresh },
	{ .name = "token",
	  .verb = "set",
	  .help = "give the workspace another token, from standard input or a prompt",
	  .changes = true,
	  .run = cmd_token_set },
	{ .name = "token",
	  .verb = "rotate",
	  .help = "have a new token made, and the old one revoked",
	  .changes = true,
	  .run = cmd_token_rotate },
	{ .name = "call",
	  .words = "METHOD [JSON|-]",
	  .help = "call a method of the daemon",
	  .more = "Parameters are a JSON object or array; with - they come from standard input.",
	  .min_words = 1,
	  .max_words = 2,
	  .completes = COMPLETES_METHOD,
	  .changes = true,
	  .no_workspace = true,
	  .run = cmd_call },
	{ .name = "version",
	  .help = "show the versions of this program and of the daemon",
	  .no_workspace = true,
	  .run = cmd_version },
	{ .name = "help",
	  .words = "[COMMAND]",
	  .help = "show help",
	  .max_words = 2,
	  .completes = COMPLETES_COMMAND,
	  .no_workspace = true,
	  .run = cmd_help },
	{ .name = "_complete",
	  .words = "-- WORD...",
	  .help = "what may follow the words, for shells",
	  .max_words = WORDS_MANY,
	  .hidden = true,
	  .run = cmd_complete },
	{ NULL },
};

const struct command *command_find(const char *name, const char *verb)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0 &&
		    (!c->verb || (verb && strcmp(c->verb, verb) == 0)))
			return c;

	return NULL;
}

bool command_exists(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return true;

	return false;
}

bool command_has_verbs(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c->verb != NULL;

	return false;
}

static const struct option_spec *find_name(const struct option_spec *options, const char *name,
					   size_t len)
{
	for (const struct option_spec *o = options; o && o->name; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;

	return NULL;
}

static const struct option_spec *find_letter(const struct option_spec *options, char letter)
{
	for (const struct option_spec *o = options; o && o->name; o++)
		if (o->letter && o->letter == letter)
			return o;

	return NULL;
}

const struct option_spec *option_find(const struct command *command, const char *name, size_t len)
{
	const struct option_spec *option;

	option = find_name(command ? command->options : NULL, name, len);
	return option ? option : find_name(global_options, name, len);
}

const struct option_spec *option_find_letter(const struct command *command, char letter)
{
	const struct option_spec *option;

	option = find_letter(command ? command->options : NULL, letter);
	return option ? option : find_letter(global_options, letter);
}
