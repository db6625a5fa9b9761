/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a plugin's archive may contain: names, modes, times, sizes. It only
 * judges; it opens nothing.
 *
 * A name is taken as it will be on disk or not at all: nothing is cut, joined or
 * put right, but for one "./" in front and one slash behind a directory. What a
 * terminal, a shell or another file system could read as something else is not
 * taken: control characters, backslashes, bytes that are not UTF-8, characters
 * that turn or hide the text around them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "helper/refusal.h"

#define POLICY_PATH_MAX 1024     /* bytes of an entry's path */
#define POLICY_COMPONENT_MAX 255 /* what Linux file systems can name */
#define POLICY_DEPTH_MAX 32      /* components of a path; real plugins have five */
#define POLICY_NAME_MAX 64       /* bytes of a plugin's name */

/* Defaults; the caller may give others. */
#define POLICY_PACKED_MAX (UINT64_C(100) << 20) /* what the platform packs at most */
#define POLICY_UNPACKED_MAX (UINT64_C(512) << 20)
#define POLICY_FILES_MAX 20000 /* entries, and directories they imply */
#define POLICY_RATIO_MAX 200   /* text deflates to a tenth, zeros to a thousandth */

/* Below this many bytes unpacked no ratio is too high: so much harms nobody. */
#define POLICY_RATIO_FLOOR (UINT64_C(8) << 20)

struct policy_limits {
	uint64_t packed, unpacked, files, ratio;
};

enum entry_kind {
	ENTRY_FILE,
	ENTRY_DIR,
	ENTRY_LINK, /* symbolic: not made, but its name is taken */
};

/*
 * The path that an entry's name stands for, below the plugin's directory; it is
 * a part of name. Empty for the directory itself ("." or "./").
 */
int policy_path(const char *name, size_t len, enum entry_kind kind, const char **ret_path,
		size_t *ret_len, struct refusal *refusal);

/* [A-Za-z0-9._-]{1,64}, no dot in front: a name that is safe as a directory's. */
bool policy_plugin_name(const char *name);

/*
 * No set-user-id, set-group-id, sticky bit, nor writing by others; the owner can
 * always read, write and enter: what cannot be read cannot be verified.
 */
mode_t policy_mode(unsigned mode, enum entry_kind kind);

/* Neither before 1970 nor after now. */
int64_t policy_mtime(int64_t mtime, int64_t now);

/* Whether two paths differ in case only, or not at all: ASCII letters, so that no locale decides.
 */
int policy_compare_folded(const char *a, size_t a_len, const char *b, size_t b_len);
