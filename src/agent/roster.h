/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Finds a workspace among thousands by name or id: two sorted arrays of
 * pointers, put in order at the first search after a change.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct workspace;

struct roster {
	const struct list *workspaces;       /* borrowed: the list that it is the index of */
	struct workspace **by_name, **by_id; /* owned; NULL: to be made anew */
	size_t n;
};

void roster_init(struct roster *roster, const struct list *workspaces);
void roster_fini(struct roster *roster);

/* A workspace came or went. */
void roster_changed(struct roster *roster);

/* NULL: none. Without memory for the index it looks at each of them. */
struct workspace *roster_find_name(struct roster *roster, const char *name);
/* id in lower case. When several platforms have the same one: any of them. */
struct workspace *roster_find_id(struct roster *roster, const char *id);
