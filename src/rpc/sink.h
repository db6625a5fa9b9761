/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where the answer of a call goes: straight into its connection's output, or
 * into the array that a batch is answered with.
 */

#include <stddef.h>

#include "base/buffer.h"

struct sink {
	struct buffer *out; /* borrowed */
	size_t max;         /* what may wait in out; its limit is a little above, for errors */
	size_t high; /* an answer for which there was this much room left is itself too large */
	struct buffer *late; /* what follows the answer: kept here until it is out; or NULL */

	/* A call has ended; its answer, if one was due, begins at start. May free the sink. */
	void (*on_answer)(struct sink *sink, size_t start);
	/* An answer did not fit, since nobody reads those before it. */
	void (*on_overflow)(struct sink *sink);
};
