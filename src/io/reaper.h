/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who waits for children: it hears when one has ended (through its pidfd; where
 * the kernel has none, by looking), takes its status, and leaves no zombie, also
 * of those whose owner has lost interest. SIGCHLD is not needed.
 *
 * It takes in orphans: this process becomes their "subreaper". A child of this
 * process that nobody here started was left behind by one that was, and is
 * killed when any child ends. So a program that uses a reaper must start all its
 * children by it. One that had children before it had a reaper (a script that
 * ended with exec), or is the first process of a container, gets orphans of
 * others too: it takes in and kills none.
 *
 * One a process; it is freed last.
 */

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/list.h"
#include "io/launch.h"
#include "io/loop.h"

struct reaper;
struct reaper_child;

/* One of the two comes, once, from the loop; the child is forgotten when it returns. */
struct reaper_events {
	/* There is no such child, and why: -errno, of the exec for example. */
	void (*on_failed)(void *context, int r);
	/* It has been reaped. info: as of waitid(). */
	void (*on_end)(void *context, const siginfo_t *info);
};

int reaper_new(struct loop *loop, struct reaper **ret);
/* Kills whoever is left, and waits for them briefly: it is for the very end. */
void reaper_free(struct reaper *reaper);
struct loop *reaper_loop(const struct reaper *reaper);

/*
 * Starts a child, the leader of a process group of its own. Waits for nothing:
 * whether its program can be run is heard of later. 0, or -errno and there will
 * be no child. spec is borrowed until this returns, the others until the end.
 */
int reaper_launch(struct reaper *reaper, const struct launch_spec *spec,
		  const struct reaper_events *events, void *context, struct reaper_child **ret);

/* For its whole group; one that is being born gets it then. */
void reaper_kill(struct reaper_child *child, int signal);
/* Kills its group; it is waited for, but nobody is told. */
void reaper_abandon(struct reaper_child *child);
/* 0 until it is born; its own until on_end comes. */
pid_t reaper_pid(const struct reaper_child *child);
