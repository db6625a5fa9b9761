/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Files: whole reads, whole writes, and replacing a file so that a reader, or
 * the next start after a kill -9, finds the old one or the new one and never
 * anything else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/util.h"

int fd_set_nonblocking(int fd);

/* Reads to the end; -EFBIG when there is more than max. Retries EINTR. */
int fd_read_all(int fd, char *bytes, size_t max, size_t *ret_len);
int fd_write_all(int fd, const char *bytes, size_t len);

/* Whose turn it is after that errno: NOT_FOUND, CONFIG (a person's) or INTERNAL (it may pass). */
enum error_kind file_error_kind(int errnum);

/*
 * Reads a regular file, never through a symbolic link, into a NUL-terminated
 * string that the caller frees with free() (file_read) or secret_free()
 * (file_read_private). ret_len may be NULL. The kind of error says whose turn it
 * is: NOT_FOUND, TOO_LARGE, CONFIG (a person has to put it right) or INTERNAL.
 *
 * file_read_private also refuses a file that others may read (a token that
 * others can read is a token that others have read), that has a second name
 * somewhere, or that belongs to neither us nor root. A credential of systemd,
 * which is root's with an access control list that admits only us, passes.
 */
int file_read(int dirfd, const char *name, size_t max, char **ret_text, size_t *ret_len,
	      struct error *err);
int file_read_private(int dirfd, const char *name, size_t max, char **ret_text, size_t *ret_len,
		      struct error *err);

/* Whether file_read_private() would take a file, for one that another library opens. */
int file_check_private(int dirfd, const char *name, struct error *err);

/*
 * Replaces or creates a file: temporary file with O_EXCL and mode from birth,
 * write, fsync, rename, fsync of the directory. On failure the old file is
 * untouched and the temporary one gone; only when the very last step fails is
 * the new one in place, and may be lost to a power cut. name is one file's name
 * in dirfd; the mode is exact, whatever the umask.
 */
int file_replace(int dirfd, const char *name, const char *bytes, size_t len, mode_t mode,
		 struct error *err);

/* Removes a file and makes that last; one that is not there is no error. */
int file_remove(int dirfd, const char *name, struct error *err);

/* Removes what file_replace() calls left behind when they were killed. */
void file_clean_leftovers(int dirfd);

/*
 * Opens (and with mode != 0 creates, not its parents) a directory that must be
 * ours: no symbolic link, owned by us, not writable by others.
 */
int dir_open_private(int dirfd, const char *path, mode_t mode, int *ret_fd, struct error *err);
