/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The bytes of a tar archive on their way to libarchive, looked at as they pass.
 *
 * libarchive reads generously, as an archiver of everything should: it takes an
 * entry of unknown type for a file, the end of input for the end of the archive,
 * ends a name at a NUL, and rewrites names into another Unicode form. Two
 * readers that guess are two readers that can be told apart. So what is not
 * plainly one of ustar, pax or GNU tar ends here; names are taken from here, as
 * they are; and the reader compares what else it is told with what is found here.
 *
 * libarchive gets no byte beyond the header of an entry before it asks for that
 * entry's data, so both are at the same entry at any time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/util.h"
#include "helper/policy.h"

#define TAPE_BLOCK 512
#define TAPE_WINDOW (64 * 1024) /* a multiple of blocks */

/* A path of 1,024 bytes and a few attributes; libarchive would take a megabyte. */
#define TAPE_EXTENSION_MAX (32 * 1024)

/* Inflates into bytes; *ret_len is less than size only at the end. */
typedef int (*tape_fill_fn)(void *source, char *bytes, size_t size, size_t *ret_len,
			    struct refusal *refusal);

enum tape_state {
	TAPE_HEADER,    /* at a header */
	TAPE_EXTENSION, /* in the body of one that is about the next entry */
	TAPE_CONTENT,   /* in an entry's content */
	TAPE_END_MARK,  /* behind the first of two empty blocks */
	TAPE_ENDED,     /* behind the second: only padding may follow */
};

struct tape_entry {
	enum entry_kind kind;
	const char *name; /* into the tape; as it came, not judged */
	size_t name_len;
	uint64_t size;
	unsigned mode; /* whatever bits it has */
};

struct tape {
	tape_fill_fn fill;
	void *source;      /* borrowed */
	uint64_t size_max; /* of an entry */
	enum tape_state state;
	uint64_t n_entries;
	uint64_t left; /* of the body or content, padding included */
	size_t at, len;
	bool at_front, exhausted;

	/* What extensions said of the entry to come. */
	char extension_type; /* of the one that is being read */
	size_t extension_size;
	size_t extension_len; /* how much of it is here; 0 once it is done with */
	bool extended, long_link;
	uint64_t extended_size;
	bool has_extended_size;
	const char *long_name; /* into extension */
	size_t long_name_len;

	struct tape_entry entry;        /* the last whose header has passed */
	char short_name[155 + 1 + 100]; /* prefix, slash, name */
	char extension[TAPE_EXTENSION_MAX];
	char window[TAPE_WINDOW];
};

/* NULL without memory. */
struct tape *tape_new(tape_fill_fn fill, void *source, uint64_t size_max);
void tape_free(struct tape *tape);
DEFINE_AUTO(struct tape *, tape_free);

/* The next piece, good until the next call; *ret_len is 0 at the end of input, which is refused. */
int tape_next(struct tape *tape, const void **ret_bytes, size_t *ret_len, struct refusal *refusal);

/* After the archive's end: reads to the end of input, which must be all zeros. */
int tape_finish(struct tape *tape, struct refusal *refusal);
