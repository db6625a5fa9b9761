/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How far an installation is, on standard error while a call waits: a bar where
 * that is a terminal, else a line for each phase. A process of its own has a
 * connection of its own for it; where it cannot be had, there is no progress to
 * see, and that is all.
 */

#include <sys/types.h>

#include "ctl/ctl.h"

struct progress {
	pid_t pid; /* 0: there is none */
	int fd;    /* owned; when it is closed the process ends */
};

/* Before the connection is made. Returns when events are heard. */
void progress_start(struct progress *progress, struct ctl *ctl, const char *plugin);
/* Leaves nothing of a bar behind. */
void progress_stop(struct progress *progress);
