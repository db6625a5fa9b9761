/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The configuration: what holds when nobody says anything, then what files say,
 * then what the environment says, in one plain struct. It is loaded whole or
 * not at all, and nothing here is global, so that a running daemon can load a
 * second one, look at it, and only then let go of the first.
 *
 * Errors are ERROR_CONFIG: "FILE:LINE: " and a sentence that says what to write
 * instead.
 */

#include <stdbool.h>
#include <stddef.h>

#include "agent/settings.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/setting.h"
#include "base/util.h"
#include "rpc/settings.h"

#define CONFIG_FILE_MAX 1048576 /* bytes; a file beyond it is not one of ours */

struct daemon_settings {
	unsigned log_level; /* LOG_EMERG .. LOG_DEBUG */
	char *state_dir;
	char **sockets;     /* paths, ended by NULL */
	char *socket_group; /* or NULL: as the process has it */
};

struct config {
	struct daemon_settings daemon;
	struct rpc_settings rpc;
	struct agent_settings agent;
};

/* Where things are, by the command line and the environment. */
struct config_paths {
	char *file; /* agentd.conf; its drop-ins are in FILE.d, workspaces.d is beside it */
	bool file_required;
	char *workspaces_dir;
	char *state_dir; /* unless a file says otherwise */
	char *socket;    /* of a user's daemon, likewise; NULL: not known */
	bool user;
};

/* file may be NULL: the usual place. paths is uninitialised. */
int config_paths_init(struct config_paths *paths, const char *file, bool user, struct error *err);
void config_paths_fini(struct config_paths *paths);

int config_load(const struct config_paths *paths, struct config **ret, struct error *err);
void config_free(struct config *config);
DEFINE_AUTO(struct config *, config_free);

/*
 * One file from memory, as if it was the only one, without looking at the
 * environment. With a name it is that workspace's file, else an agentd.conf.
 */
int config_parse(const char *path, const char *name, const char *bytes, size_t len,
		 struct config **ret, struct error *err);

/* Appends all that is set, for a person to look at. Nothing in it is secret. */
int config_dump(const struct config *config, struct buffer *out);

/*
 * Tells each difference: a section and a key, or "workspace NAME" and NULL for
 * one that came, went or is not what it was.
 */
typedef void (*config_change_fn)(const char *section, const char *key, bool needs_restart,
				 void *context);
void config_compare(const struct config *a, const struct config *b, config_change_fn on_change,
		    void *context);

/*
 * Keeps a workspace that was joined at run time, as state_dir/workspaces.d/NAME.conf
 * (its agent card beside it). What is as in defaults is left to them, so that
 * such a workspace follows later changes of [defaults] as any other.
 */
int config_save_workspace(int state_dirfd, const struct workspace_settings *settings,
			  const struct workspace_settings *defaults, struct error *err);
int config_forget_workspace(int state_dirfd, const char *name, struct error *err);

/* The sections that are there once; a workspace has workspace_settings_table. */
struct config_section_kind {
	const char *name;
	const struct setting_table *table;
	size_t offset; /* in struct config, of what the table describes */
};

extern const struct config_section_kind config_sections[]; /* ended by a NULL name */
