/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The table of commands. Dispatch, argument errors, help and shell completion
 * all come from it.
 */

#include <stdbool.h>
#include <stddef.h>

struct ctl;

/* What a shell may offer in a place. */
enum completes {
	COMPLETES_NOTHING,
	COMPLETES_COMMAND,
	COMPLETES_FILE,
	COMPLETES_FORMAT,
	COMPLETES_EVENT_TYPE,
	COMPLETES_DELEGATION_STATUS,
	COMPLETES_ROUTE,
	/* These ask the daemon. */
	COMPLETES_WORKSPACE,
	COMPLETES_SECRET,
	COMPLETES_PEER,
	COMPLETES_PLUGIN,
	COMPLETES_METHOD,
};

struct option_spec {
	const char *name;  /* without the dashes */
	char letter;       /* 0: none */
	const char *value; /* what its value is called; NULL: a flag */
	const char *help;
	enum completes completes;
};

struct command {
	const char *name;
	const char *verb;                  /* its second word, or NULL */
	const char *words;                 /* usage of what follows, or NULL */
	const char *help;                  /* one line, no capital, no full stop */
	const char *more;                  /* further lines of help, or NULL */
	const struct option_spec *options; /* ends with a NULL name; or NULL */
	size_t min_words;
	size_t max_words;
	enum completes completes;
	bool changes;                /* when no answer comes, something may have been done */
	bool no_workspace;           /* -w makes no sense for it */
	bool hidden;                 /* from help and completion */
	int (*run)(struct ctl *ctl); /* returns an exit status */
};

#define WORDS_MANY ((size_t)-1)

/* Both end with a NULL name. */
extern const struct option_spec global_options[];
extern const struct command commands[];

const struct command *command_find(const char *name, const char *verb);
bool command_has_verbs(const char *name);
bool command_exists(const char *name);

/* By its name or letter, among the command's (which may be NULL) and the global ones. */
const struct option_spec *option_find(const struct command *command, const char *name, size_t len);
const struct option_spec *option_find_letter(const struct command *command, char letter);

int cmd_call(struct ctl *ctl);
int cmd_complete(struct ctl *ctl);
int cmd_delegate(struct ctl *ctl);
int cmd_delegations(struct ctl *ctl);
int cmd_events(struct ctl *ctl);
int cmd_help(struct ctl *ctl);
int cmd_join(struct ctl *ctl);
int cmd_leave(struct ctl *ctl);
int cmd_metrics(struct ctl *ctl);
int cmd_peers(struct ctl *ctl);
int cmd_plugin_install(struct ctl *ctl);
int cmd_plugin_list(struct ctl *ctl);
int cmd_plugin_remove(struct ctl *ctl);
int cmd_plugin_rollback(struct ctl *ctl);
int cmd_plugin_verify(struct ctl *ctl);
int cmd_refresh(struct ctl *ctl);
int cmd_reload(struct ctl *ctl);
int cmd_report(struct ctl *ctl);
int cmd_secrets_get(struct ctl *ctl);
int cmd_secrets_list(struct ctl *ctl);
int cmd_secrets_refresh(struct ctl *ctl);
int cmd_send(struct ctl *ctl);
int cmd_status(struct ctl *ctl);
int cmd_token_rotate(struct ctl *ctl);
int cmd_token_set(struct ctl *ctl);
int cmd_version(struct ctl *ctl);
int cmd_workspaces(struct ctl *ctl);
