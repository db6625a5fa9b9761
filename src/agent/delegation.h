/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A task that was handed to somebody else: what is known of it, here and in the
 * journal. The task itself is not: it is read when it is to be sent.
 */

#include <stdint.h>

#include "base/parse.h"
#include "platform/delegate.h"

struct delegation {
	char id[UUID_LEN + 1]; /* ours: it has one before the platform knows of it */
	char to[UUID_LEN + 1];
	char *workspace;   /* owned; whose it is, where that is not plain; else NULL */
	char *key;         /* owned; by which the platform knows it when it comes again */
	char *platform_id; /* owned; NULL: the platform has not said yet */
	enum delegate_status status;
	int64_t created_wall_ms, updated_wall_ms;
	char *preview, *error; /* owned, or NULL */
};

/* dst is uninitialised. 0, or -ENOMEM with nothing in dst. */
int delegation_copy(struct delegation *dst, const struct delegation *src);
void delegation_fini(struct delegation *delegation); /* takes one that is zeroed */

struct delegations {
	struct delegation *rows; /* owned */
	size_t n;
};

void delegations_fini(struct delegations *delegations);
