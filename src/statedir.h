/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where tokens, joined workspaces and the database are kept: a directory that is
 * ours alone, made if it is not there, locked against a second daemon, and cleaned
 * of what one that was killed has left half-made.
 */

#include "base/error.h"

struct state_dir {
	int fd, lock_fd;
};

#define STATE_DIR_CLOSED ((struct state_dir){ -1, -1 })

/*
 * ERROR_CONFLICT when another daemon has it, ERROR_CONFIG when others could
 * write to it. dir is to be closed whether this succeeds or not.
 */
int state_dir_open(struct state_dir *dir, const char *path, struct error *err);
void state_dir_close(struct state_dir *dir);
