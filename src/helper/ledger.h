/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What was unpacked: for each file its path, mode, size and SHA-256; for each
 * directory its path and mode. In memory while an archive is unpacked or a
 * plugin verified, on disk (the file `files` beside the tree) in between:
 *
 *	molecule-unpack files 1
 *	d 755 - - hooks
 *	f 644 1234 <64 hexadecimal digits> plugin.yaml
 *
 * one line an entry, sorted by the bytes of the path, which has no newline.
 *
 * Memory is bounded by the number of entries and by LEDGER_NAMES_MAX, whatever
 * the size of what is unpacked.
 */

#include <stddef.h>
#include <stdint.h>

#include "helper/policy.h"
#include "helper/sha256.h"

#define LEDGER_FILE "files"
#define LEDGER_NAMES_MAX ((size_t)2 << 20) /* all paths together: 20,000 of 100 bytes */

enum ledger_kind {
	LEDGER_IMPLIED, /* a directory that the archive has no entry for, yet */
	LEDGER_DIR,
	LEDGER_LINK, /* not made; keeps its name from being used */
	LEDGER_FILE_KIND,
};

struct ledger_entry {
	uint32_t path; /* offset into names */
	uint16_t path_len;
	uint16_t mode;
	uint8_t kind;  /* enum ledger_kind */
	uint8_t found; /* for whoever verifies */
	uint8_t sha256[SHA256_LEN];
	uint64_t size;
};

struct ledger {
	struct ledger_entry *entries; /* owned */
	size_t n_entries, capacity, max_entries;
	char *names; /* owned */
	size_t names_len, names_capacity;
};

void ledger_init(struct ledger *ledger, size_t max_entries);
void ledger_fini(struct ledger *ledger);

static inline const char *ledger_path(const struct ledger *ledger, const struct ledger_entry *entry)
{
	return ledger->names + entry->path;
}

/* Adds an entry; the pointer is good until the next one is added. */
int ledger_add(struct ledger *ledger, enum ledger_kind kind, const char *path, size_t len,
	       struct ledger_entry **ret, struct refusal *refusal);

/*
 * Refuses a path that is there twice, as two kinds, or again in another case;
 * only a directory may have been implied, too. Afterwards each path is there
 * once, links are not, and the entries are sorted as they are written.
 */
int ledger_settle(struct ledger *ledger, struct refusal *refusal);

/*
 * The digest that the platform's Python SDK makes of a plugin's files: SHA-256 of
 * json.dumps() of the sorted list of [path, sha256 in hex], without plugin.yaml.
 */
int ledger_manifest(const struct ledger *ledger, uint8_t digest[static SHA256_LEN],
		    struct error *err);

int ledger_write(const struct ledger *ledger, int fd, struct error *err);
int ledger_read(struct ledger *ledger, int fd, struct error *err);

/* By the bytes of their paths. */
int ledger_compare(const struct ledger *ledger, const struct ledger_entry *a,
		   const struct ledger_entry *b);

/* Of a settled ledger; NULL when it is not there. */
struct ledger_entry *ledger_find(const struct ledger *ledger, const char *path, size_t len);
