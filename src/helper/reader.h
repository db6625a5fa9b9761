/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reads a tar archive with libarchive and tells what is in it, entry by entry.
 * It writes nothing: it is the part that meets hostile bytes, and runs where
 * nothing can be reached (helper/sandbox.h).
 */

#include <stddef.h>
#include <stdint.h>

#include "helper/pluginfile.h"
#include "helper/tape.h"

struct reader_entry {
	enum entry_kind kind;
	const char *name; /* as it came; good during the callback */
	size_t name_len;
	uint64_t size;
	int64_t mtime;
	unsigned mode;
};

/* Each returns 0, or -EBADMSG with the refusal filled, which ends the reading. */
struct reader_sink {
	int (*on_entry)(struct reader_sink *sink, const struct reader_entry *entry,
			struct refusal *refusal);
	/* All of a file's bytes, in order, before the next entry. */
	int (*on_data)(struct reader_sink *sink, const void *bytes, size_t len,
		       struct refusal *refusal);
	/* Once, after the last entry, when there is a plugin.yaml. */
	int (*on_plugin)(struct reader_sink *sink, const struct pluginfile *file,
			 struct refusal *refusal);
};

/* size_max: of one entry's content. */
int reader_run(tape_fill_fn fill, void *source, uint64_t size_max, struct reader_sink *sink,
	       struct refusal *refusal);
