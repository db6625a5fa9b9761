/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What can be set, as data: a table of settings says for each its name, where
 * it lives in a struct, what it may be, what it is when nobody says anything,
 * and what it is for. Reading, writing, copying, comparing and freeing such a
 * struct, and what the manual has to mention, all follow from the table.
 *
 * The struct that a table describes begins as all zero bytes. Texts and lists
 * in it are owned by it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define SETTING_TEXT_MAX \
	4096 /* a path; settings whose text goes over lines have limits of their own */

enum setting_type {
	SETTING_BOOL,     /* bool */
	SETTING_COUNT,    /* uint32_t */
	SETTING_SIZE,     /* uint64_t, bytes */
	SETTING_DURATION, /* int64_t, milliseconds */
	SETTING_CHOICE,   /* an enum: the index of one of the choices */
	SETTING_UUID,     /* char[UUID_LEN + 1], empty when unset */
	SETTING_TEXT,     /* char *, or NULL when unset */
	SETTING_LIST,     /* char **, ended by NULL, or NULL when unset; blanks between the items */
};

enum setting_flags {
	SETTING_ZERO = 1 << 0,    /* 0 may be said too, though min is larger */
	SETTING_LINES = 1 << 1,   /* the text may have line ends inside */
	SETTING_OWN = 1 << 2,     /* belongs to one object, is no default for many */
	SETTING_RESTART = 1 << 3, /* a change has no effect before a restart */
};

/*
 * Checks a text (or one item of a list) and gives the form in which it is kept,
 * allocated. The sentence of an error says what to write instead; it does not
 * repeat the text, which might be a secret in the wrong place.
 */
typedef int (*setting_check_fn)(const char *text, char **ret, struct error *err);

struct setting {
	const char *name;
	size_t offset;
	enum setting_type type;
	unsigned flags;
	int64_t min, max;           /* counts, sizes, durations */
	const char *const *choices; /* ended by NULL */
	setting_check_fn check;     /* texts, lists; NULL: anything */
	const char *initial;        /* as it would be written; NULL: unset */
	const char *help;           /* one line */
};

struct setting_table {
	const struct setting *settings;
	size_t n_settings;
};

#define setting_for_each(pos, table)                        \
	for (const struct setting *pos = (table)->settings; \
	     pos < (table)->settings + (table)->n_settings; pos++)

/* Reads a text; an empty one resets. ERROR_INVALID_PARAMS names the setting. */
int setting_set(const struct setting *setting, void *object, const char *text, struct error *err);
/* Back to what it is when nobody says anything. */
int setting_reset(const struct setting *setting, void *object, struct error *err);
/* Appends what setting_set() would read back as the same; nothing when unset. */
int setting_print(const struct setting *setting, const void *object, struct buffer *out);
bool setting_equal(const struct setting *setting, const void *a, const void *b);
/* dst is unset or holds something else, which is freed. On failure it is as it was. */
int setting_copy(const struct setting *setting, void *dst, const void *src);
void setting_clear(const struct setting *setting, void *object);

/* All of a table. */
int settings_reset(const struct setting_table *table, void *object, struct error *err);
bool settings_equal(const struct setting_table *table, const void *a, const void *b);
int settings_copy(const struct setting_table *table, void *dst, const void *src);
void settings_clear(const struct setting_table *table, void *object);

const struct setting *setting_find(const struct setting_table *table, const char *name);
/* The one whose name a person most likely meant; NULL when none is near. */
const struct setting *setting_nearest(const struct setting_table *table, const char *name);
