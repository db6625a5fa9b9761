/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which processes are our children, those included that came to us as orphans.
 */

#include <stddef.h>
#include <sys/types.h>

/*
 * Of the first thread: that is where orphans come. At most max, of which those
 * that end meanwhile may be missing; -errno where the kernel does not tell.
 */
int children_list(pid_t *pids, size_t max);
