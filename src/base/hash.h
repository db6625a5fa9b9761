/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A hash for spreading what must be the same each time. It withstands nobody
 * who wants two texts to meet.
 */

#include <stdint.h>

#define HASH_BEGIN UINT64_C(14695981039346656037)

/* FNV-1a. What several texts make is their hashes in a row. */
static inline uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return hash;
}
