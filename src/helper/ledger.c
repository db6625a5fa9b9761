/* SPDX-License-Identifier: MIT */
#include "helper/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define ENTRIES_AT_FIRST 256
#define NAMES_AT_FIRST 16384

void ledger_init(struct ledger *ledger, size_t max_entries)
{
	*ledger = (struct ledger){ .max_entries = max_entries };
}

void ledger_fini(struct ledger *ledger)
{
	free(ledger->entries);
	free(ledger->names);
	*ledger = (struct ledger){ 0 };
}

static int grow(void **array, size_t *capacity, size_t wanted, size_t at_first, size_t size)
{
	size_t larger = *capacity ? *capacity : at_first;
	void *moved;

	if (wanted <= *capacity)
		return 0;
	while (larger < wanted)
		larger += larger / 2;
	moved = reallocarray(*array, larger, size);
	if (!moved)
		return -ENOMEM;

	*array = moved;
	*capacity = larger;
	return 0;
}

static int make_room(struct ledger *ledger, size_t len)
{
	void *entries = ledger->entries, *names = ledger->names;
	int r;

	r = grow(&entries, &ledger->capacity, ledger->n_entries + 1, ENTRIES_AT_FIRST,
		 sizeof(*ledger->entries));
	if (r == 0)
		r = grow(&names, &ledger->names_capacity, ledger->names_len + len, NAMES_AT_FIRST,
			 1);
	ledger->entries = entries;
	ledger->names = names;
	return r;
}

int ledger_add(struct ledger *ledger, enum ledger_kind kind, const char *path, size_t len,
	       struct ledger_entry **ret, struct refusal *refusal)
{
	struct ledger_entry *entry;

	if (ledger->n_entries == ledger->max_entries)
		return refuse(refusal, ERROR_TOO_LARGE,
			      "there are more than %zu files and directories", ledger->max_entries);
	if (len > LEDGER_NAMES_MAX - ledger->names_len)
		return refuse(refusal, ERROR_TOO_LARGE,
			      "the names of all files are longer than %zu bytes", LEDGER_NAMES_MAX);
	if (make_room(ledger, len) < 0)
		return refuse(refusal, ERROR_INTERNAL, "no memory to list the files");

	entry = &ledger->entries[ledger->n_entries++];
	*entry = (struct ledger_entry){
		.path = (uint32_t)ledger->names_len,
		.path_len = (uint16_t)len,
		.kind = (uint8_t)kind,
	};
	memcpy(ledger->names + ledger->names_len, path, len);
	ledger->names_len += len;
	*ret = entry;
	return 0;
}

static int compare_paths(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r = memcmp(a, b, MIN(a_len, b_len));

	return r ? r : (a_len > b_len) - (a_len < b_len);
}

int ledger_compare(const struct ledger *ledger, const struct ledger_entry *a,
		   const struct ledger_entry *b)
{
	return compare_paths(ledger_path(ledger, a), a->path_len, ledger_path(ledger, b),
			     b->path_len);
}

static int by_path(const void *a, const void *b, void *context)
{
	return ledger_compare(context, a, b);
}

/* What is the same but for case comes together; what is wholly the same, too, implied ones first.
 */
static int by_folded_path(const void *a, const void *b, void *context)
{
	const struct ledger *ledger = context;
	const struct ledger_entry *x = a, *y = b;
	int r;

	r = policy_compare_folded(ledger_path(ledger, x), x->path_len, ledger_path(ledger, y),
				  y->path_len);
	if (r == 0)
		r = ledger_compare(ledger, x, y);
	return r ? r : x->kind - y->kind;
}

static int refuse_pair(const struct ledger *ledger, const struct ledger_entry *first,
		       const struct ledger_entry *second, struct refusal *refusal)
{
	char other[REFUSAL_ENTRY_MAX];

	if (ledger_compare(ledger, first, second) != 0)
		(void)refuse(refusal, ERROR_INTEGRITY, "it differs from %s in case only",
			     error_quote(other, sizeof(other), ledger_path(ledger, first),
					 first->path_len));
	else if (first->kind == second->kind)
		(void)refuse(refusal, ERROR_INTEGRITY, "it is there twice");
	else
		(void)refuse(refusal, ERROR_INTEGRITY, "it is there as two different things");

	return refusal_name(refusal, ledger_path(ledger, second), second->path_len);
}

static int check_twins(const struct ledger *ledger, struct refusal *refusal)
{
	for (size_t i = 1; i < ledger->n_entries; i++) {
		const struct ledger_entry *first = &ledger->entries[i - 1];
		const struct ledger_entry *second = &ledger->entries[i];
		bool same;

		if (policy_compare_folded(ledger_path(ledger, first), first->path_len,
					  ledger_path(ledger, second), second->path_len) != 0)
			continue;

		same = ledger_compare(ledger, first, second) == 0;
		if (!same || first->kind != LEDGER_IMPLIED || second->kind != LEDGER_DIR)
			return refuse_pair(ledger, first, second, refusal);
	}
	return 0;
}

/* Sorted by now, implied ones first: of two the second says more. */
static void drop_superseded(struct ledger *ledger)
{
	size_t n = 0;

	for (size_t i = 0; i < ledger->n_entries; i++) {
		const struct ledger_entry *entry = &ledger->entries[i];
		bool again =
			i + 1 < ledger->n_entries && ledger_compare(ledger, entry, entry + 1) == 0;

		if (again || entry->kind == LEDGER_LINK)
			continue;
		ledger->entries[n++] = *entry;
	}
	ledger->n_entries = n;
}

int ledger_settle(struct ledger *ledger, struct refusal *refusal)
{
	size_t size = sizeof(*ledger->entries);
	int r;

	if (!ledger->n_entries)
		return 0;

	qsort_r(ledger->entries, ledger->n_entries, size, by_folded_path, ledger);
	r = check_twins(ledger, refusal);
	if (r < 0)
		return r;

	drop_superseded(ledger);
	if (ledger->n_entries)
		qsort_r(ledger->entries, ledger->n_entries, size, by_path, ledger);
	return 0;
}

struct ledger_entry *ledger_find(const struct ledger *ledger, const char *path, size_t len)
{
	size_t low = 0, high = ledger->n_entries;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct ledger_entry *entry = &ledger->entries[middle];
		int r = compare_paths(path, len, ledger_path(ledger, entry), entry->path_len);

		if (r == 0)
			return entry;
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
