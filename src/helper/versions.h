/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The directory of a workspace's plugins, as agent/plugin.h describes it:
 *
 *   NAME/current -> versions/VERSION
 *   NAME/versions/VERSION/record.json, tree/, files
 *
 * Everything here may wait for the disk, and so is not done in the daemon. Each
 * change is one rename, and has been synced when it is said to be done. Who
 * changes something holds a lock on the directory: a helper that has outlived a
 * killed daemon and one of the daemon after that do not meet.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define VERSIONS_RECORD_MAX ((size_t)24 << 10) /* two of them fit into a line of what is said */

struct versions_switch {
	const char *name, *to; /* the plugin, and its version */
	const char *record;    /* of that version, len bytes */
	size_t len;
	bool sync; /* others have written to it since it was unpacked */
};

/*
 * Writes the record of a version, then makes it the current one. When this
 * fails, the one before is current, unless only the last sync has failed.
 */
int versions_activate(int dirfd, const struct versions_switch *change, struct error *err);

/* Takes a plugin away, whole; what it was is called `as` then. */
int versions_retire(int dirfd, const char *name, const char *as, struct error *err);

/* One version of a plugin; record: JSON text of one line, or NULL when there is none. */
struct version {
	const char *dir, *record;
};

typedef int (*versions_list_fn)(void *data, const char *name, const struct version *current,
				const struct version *before);

/* All plugins, in no order; before is NULL when there is none. Ends early when fn does not return
 * 0.
 */
int versions_list(int dirfd, versions_list_fn fn, void *data, struct error *err);

/*
 * Removes what nobody refers to, below the directory of all workspaces: plugins
 * that were retired, and versions that are neither current nor the one before.
 * What it does not understand it leaves alone.
 */
int versions_tidy(int dirfd, struct error *err);
