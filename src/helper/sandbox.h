/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What keeps a taken-over process harmless. Two do the work:
 *
 * The reader inflates and parses. It can read one pipe, write another, have
 * memory and end; it has no other descriptor and no system call that names a
 * file, a process or a network. That holds on any kernel with seccomp.
 *
 * The keeper holds the directory. It parses nothing but fixed frames. Of files
 * it can only name what openat2() and the *at() calls reach from a directory that
 * it has; with Landlock, where the kernel has it, nothing outside of that one.
 *
 * A third one, the flusher, has the directory and no call but syncfs().
 *
 * None can make sockets, run programs, fork, trace, change who it is, map
 * memory to execute or gain rights by any of it; all have limits on memory,
 * descriptors and CPU time. A forbidden call ends the process; the few that a
 * library makes in good faith fail instead.
 *
 * What cannot be put up is an error, and nothing is unpacked.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * For both, before anything is read: no descriptors but the first n_kept, no
 * environment, no new privileges, no core, and (unless keep_capabilities) no
 * capabilities.
 */
int sandbox_begin(int n_kept, bool keep_capabilities, struct error *err);

/* After this only read_fd can be read and only write_fd written. */
int sandbox_reader(int read_fd, int write_fd, struct error *err);

/* After this only read_fd can be read, and the file system of directory synchronised. */
int sandbox_flusher(int read_fd, int directory, struct error *err);

struct sandbox_keeper {
	int directory;      /* what may be reached */
	pid_t children[2];  /* may be killed; 0: there is none */
	uint64_t file_size; /* of any file that it writes */
	bool moves;         /* directories within the one */
	bool links;         /* makes and reads symbolic links, locks and syncs directories */
};

int sandbox_keeper(const struct sandbox_keeper *keeper, struct error *err);
