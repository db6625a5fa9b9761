/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who has how many of the lines to peers, and who may have another one.
 *
 * Two parties share each line: the peer that is called, and the caller, who is
 * a local user in a workspace. What one of them holds is limited by what is
 * left for all others: a peer gets another line while it has fewer than are
 * left, a caller while he has less than seven times as many. So who is alone may
 * have half of all, or seven eighths; the more is taken, the fewer one must have
 * to get more; and what is left last is for who has nothing.
 *
 * A trunk is all the lines of one caller to one peer; those that wait, wait
 * there in order, and the trunks take turns.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/parse.h"
#include "io/http.h"

enum party_kind {
	PARTY_PEER,
	PARTY_CALLER,
	PARTY_KIND_LAST = PARTY_CALLER,
};

struct party {
	struct list node;
	char id[UUID_LEN + 1]; /* of the peer, or of the caller's workspace */
	uid_t uid;             /* of the caller */
	unsigned n_trunks;
	unsigned n_open, n_waiting; /* lines */
	size_t bytes;               /* of their messages */
	struct http_party http;     /* of a peer, for who sends to it */
};

struct trunk {
	struct list node;
	struct party *parties[PARTY_KIND_LAST + 1]; /* each has as many trunks as point to it */
	struct list waiting;                        /* lines */
	unsigned n_lines;
};

struct trunks {
	struct list idle,
		waiting; /* waiting: those with a line that waits; whose turn is next first */
	struct list parties[PARTY_KIND_LAST + 1];
};

void trunks_init(struct trunks *trunks);

/* Made when there is none; NULL without memory. It lives while it has lines. */
struct trunk *trunk_get(struct trunks *trunks, const char *peer, const char *workspace, uid_t uid);
void trunk_put(struct trunk *trunk); /* when it has no lines; takes NULL */

/* Each line is added when it waits, opens, and is removed. */
void trunk_add(struct trunk *trunk, struct trunks *trunks, struct list *line, size_t bytes);
void trunk_open(struct trunk *trunk, struct trunks *trunks, struct list *line);
void trunk_remove(struct trunk *trunk, struct trunks *trunks, struct list *line, bool open,
		  size_t bytes);

/* What is left, of all there is, for everybody. */
struct trunk_left {
	uint64_t lines; /* open or waiting */
	uint64_t bytes;
};

enum trunk_verdict {
	TRUNK_FITS,
	TRUNK_HAS_LINES, /* as many as one party may */
	TRUNK_HAS_BYTES,
};

/* Whether each party may have one more line, with so many bytes; else which one may not. */
enum trunk_verdict trunk_judge(const struct trunk *trunk, const struct trunk_left *left,
			       size_t bytes, enum party_kind *ret_kind);

/* The trunk whose line is the next to open when so many may; NULL: none may, or waits. */
struct trunk *trunks_next(const struct trunks *trunks, uint64_t n_free);
