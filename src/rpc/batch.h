/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A batch: its entries are served one a turn, as if each had been a request of
 * its own, and their answers leave together, as one array, when the last of
 * them is there. A batch of notifications is not answered at all.
 */

#include <stdbool.h>

#include "base/jsontext.h"
#include "base/list.h"
#include "rpc/caller.h"
#include "rpc/sink.h"

struct batch {
	struct list node; /* in the caller's */
	struct caller *caller;
	struct sink sink;
	struct buffer answers, late;
	struct json_iter rest; /* entries not yet served */
	unsigned n_open;       /* entries without an answer, and one while there is a rest */
	size_t text_len;
	char text[]; /* the request's copy, wiped */
};

/* Takes a JSON array. NULL when it was answered at once, with an error. */
struct batch *batch_new(struct caller *caller, struct json_text text);
/* For a connection that goes: answers nothing. */
void batch_free(struct batch *batch);

/* Serves the next entry; false when that was the last: the batch may be gone. */
bool batch_serve(struct batch *batch);
