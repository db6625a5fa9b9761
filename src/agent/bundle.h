/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A bundle of secrets as it is kept: the members of one answer, as the JSON
 * text that they came in, sorted by key, in one block of secret memory. Serving
 * it is a copy, and comparing two is a walk down both.
 *
 * NULL is the bundle without secrets: most workspaces have none, and that needs
 * no memory. All functions take it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/jsontext.h"

struct bundle;

/* One secret, as JSON text that can be served as it stands. */
struct bundle_entry {
	struct json_text key;   /* a JSON string, in the bundle */
	struct json_text value; /* a JSON string, in the bundle */
};

/* -EBADMSG when the answer is no flat object of strings, or has a key twice; -ENOMEM. */
int bundle_new(struct json_text answer, struct bundle **ret);
void bundle_free(struct bundle *bundle); /* wipes */

/* {"KEY":"value",...} */
struct json_text bundle_text(const struct bundle *bundle);

size_t bundle_count(const struct bundle *bundle);
/* The i-th by the bytes of the keys, as JSON. */
struct bundle_entry bundle_entry(const struct bundle *bundle, size_t i);
/* key is decoded text with a NUL behind it. */
bool bundle_find(const struct bundle *bundle, const char *key, size_t len,
		 struct bundle_entry *ret);

/* The names of what differs, as a JSON array; nothing when nothing does. */
void bundle_compare(const struct bundle *was, const struct bundle *is, struct buffer *out);
