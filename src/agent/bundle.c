/* SPDX-License-Identifier: MIT */
/*
 * Building a bundle from an answer, and reading it.
 */

#include "agent/bundle.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

struct bundle {
	uint32_t n_entries;
	uint32_t ends[]; /* in the text, which stands behind: of a key, its value, the next key, ...
			  */
};

static const char *text_of(const struct bundle *bundle)
{
	return (const char *)&bundle->ends[2 * bundle->n_entries];
}

/* Between two texts is one character. */
static struct json_text text_at(const struct bundle *bundle, size_t i)
{
	size_t begin = i ? bundle->ends[i - 1] + 1 : 1;

	return (struct json_text){ text_of(bundle) + begin, bundle->ends[i] - begin };
}

size_t bundle_count(const struct bundle *bundle)
{
	return bundle ? bundle->n_entries : 0;
}

struct bundle_entry bundle_entry(const struct bundle *bundle, size_t i)
{
	return (struct bundle_entry){ text_at(bundle, 2 * i), text_at(bundle, 2 * i + 1) };
}

struct json_text bundle_text(const struct bundle *bundle)
{
	if (!bundle)
		return (struct json_text){ "{}", 2 };

	return (struct json_text){ text_of(bundle), bundle->ends[2 * bundle->n_entries - 1] + 1 };
}

static int compare_entries(const void *a, const void *b)
{
	const struct bundle_entry *x = a, *y = b;
	int r = memcmp(x->key.at, y->key.at, MIN(x->key.len, y->key.len));

	if (r)
		return r;

	return x->key.len < y->key.len ? -1 : x->key.len > y->key.len;
}

/* How many members it has; -EBADMSG when it is no flat object of strings. */
static ssize_t count_members(struct json_text answer)
{
	struct json_iter iter = json_iter(answer);
	struct bundle_entry entry;
	ssize_t n = 0;

	if (json_text_kind(answer) != JSON_OBJECT)
		return -EBADMSG;

	for (; json_next_member(&iter, &entry.key, &entry.value); n++)
		if (json_text_kind(entry.value) != JSON_STRING)
			return -EBADMSG;

	return n;
}

static void sort_members(struct json_text answer, struct bundle_entry *entries, size_t n)
{
	struct json_iter iter = json_iter(answer);

	for (size_t i = 0; i < n; i++)
		(void)json_next_member(&iter, &entries[i].key, &entries[i].value);

	qsort(entries, n, sizeof(*entries), compare_entries);
}

/* A key that is there twice would have to be one or the other: such an answer is not believed. */
static bool are_unique(const struct bundle_entry *entries, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (compare_entries(&entries[i - 1], &entries[i]) == 0)
			return false;

	return true;
}

/* Copies one text to `at`, with what comes before it; returns its end. */
static uint32_t put(char *text, uint32_t at, char before, struct json_text what)
{
	text[at] = before;
	memcpy(text + at + 1, what.at, what.len);
	return at + 1 + (uint32_t)what.len;
}

static struct bundle *settle(const struct bundle_entry *entries, size_t n)
{
	struct bundle *bundle;
	size_t size = sizeof(*bundle) + 2 * n * sizeof(bundle->ends[0]) + 1;
	uint32_t end = 0;
	char *text;

	for (size_t i = 0; i < n; i++)
		size += entries[i].key.len + entries[i].value.len + 2;

	/* No answer is nearly as long. */
	bundle = size <= UINT32_MAX ? secret_alloc(size) : NULL;
	if (!bundle)
		return NULL;

	bundle->n_entries = (uint32_t)n;
	text = (char *)&bundle->ends[2 * n];
	for (size_t i = 0; i < n; i++) {
		bundle->ends[2 * i] = end = put(text, end, i ? ',' : '{', entries[i].key);
		bundle->ends[2 * i + 1] = end = put(text, end, ':', entries[i].value);
	}
	text[end] = '}';
	return bundle;
}

int bundle_new(struct json_text answer, struct bundle **ret)
{
	AUTO(free) struct bundle_entry *entries = NULL;
	ssize_t n = count_members(answer);
	struct bundle *bundle = NULL;

	if (n < 0)
		return (int)n;

	if (n) {
		entries = calloc((size_t)n, sizeof(*entries));
		if (!entries)
			return -ENOMEM;

		sort_members(answer, entries, (size_t)n);
		if (!are_unique(entries, (size_t)n))
			return -EBADMSG;

		bundle = settle(entries, (size_t)n);
		if (!bundle)
			return -ENOMEM;
	}

	*ret = bundle;
	return 0;
}

void bundle_free(struct bundle *bundle)
{
	secret_free(bundle);
}

bool bundle_find(const struct bundle *bundle, const char *key, size_t len, struct bundle_entry *ret)
{
	for (size_t i = 0; i < bundle_count(bundle); i++) {
		struct bundle_entry entry = bundle_entry(bundle, i);
		/* Most keys have no escapes, and compare as they stand. */
		bool escaped = memchr(entry.key.at, '\\', entry.key.len);

		if (escaped ? json_text_equals(entry.key, key)
			    : entry.key.len == len + 2 && memcmp(entry.key.at + 1, key, len) == 0) {
			*ret = entry;
			return true;
		}
	}

	return false;
}

static bool is_same(struct json_text a, struct json_text b)
{
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static void name_change(struct buffer *out, struct json_text key)
{
	(void)buffer_append_char(out, buffer_len(out) ? ',' : '[');
	(void)buffer_append(out, key.at, key.len);
}

void bundle_compare(const struct bundle *was, const struct bundle *is, struct buffer *out)
{
	size_t n_was = bundle_count(was), n_is = bundle_count(is), i = 0, j = 0;

	while (i < n_was && j < n_is) {
		struct bundle_entry before = bundle_entry(was, i), now = bundle_entry(is, j);
		int r = compare_entries(&before, &now);

		if (r < 0)
			name_change(out, before.key);
		else if (r > 0 || !is_same(before.value, now.value))
			name_change(out, now.key);
		i += r <= 0;
		j += r >= 0;
	}
	while (i < n_was)
		name_change(out, bundle_entry(was, i++).key);
	while (j < n_is)
		name_change(out, bundle_entry(is, j++).key);
	if (buffer_len(out))
		(void)buffer_append_char(out, ']');
}
