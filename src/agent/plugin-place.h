/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where plugins are: see agent/plugin.h. Whatever is done here is one or a few
 * calls that wait for no disk; what has to last is synced by the helper, before
 * it counts.
 *
 * These directories may be looked into by whoever may pass the state directory:
 * agents of other users have to read their plugins.
 */

#include <stdbool.h>
#include <stddef.h>

#include "agent/plugin.h"
#include "agent/settings.h"
#include "base/error.h"

#define PLUGIN_PLACES "workspaces"
#define PLUGIN_TRASH_PREFIX ".trash-"
#define PLUGIN_TRASH_SIZE 24 /* ".trash-0123456789abcdef" and a NUL */

/* The name of a workspace's directory: as that of its token, but without colons, for PATH's sake.
 */
struct workspace_key plugin_place_name(const struct workspace_key *workspace);

/*
 * The directory of a workspace's plugins. Unless it is to be made, -ENOENT with
 * no error set says that there are none.
 */
int plugin_place_open(int state_dirfd, const struct workspace_key *workspace, bool make,
		      int *ret_fd, struct error *err);

/* Makes versions/VERSION of a plugin, opened. Whoever made it discards it when it comes to nothing.
 */
int plugin_place_make(int dirfd, const char *name, const char *version, int *ret_fd,
		      struct error *err);
/* That or its tree; ERROR_NOT_FOUND when somebody has taken it away. */
int plugin_place_version(int dirfd, const char *name, const char *version, int *ret_fd,
			 struct error *err);
int plugin_place_tree(int version_fd, const char *name, int *ret_fd, struct error *err);

/* What current points to on disk, "" for nothing that is one of our versions; or -errno. */
int plugin_place_current(int dirfd, const char *name, char dst[static PLUGIN_VERSION_SIZE]);
/* 1, 0, or -errno when nobody can tell. */
int plugin_place_exists(int dirfd, const char *name);

/* "NAME/versions/VERSION" */
#define PLUGIN_PATH_SIZE (PLUGIN_NAME_MAX + PLUGIN_VERSION_SIZE + 12)
char *plugin_place_path(char dst[static PLUGIN_PATH_SIZE], const char *name, const char *version);
/* Takes away a directory that is empty, and those above it that are now, too. Whether it is gone.
 */
bool plugin_place_prune(int dirfd, const char *path);

/* Somewhere that nothing is; -EIO without random numbers. */
int plugin_place_trash_name(char dst[static PLUGIN_TRASH_SIZE]);
/*
 * Moves all that there is of a workspace aside; *ret_name is "" when there was
 * nothing. It is in the directory of all workspaces, which *ret_fd is then.
 */
int plugin_place_forget(int state_dirfd, const struct workspace_key *workspace,
			char ret_name[static PLUGIN_TRASH_SIZE], int *ret_fd, struct error *err);
