/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The plugins of a workspace: what is installed, and what is being done about
 * it. What changes one plugin is done in the order in which it was asked for;
 * what concerns others goes on beside it, as far as the host's pool has room.
 *
 * Who asks waits. When he has lost interest before his change counts, it is
 * given up and leaves nothing behind; afterwards it goes on to its end.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/membership.h"
#include "agent/plugin-install.h"
#include "agent/plugin-pool.h"
#include "agent/plugin.h"
#include "agent/waiter.h"
#include "base/buffer.h"
#include "base/error.h"

#define SHELF_PLUGINS_MAX 256 /* of a workspace; agents have a dozen */
/* Bytes: who reads on has the plugin installed again. */
#define SHELF_DRIFT_MAX ((size_t)256 << 10)
#define SHELF_BY_MAX 64

struct shelf;

/* An installation that is under way, or has just ended. */
struct shelf_progress {
	const char *name;
	enum plugin_phase phase;
	int64_t bytes, total, files; /* total -1: not known */
	const char *message;         /* of one that failed, or NULL */
};

struct shelf_events {
	void (*on_progress)(void *data, const struct shelf_progress *progress);
	/* The platform refuses us in a way that says more about us than about plugins. */
	void (*on_doubt)(void *data);
};

struct shelf_ask {
	const char *name, *source; /* source: or NULL */
	const char *digest;        /* or "" */
	const char *by;            /* who asks, for the log: "uid 1000 (pid 77)" */
	bool run_setup, need_setup;
	bool report; /* tell the platform */
};

/* What came of it; for waiters, while they are called. */
struct shelf_outcome {
	const struct plugin *plugin;          /* as it is now; NULL: it is not there */
	const struct plugin_install *install; /* of shelf_install() */
	const struct buffer *drift;           /* of shelf_verify(): objects with commas between */
	bool drift_cut;                       /* there is more */
};

struct shelf_task;

struct shelf {
	const struct membership *member;   /* borrowed */
	struct plugin_pool *pool;          /* borrowed */
	const struct shelf_events *events; /* borrowed */
	void *data;
	int dirfd;           /* owned; -1: there was never a plugin */
	struct list plugins; /* sorted by name */
	unsigned n_plugins;
	bool loaded;
	struct plugin_turn turn; /* to load */
	struct plugin_helper loader;
	struct list load_waiters;
	struct list tasks; /* in the order in which they were asked for */
	struct loop_work pump;
	const struct shelf_outcome *outcome; /* NULL but while waiters are called */
	struct list reports;                 /* on their way to the platform */
	unsigned n_reports;
	bool told_unrecorded; /* that it does not record them */
};

int shelf_new(const struct membership *member, struct plugin_pool *pool,
	      const struct shelf_events *events, void *data, struct shelf **ret, struct error *err);
/* Gives up all that is open; waiters get cancelled. Takes NULL. */
void shelf_free(struct shelf *shelf);
/* Gives up what is open: what needs the platform, or all. What is not goes on to its end. */
void shelf_stop(struct shelf *shelf, bool all, const struct error *err);

/* Whether it is known what is there; else shelf_load() finds out, when no change is under way. */
bool shelf_is_loaded(const struct shelf *shelf);
void shelf_load(struct shelf *shelf, struct waiter *waiter);
/* Once it is loaded; NULL: there is none. */
struct plugin *shelf_find(const struct shelf *shelf, const char *name);
/* "/STATE/.../NAME/current/tree"; the caller frees it. NULL without memory. */
char *shelf_path(const struct shelf *shelf, const char *name);

int shelf_install(struct shelf *shelf, const struct shelf_ask *ask, struct waiter *waiter,
		  struct error *err);
int shelf_rollback(struct shelf *shelf, const char *name, const char *by, struct waiter *waiter,
		   struct error *err);
int shelf_remove(struct shelf *shelf, const char *name, const char *by, struct waiter *waiter,
		 struct error *err);
/* One, or all when name is "". */
int shelf_verify(struct shelf *shelf, const char *name, struct waiter *waiter, struct error *err);

/* For a waiter that is being called. */
const struct shelf_outcome *shelf_outcome(const struct shelf *shelf);

/* Those under way. */
void shelf_each_install(const struct shelf *shelf,
			void (*visit)(const struct shelf_progress *progress, void *data),
			void *data);
