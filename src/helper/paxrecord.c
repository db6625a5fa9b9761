/* SPDX-License-Identifier: MIT */
#include "helper/paxrecord.h"

#include <string.h>

#include "base/util.h"

struct record {
	const char *key, *value;
	size_t key_len, value_len;
};

static int malformed(struct refusal *refusal)
{
	return refuse(refusal, ERROR_INTEGRITY,
		      "the archive is damaged: a pax header is malformed");
}

/* Digits only; false when it does not fit. */
static bool parse_decimal(const char *text, size_t len, uint64_t *ret)
{
	uint64_t value = 0;

	if (!len || len > 19)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}

	*ret = value;
	return true;
}

/* Takes one record off the front. */
static int next_record(const char **at, const char *end, struct record *record,
		       struct refusal *refusal)
{
	const char *space = memchr(*at, ' ', (size_t)(end - *at));
	const char *equals, *newline;
	uint64_t len;

	if (!space || !parse_decimal(*at, (size_t)(space - *at), &len))
		return malformed(refusal);
	if (len > (uint64_t)(end - *at) || len < (uint64_t)(space - *at) + 4)
		return malformed(refusal);

	newline = *at + len - 1;
	equals = memchr(space + 1, '=', (size_t)(newline - space - 1));
	if (*newline != '\n' || !equals || equals == space + 1)
		return malformed(refusal);

	record->key = space + 1;
	record->key_len = (size_t)(equals - record->key);
	record->value = equals + 1;
	record->value_len = (size_t)(newline - record->value);
	*at = newline + 1;
	return 0;
}

static bool is_key(const struct record *record, const char *key)
{
	return record->key_len == strlen(key) && memcmp(record->key, key, record->key_len) == 0;
}

static bool starts_with(const struct record *record, const char *start)
{
	return record->key_len >= strlen(start) && memcmp(record->key, start, strlen(start)) == 0;
}

static int take_path(const struct record *record, struct pax_records *records,
		     struct refusal *refusal)
{
	if (records->path)
		return refuse(refusal, ERROR_INTEGRITY,
			      "the archive names one entry twice, in one pax header");
	if (!record->value_len)
		return refuse(refusal, ERROR_INTEGRITY,
			      "an entry of the archive has an empty name");

	records->path = record->value;
	records->path_len = record->value_len;
	if (memchr(record->value, '\0', record->value_len)) {
		(void)refuse(refusal, ERROR_INTEGRITY, "there is a NUL in its name");
		return refusal_name(refusal, record->value, record->value_len);
	}
	return 0;
}

static int take_size(const struct record *record, struct pax_records *records,
		     struct refusal *refusal)
{
	if (records->has_size || !parse_decimal(record->value, record->value_len, &records->size))
		return refuse(refusal, ERROR_INTEGRITY,
			      "the archive is damaged: the size in a pax header is no number");

	records->has_size = true;
	return 0;
}

static int take_record(const struct record *record, struct pax_records *records,
		       struct refusal *refusal)
{
	if (is_key(record, "path"))
		return take_path(record, records, refusal);
	if (is_key(record, "size"))
		return take_size(record, records, refusal);
	/* Each gives the entry a content, and GNU's a name, that is not where it seems. */
	if (starts_with(record, "GNU.sparse.") || is_key(record, "SCHILY.realsize") ||
	    is_key(record, "SUN.holesdata"))
		return refuse(refusal, ERROR_INTEGRITY, "there is a sparse file in the archive");

	return 0;
}

int pax_records_parse(const char *bytes, size_t len, bool global, struct pax_records *records,
		      struct refusal *refusal)
{
	const char *at = bytes, *end = bytes + len;
	struct record record = { 0 };
	int r;

	while (at < end) {
		r = next_record(&at, end, &record, refusal);
		if (r < 0)
			return r;
		if (!global)
			r = take_record(&record, records, refusal);
		else if (!is_key(&record, "comment"))
			r = refuse(
				refusal, ERROR_INTEGRITY,
				"the archive has a pax header that changes all entries behind it");
		if (r < 0)
			return r;
	}
	return 0;
}
