/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A directory that only we fill: every name is resolved by the kernel beneath it
 * and through no symbolic link (helper/beneath.h), every file is new. What is made is entered in
 * the ledger.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helper/ledger.h"

#define TREE_DIR "tree"
#define TREE_MODE 0755 /* for whoever may pass to it */

struct tree {
	struct ledger *ledger; /* borrowed */
	int root;              /* owned */
	int parent;            /* owned; the directory of the last entry, or -1 */
	int file;              /* owned; the open one, or -1 */
	size_t parent_len;
	char parent_path[POLICY_PATH_MAX];
	uint64_t n_files, n_bytes;
	uint64_t size_max; /* of all files */
	uint64_t left;     /* bytes of the open file still to come */
	int64_t mtime;     /* of the open file */
	struct sha256 sha256;
};

/* Makes TREE_DIR in staging, which must not have one. */
int tree_init(struct tree *tree, int staging, struct ledger *ledger, uint64_t size_max,
	      struct error *err);
void tree_fini(struct tree *tree);

/* A path that policy_path() gave; what is above it is made as needed. */
int tree_add_dir(struct tree *tree, const char *path, size_t len, mode_t mode,
		 struct refusal *refusal);

struct tree_file {
	const char *path;
	size_t len;
	mode_t mode;
	uint64_t size;
	int64_t mtime;
};

/* All its bytes must follow before the next entry. */
int tree_add_file(struct tree *tree, const struct tree_file *file, struct refusal *refusal);
int tree_write(struct tree *tree, const void *bytes, size_t len, struct refusal *refusal);

static inline bool tree_is_between_files(const struct tree *tree)
{
	return tree->file < 0;
}
