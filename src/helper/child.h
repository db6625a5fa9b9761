/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Processes that the keeper has beside it; see helper/sandbox.h. The one that
 * reads the archive inflates, parses, and says as frames what it has found.
 */

#include <sys/types.h>

#include "helper/policy.h"

struct child {
	pid_t pid;
	int feed;   /* the archive goes in here; does not block */
	int frames; /* and what is in it comes out */
};

/*
 * Forks. In the child, 0: in is descriptor 0 and out is 1 (-1: there is none),
 * none from n_kept on is open, and it ends when its parent does.
 */
pid_t child_fork(int in, int out, int n_kept);

/* Ends it, if pid is one, and waits until it has gone. */
void child_end(pid_t pid);

/* Starts the one that reads. */
int child_start(const struct policy_limits *limits, struct child *ret, struct error *err);
