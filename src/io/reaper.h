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
#include "io/loop.h"

struct reaper;
struct reaper_child;

/* The child has been reaped, and is forgotten when this returns. info: as of waitid(). */
typedef void (*reaper_fn)(void *context, const siginfo_t *info);

int reaper_new(struct loop *loop, struct reaper **ret);
/* Kills whoever is left, and waits for them briefly: it is for the very end. */
void reaper_free(struct reaper *reaper);
struct loop *reaper_loop(const struct reaper *reaper);

/*
 * Room for a child that is about to be born, so that nothing can fail once it
 * is there; NULL without memory. Given up with reaper_forget(), or filled.
 */
struct reaper_child *reaper_expect(struct reaper *reaper);
void reaper_forget(struct reaper_child *child);
/* It was born, as the leader of its own process group. */
void reaper_born(struct reaper_child *child, pid_t pid, reaper_fn on_end, void *context);

/* For its whole group. Its pid is its own until on_end comes. */
void reaper_kill(struct reaper_child *child, int signal);
/* Kills its group; it is waited for, but nobody is told. */
void reaper_abandon(struct reaper_child *child);
pid_t reaper_pid(const struct reaper_child *child);
