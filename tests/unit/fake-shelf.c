/* SPDX-License-Identifier: MIT */
/*
 * The functions of agent/shelf.h, without what is behind them: one shelf for
 * all, on which the test puts plugins, and what it was asked for last.
 */

#include <stdio.h>
#include <string.h>

#include "agent/shelf.h"
#include "agent/workspace.h"
#include "fake-agent.h"

void fake_shelf_init(void)
{
	list_init(&fake.shelf.plugins);
	list_init(&fake.shelf.load_waiters);
	list_init(&fake.shelf.tasks);
}

void fake_shelf_fini(void)
{
	while (!list_empty(&fake.shelf.plugins))
		plugin_free(list_entry(fake.shelf.plugins.next, struct plugin, node));
}

struct shelf *workspace_shelf(struct workspace *workspace, struct error *err)
{
	workspace->shelf = &fake.shelf;
	return &fake.shelf;
}

bool shelf_is_loaded(const struct shelf *shelf)
{
	return shelf->loaded;
}

void shelf_load(struct shelf *shelf, struct waiter *waiter)
{
	list_append(&shelf->load_waiters, &waiter->node);
}

char *shelf_path(const struct shelf *shelf, const char *name)
{
	char *path;

	return asprintf(&path, "/state/%s/current/tree", name) < 0 ? NULL : path;
}

int shelf_install(struct shelf *shelf, const struct shelf_ask *ask, struct waiter *waiter,
		  struct error *err)
{
	(void)snprintf(fake.asked, sizeof(fake.asked), "install %s %s %s%s%s%s", ask->name,
		       ask->source ? ask->source : "-", ask->digest[0] ? ask->digest : "-",
		       ask->run_setup ? " setup" : "", ask->need_setup ? " needed" : "",
		       ask->report ? " report" : "");
	list_append(&fake.waiters, &waiter->node);
	return 0;
}

static int ask(const char *what, const char *name, struct waiter *waiter)
{
	(void)snprintf(fake.asked, sizeof(fake.asked), "%s %s", what, name);
	list_append(&fake.waiters, &waiter->node);
	return 0;
}

int shelf_rollback(struct shelf *shelf, const char *name, const char *by, struct waiter *waiter,
		   struct error *err)
{
	return ask("rollback", name, waiter);
}

int shelf_remove(struct shelf *shelf, const char *name, const char *by, struct waiter *waiter,
		 struct error *err)
{
	return ask("remove", name, waiter);
}

int shelf_verify(struct shelf *shelf, const char *name, struct waiter *waiter, struct error *err)
{
	return ask("verify", name[0] ? name : "all", waiter);
}

const struct shelf_outcome *shelf_outcome(const struct shelf *shelf)
{
	return &fake.outcome;
}

void shelf_each_install(const struct shelf *shelf,
			void (*visit)(const struct shelf_progress *progress, void *data),
			void *data)
{
	struct shelf_progress progress = { "pdf-tools", PLUGIN_UNPACK, 7, -1, 3, NULL };

	visit(&progress, data);
}
