/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The one way in which files are opened here: by a name that the kernel resolves
 * beneath a directory, through no symbolic link and into no other mount.
 */

#include <stdint.h>

/* Flags and mode as of open(2). The descriptor, closed on exec, or -errno. */
int beneath_open(int dirfd, const char *path, uint64_t flags, uint64_t mode);
