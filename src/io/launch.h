/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The birth of a child, and nothing of its life: see io/process.h.
 *
 * A parent stands still until the child has executed its program, in the
 * parent's memory, which is therefore neither copied nor left with the child.
 * Where others want the CPU, too, that takes many milliseconds: so a thread
 * stands still for us, which lives no longer than that.
 */

#include <sys/types.h>

struct launch_spec {
	const char *const *argv; /* argv[0] is the path of the program */
	const char *const *environment;
	int dirfd;      /* -1: the root directory */
	const int *fds; /* what are to be 0 .. n_fds - 1; -1: /dev/null up to 2, then closed */
	int n_fds;
};

struct launch;

/*
 * Begins. All of spec is borrowed until this returns, context until the launch
 * has come back: as a pointer, which the thread writes to the pipe reports when
 * there is a child or will be none. 0, or -errno and nothing was begun.
 */
int launch_start(const struct launch_spec *spec, int reports, void *context);

/* One that has come back, to be freed, or NULL; for a pipe that does not block. */
struct launch *launch_receive(int reports);
void launch_free(struct launch *launch);

void *launch_context(const struct launch *launch);
/* The child, or -errno: also of the exec. */
pid_t launch_outcome(const struct launch *launch);
