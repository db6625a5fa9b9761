/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a plugin's setup.sh may do. It is any program whatever, and it installs
 * packages: so it may run programs and use the network, and read what a system
 * has for everybody. It may write in the plugin and in a directory for temporary
 * files, and nowhere else; it gains no rights by programs that would give some,
 * and makes none that would give others ours.
 *
 * Where it is confined by Landlock it does not see the daemon's state and
 * configuration, nor any home directory, nor other processes' memory and
 * environment, and can signal only its own. Where the kernel has no Landlock, all
 * that remains is that what belongs to others is theirs: it has the daemon's
 * user, and can read what that user can.
 *
 * Unix sockets are closed to it, on any kernel: at the daemon's own it would be
 * taken for the daemon's user, who may ask for secrets.
 */

#include <sys/types.h>

#include "base/error.h"

struct setup_sandbox {
	int tree, temporary; /* directories that it may write in */
	pid_t keeper;        /* who must not be signalled, nor the parent of that one */
	pid_t daemon;
	int warden; /* a socket to the keeper: see setup-warden.h */
};

/* 0: this kernel has none, or keeps it from us. */
int setup_sandbox_landlock_version(void);

/* For the process that is about to become setup.sh. */
int setup_sandbox_enter(const struct setup_sandbox *sandbox, struct error *err);
