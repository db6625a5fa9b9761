/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A process that brings to the disk what has been written so far while more is
 * written: at the end there is little left to wait for. It can do nothing else,
 * and nothing depends on it but time: what the disk refuses it, the keeper hears
 * from its own syncfs() at the end.
 */

#include <stdint.h>
#include <sys/types.h>

/* Often enough that the disk is never idle, seldom enough that nobody waits for its journal. */
#define FLUSHER_BYTES (UINT64_C(8) << 20)

struct flusher {
	pid_t pid;        /* 0: there is none */
	int wake;         /* owned; does not block */
	uint64_t flushed; /* bytes, at the last time */
};

/* directory is descriptor 3. Without a process for it there is no flusher, and no error. */
void flusher_start(struct flusher *flusher, int directory);

/* So many bytes have been written by now. */
void flusher_tell(struct flusher *flusher, uint64_t n_bytes);

/* Takes the child along. */
void flusher_stop(struct flusher *flusher);
