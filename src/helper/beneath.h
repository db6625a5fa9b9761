/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The one way in which files are opened here: by a name that the kernel resolves
 * beneath a directory, through no symbolic link and into no other mount
 * (openat2). systemd's RestrictSUIDSGID= takes that call away from a service; then
 * each part of the name is opened by itself, which comes to the same but for
 * mounts.
 */

#include <stdbool.h>
#include <stdint.h>

#define BENEATH_NAME_MAX 255

/* Flags and mode as of open(2). The descriptor, closed on exec, or -errno. */
int beneath_open(int dirfd, const char *path, uint64_t flags, uint64_t mode);

/* Whether openat() is needed for it: asked before a filter is put up. */
bool beneath_needs_openat(int dirfd);
