/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which processes are our children, those included that came to us as orphans; and
 * how to be rid of them.
 */

#include <stddef.h>
#include <sys/types.h>

/*
 * Of the first thread: that is where orphans come. At most max, of which those
 * that end meanwhile may be missing; -errno where the kernel does not tell.
 */
int children_list(pid_t *pids, size_t max);

/*
 * Kills a child (0: every child) and all that has come from it, as far as it is
 * known whose child it is: orphans are ours, and want another call. Nobody is reaped.
 *
 * Who forks as fast as he can gets away from whoever kills layer by layer, and
 * reaps in between: each that is gone makes room for another one. So all are
 * looked for at once, and again as long as one was found that was not there before.
 */
void children_kill(pid_t child);
