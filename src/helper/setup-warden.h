/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the kernel asks us before a setup.sh may do it.
 *
 * It changes modes by us. Landlock lets whoever it confines change the mode of
 * any file of his user, wherever it is: a token could be opened to everybody. So the
 * kernel asks us, and we do it ourselves, to what is below the script's own
 * directories. What is elsewhere keeps its mode (EPERM).
 *
 * It forks when we say so. As long as we answer, we do; when we are about to kill it, we
 * do not any more, and whoever forks stands still. However fast it was, it stays as
 * many as it is.
 */

#include <seccomp.h>

#include "base/error.h"
#include "base/util.h"

struct setup_warden {
	int fd;                           /* owned: the kernel's questions; -1: there are none */
	const char *places[2];            /* borrowed: directories, without symbolic links */
	struct seccomp_notif *question;   /* owned */
	struct seccomp_notif_resp *reply; /* owned */
};

/* For the filter of the process that is to be the script. Negative errno, or 0. */
int setup_warden_add_rules(scmp_filter_ctx filter);
/* From the script, which has put up its filter, to us. */
int setup_warden_send(int socket, scmp_filter_ctx filter, struct error *err);
int setup_warden_receive(struct setup_warden *warden, int socket, struct error *err);
void setup_warden_fini(struct setup_warden *warden);

/* Answers one question; false when there will be no more. */
bool setup_warden_answer(struct setup_warden *warden);
