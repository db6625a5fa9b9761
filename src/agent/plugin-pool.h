/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is done for plugins on this host at one time: a few operations run, more
 * wait, too many are refused. And what becomes of what nobody needs any more:
 * it is removed, one directory after the other, by a helper that gives way to
 * everybody else. Before anything else, what a killed daemon has left is swept
 * up.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/plugin-helper.h"
#include "agent/settings.h"
#include "base/error.h"
#include "base/list.h"
#include "base/metrics.h"
#include "io/loop.h"
#include "io/reaper.h"

#define PLUGIN_POOL_RUNNING 2  /* each keeps a core and the disk busy */
#define PLUGIN_POOL_TASKS 64   /* more than a host has plugins: who asks for more has gone wrong */
#define PLUGIN_POOL_RUBBISH 64 /* each holds a descriptor; the next start sweeps up the rest */

struct plugin_turn;
/* Comes from the loop, when its turn has come. */
typedef void (*plugin_turn_fn)(struct plugin_turn *turn);

struct plugin_turn {
	struct list node;
	plugin_turn_fn fn;
	bool taken;
};

struct plugin_stats {
	uint64_t installs[ERROR_KIND_LAST + 1]; /* by how they ended */
	uint64_t rollbacks, removals;
	struct histogram install_seconds;
};

struct plugin_pool {
	struct loop *loop;     /* borrowed */
	struct reaper *reaper; /* borrowed */
	char *state_dir;       /* its path, for showing */
	struct list waiting;
	unsigned n_tasks, n_running;
	struct loop_work next;
	struct plugin_helper sweep;
	struct list rubbish; /* the first of them is being removed, when there is a broom */
	unsigned n_rubbish;
	struct plugin_helper broom;
	bool stopping;
	struct loop_work idle;
	void (*on_idle)(void *data); /* NULL: nobody wants to know */
	void *idle_data;
	struct plugin_stats stats;
};

int plugin_pool_new(struct loop *loop, struct reaper *reaper, int state_dirfd,
		    struct plugin_pool **ret, struct error *err);
void plugin_pool_free(struct plugin_pool *pool); /* takes NULL */

void plugin_turn_init(struct plugin_turn *turn, plugin_turn_fn fn);
/* One task more, until it is dismissed; ERROR_OVERLOADED when there are too many. */
int plugin_pool_admit(struct plugin_pool *pool, struct error *err);
void plugin_pool_dismiss(struct plugin_pool *pool);

/* Its turn comes; not when the pool has been stopped. */
void plugin_pool_ask(struct plugin_pool *pool, struct plugin_turn *turn);
/* It is done, or waits no longer; one that does neither is left alone. */
void plugin_pool_leave(struct plugin_pool *pool, struct plugin_turn *turn);

/*
 * Removes a directory, path in dirfd, with all that is in it, and those above it
 * that are empty then. Nobody may refer to it any more.
 */
void plugin_pool_discard(struct plugin_pool *pool, int dirfd, const char *path);

/* All that a workspace has: it is gone when this returns, and removed after that. */
int plugin_pool_forget(struct plugin_pool *pool, int state_dirfd,
		       const struct workspace_key *workspace, struct error *err);

/*
 * No more turns. on_idle comes once, from the loop, when what has had its turn
 * has come to its end and nothing is left to be removed.
 */
void plugin_pool_stop(struct plugin_pool *pool, void (*on_idle)(void *data), void *data);
