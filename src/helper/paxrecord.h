/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The records of a pax header ("30 path=a/long/name\n"): what they say of an
 * entry's name and size. What else they may say is nothing to us, but for what
 * would make an entry something else: that is refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helper/refusal.h"

struct pax_records {
	const char *path; /* into the bytes; NULL when there is none */
	size_t path_len;
	bool has_size;
	uint64_t size;
};

/* global: for all entries that follow; those may have comments only. */
int pax_records_parse(const char *bytes, size_t len, bool global, struct pax_records *records,
		      struct refusal *refusal);
