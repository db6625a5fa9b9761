/* SPDX-License-Identifier: MIT */
/*
 * Leaving for good. A note is an empty file whose name is the workspace's key.
 */

#include "agent/farewell.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/journal.h"
#include "agent/plugin-pool.h"
#include "agent/token.h"
#include "base/fd.h"
#include "base/log.h"

#define NOTES_DIR "leaving"

/* One whose journal is being wiped. */
struct farewell {
	struct farewells *farewells; /* borrowed */
	struct list node;
	struct workspace_key key;
	struct waiter wiped;
	struct list waiters;
};

void farewells_init(struct farewells *farewells, struct agent_context *context)
{
	*farewells = (struct farewells){ .context = context };
	list_init(&farewells->pending);
}

static void farewell_free(struct farewell *farewell)
{
	waiter_cancel(&farewell->wiped);
	list_remove(&farewell->node);
	free(farewell);
}

void farewells_fini(struct farewells *farewells)
{
	list_for_each_safe (node, &farewells->pending)
		farewell_free(list_entry(node, struct farewell, node));
}

static int notes_open(const struct farewells *farewells, int *ret_fd, struct error *err)
{
	return dir_open_private(farewells->context->state_dirfd, NOTES_DIR, 0700, ret_fd, err);
}

/* Most hosts never have one. */
static bool has_notes(const struct farewells *farewells)
{
	return faccessat(farewells->context->state_dirfd, NOTES_DIR, F_OK, 0) == 0;
}

int farewell_begin(struct farewells *farewells, const struct workspace_key *key, struct error *err)
{
	AUTO(fd_close) int dirfd = -1;
	int r;

	r = notes_open(farewells, &dirfd, err);
	return r < 0 ? r : file_replace(dirfd, key->text, "", 0, 0600, err);
}

void farewell_end(struct farewells *farewells, const struct workspace_key *key)
{
	AUTO(fd_close) int dirfd = -1;
	struct error err = { 0 };

	if (has_notes(farewells) &&
	    (notes_open(farewells, &dirfd, &err) < 0 || file_remove(dirfd, key->text, &err) < 0))
		log_warning("a workspace has left, and is still noted as leaving: %s", err.text);
}

static void farewell_on_wiped(struct waiter *waiter, const struct error *err)
{
	struct farewell *farewell = container_of(waiter, struct farewell, wiped);

	if (!err)
		farewell_end(farewell->farewells, &farewell->key);

	list_remove(&farewell->node);
	waiters_call(&farewell->waiters, err);
	free(farewell);
}

int farewell_wipe_journal(struct farewells *farewells, const struct workspace_key *key,
			  struct waiter *waiter, struct error *err)
{
	struct farewell *farewell;
	int r;

	farewell = calloc(1, sizeof(*farewell));
	if (!farewell)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to forget a workspace");

	farewell->farewells = farewells;
	farewell->key = *key;
	list_init(&farewell->waiters);
	waiter_init(&farewell->wiped, farewell_on_wiped);
	list_append(&farewells->pending, &farewell->node);

	r = journal_forget(farewells->context->store, key, &farewell->wiped, err);
	if (r < 0) {
		farewell_free(farewell);
		return r;
	}

	if (waiter)
		list_append(&farewell->waiters, &waiter->node);
	return 0;
}

static void farewell_resume(struct farewells *farewells, const struct workspace_key *key,
			    bool has_journal)
{
	struct agent_context *context = farewells->context;
	struct error err = { 0 };
	int r = 0;

	log_notice("wiping what is left of %s, which has left", key->text);
	if (context->pool)
		r = plugin_pool_forget(context->pool, context->state_dirfd, key, &err);
	if (r == 0)
		r = token_wipe(context->state_dirfd, key, &err);
	if (r == 0 && has_journal)
		r = farewell_wipe_journal(farewells, key, NULL, &err);
	else if (r == 0)
		farewell_end(farewells, key);
	if (r < 0)
		log_warning("cannot wipe what is left of %s, and tries again at the next start: %s",
			    key->text, err.text);
}

void farewells_resume(struct farewells *farewells, bool has_journal,
		      bool (*is_here)(void *data, const struct workspace_key *key), void *data)
{
	struct workspace_key key;
	struct dirent *entry;
	DIR *dir;
	int fd;

	if (!has_notes(farewells) || notes_open(farewells, &fd, NULL) < 0)
		return;

	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return;
	}

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(key.text))
			continue;

		(void)snprintf(key.text, sizeof(key.text), "%s", entry->d_name);
		if (is_here(data, &key))
			farewell_end(farewells, &key);
		else
			farewell_resume(farewells, &key, has_journal);
	}
	(void)closedir(dir);
}
