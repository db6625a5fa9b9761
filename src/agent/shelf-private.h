/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of a shelf share: what is there (shelf.c), who waits for what
 * (shelf-task.c), and what is done about one plugin (shelf-install.c,
 * shelf-change.c, shelf-verify.c). Nobody else includes this.
 */

#include "agent/plugin-place.h"
#include "agent/shelf.h"

/* What a kind of task is. */
struct shelf_kind {
	/* Its turn has come. An error ends it. */
	int (*begin)(struct shelf_task *task, struct error *err);
	/* It can be given up, and nothing has changed. */
	bool (*is_open)(const struct shelf_task *task);
	/* Stops what it has begun. */
	void (*fini)(struct shelf_task *task);
	bool changes;   /* the plugin: no two of these at a time */
	bool is_remote; /* needs the platform */
};

struct shelf_task {
	struct list node;              /* in the shelf's */
	struct shelf *shelf;           /* borrowed */
	const struct shelf_kind *kind; /* borrowed */
	char name[PLUGIN_NAME_MAX + 1];
	char by[SHELF_BY_MAX];
	struct list waiters; /* at most one */
	struct plugin_turn turn;
	bool asked, begun;

	/* An installation. */
	char *source, *digest;
	bool run_setup, need_setup, report;
	struct plugin_install *install;
	int64_t begun_ms, told_ms;
	enum plugin_phase told_phase;

	/* A change of what is there. */
	struct plugin_helper helper;
	char trash[PLUGIN_TRASH_SIZE];

	/* A look at one, or (name "") at all. */
	char at[PLUGIN_NAME_MAX + 1];      /* which one now */
	char version[PLUGIN_VERSION_SIZE]; /* of it */
	struct buffer drift;
	size_t drift_begin; /* of what was found about this one */
	int64_t n_drift;    /* likewise */
	bool drift_cut;
};

extern const struct shelf_kind shelf_install_kind, shelf_rollback_kind, shelf_remove_kind,
	shelf_verify_kind;

struct shelf_task *shelf_task_new(struct shelf *shelf, const struct shelf_kind *kind,
				  const char *name, const char *by, struct error *err);
/* One that is not under way. */
void shelf_task_drop(struct shelf_task *task);
/* The waiter waits for it from here on. */
void shelf_task_submit(struct shelf_task *task, struct waiter *waiter);
/* It has come to its end: the waiter is told, the task is gone, the next one begins. */
void shelf_task_end(struct shelf_task *task, const struct shelf_outcome *outcome,
		    const struct error *err);
/* Of those that can be given up: those that need the platform, or all. */
void shelf_tasks_give_up(struct shelf *shelf, bool all, const struct error *err);
void shelf_pump(struct shelf *shelf);

/* The directory, made if it has to be. */
int shelf_open(struct shelf *shelf, bool make, struct error *err);
void shelf_insert(struct shelf *shelf, struct plugin *plugin);
void shelf_drop(struct shelf *shelf, struct plugin *plugin);

/* Tells the platform what was installed; nobody waits for that. */
void shelf_report(struct shelf *shelf, const struct plugin *plugin);
void shelf_reports_free(struct shelf *shelf);
