/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The birth of a child, and nothing of its life: see io/process.h.
 *
 * The parent stands still until the child has executed its program, in the
 * parent's memory, which is therefore neither copied nor left with the child.
 */

#include <sys/types.h>

struct launch_spec {
	const char *const *argv; /* argv[0] is the path of the program */
	const char *const *environment;
	int dirfd;      /* -1: the root directory */
	const int *fds; /* what are to be 0 .. n_fds - 1; -1: /dev/null up to 2, then closed */
	int n_fds;
};

/* 0, or -errno: also of the exec. All is borrowed. */
int launch(const struct launch_spec *spec, pid_t *ret_pid);
