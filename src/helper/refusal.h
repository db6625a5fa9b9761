/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Why an archive is not taken: an error, and the entry that it is about, as
 * something that is safe to show. Whoever finds the reason gives the reason;
 * whoever knows the entry's name puts it in front.
 */

#include <stddef.h>

#include "base/error.h"
#include "base/util.h"

#define REFUSAL_ENTRY_MAX 200 /* what is longer is cut: it is for a person */

struct refusal {
	struct error err;
	char entry[REFUSAL_ENTRY_MAX];
};

/* Returns -EBADMSG, so that a function can end with `return refuse(...)`. %m is errno's text. */
int refuse(struct refusal *refusal, enum error_kind kind, const char *format, ...) PRINTF(3, 4);

/* Puts the entry's name before the reason, once; returns -EBADMSG. */
int refusal_name(struct refusal *refusal, const char *name, size_t len);

#ifdef __clang_analyzer__
/* It sees one file at a time, and would think that these might be 0. */
#define refuse(...) ((refuse)(__VA_ARGS__), -1)
#define refusal_name(...) ((refusal_name)(__VA_ARGS__), -1)
#endif
