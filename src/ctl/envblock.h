/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Shell assignments, read without a shell: what a person pastes from a
 * platform's page, and what a shell may be given to source. Reading knows
 * quotes, backslashes, comments, "export" and several assignments on a line; it
 * expands nothing and runs nothing. Lines that are something else are passed
 * over.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/jsontext.h"

#define ENV_NAME_MAX 63 /* longer names are none of ours */

struct envblock {
	const char *at, *end;
	unsigned line;
	bool in_line; /* an assignment of this line was read */
};

struct assignment {
	char name[ENV_NAME_MAX + 1];
	unsigned line;
	const char *why; /* why the value cannot be taken as it is; NULL: it can */
};

struct envblock envblock(const char *text, size_t len);

/* The next assignment; value is reset and gets its value. false: there is none. */
bool envblock_next(struct envblock *block, struct assignment *ret, struct buffer *value);

/* Whether a shell takes it for a variable's name. */
bool env_is_name(const char *name, size_t len);

/*
 * Appends NAME='value' and a newline, which any POSIX shell reads back as it
 * was, whatever is in it. -EINVAL: no name; -EILSEQ: a NUL, which no shell can hold.
 */
int env_write(struct buffer *out, const char *name, size_t name_len, const char *value, size_t len);
