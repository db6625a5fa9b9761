/* SPDX-License-Identifier: MIT */
/*
 * The index of workspaces.
 */

#include "agent/roster.h"

#include <stdlib.h>
#include <string.h>

#include "agent/workspace.h"

static const char *name_of(const struct workspace *workspace)
{
	return workspace->settings.name;
}

static const char *id_of(const struct workspace *workspace)
{
	return workspace->settings.id;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(name_of(*(struct workspace *const *)a),
		      name_of(*(struct workspace *const *)b));
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(id_of(*(struct workspace *const *)a), id_of(*(struct workspace *const *)b));
}

void roster_init(struct roster *roster, const struct list *workspaces)
{
	*roster = (struct roster){ .workspaces = workspaces };
}

void roster_fini(struct roster *roster)
{
	roster_changed(roster);
}

void roster_changed(struct roster *roster)
{
	free(roster->by_name);
	free(roster->by_id);
	roster->by_name = roster->by_id = NULL;
	roster->n = 0;
}

static bool roster_sort(struct roster *roster)
{
	size_t n = 0;

	if (roster->by_name)
		return true;

	list_for_each (node, roster->workspaces)
		n++;
	roster->by_name = calloc(n + 1, sizeof(struct workspace *));
	roster->by_id = calloc(n + 1, sizeof(struct workspace *));
	if (!roster->by_name || !roster->by_id) {
		roster_changed(roster);
		return false;
	}

	list_for_each (node, roster->workspaces) {
		roster->by_name[roster->n] = list_entry(node, struct workspace, node);
		roster->by_id[roster->n] = roster->by_name[roster->n];
		roster->n++;
	}
	qsort(roster->by_name, n, sizeof(struct workspace *), compare_names);
	qsort(roster->by_id, n, sizeof(struct workspace *), compare_ids);
	return true;
}

typedef const char *(*key_fn)(const struct workspace *workspace);

static struct workspace *look_at_each(const struct roster *roster, key_fn key, const char *text)
{
	list_for_each (node, roster->workspaces) {
		struct workspace *workspace = list_entry(node, struct workspace, node);

		if (strcmp(key(workspace), text) == 0)
			return workspace;
	}

	return NULL;
}

static int match_name(const void *name, const void *entry)
{
	return strcmp(name, name_of(*(struct workspace *const *)entry));
}

static int match_id(const void *id, const void *entry)
{
	return strcmp(id, id_of(*(struct workspace *const *)entry));
}

static struct workspace *look_up(struct workspace *const *sorted, size_t n, const char *text,
				 int (*match)(const void *text, const void *entry))
{
	struct workspace *const *found = bsearch(text, sorted, n, sizeof(*sorted), match);

	return found ? *found : NULL;
}

struct workspace *roster_find_name(struct roster *roster, const char *name)
{
	if (!roster_sort(roster))
		return look_at_each(roster, name_of, name);

	return look_up(roster->by_name, roster->n, name, match_name);
}

struct workspace *roster_find_id(struct roster *roster, const char *id)
{
	if (!roster_sort(roster))
		return look_at_each(roster, id_of, id);

	return look_up(roster->by_id, roster->n, id, match_id);
}
