/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the fuzzers share. A fuzzer states what must hold for any bytes, and
 * aborts when it does not: libFuzzer and the replay both notice.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define REQUIRE(condition)                                                                \
	do {                                                                              \
		if (!(condition)) {                                                       \
			(void)fprintf(stderr, "%s:%d: REQUIRE(%s)\n", __FILE__, __LINE__, \
				      #condition);                                        \
			abort();                                                          \
		}                                                                         \
	} while (0)

/* A sentence for a person: all of it is text, and nothing acts on a terminal. */
static inline void require_shown(const char *text)
{
	size_t len = strlen(text), used;
	uint32_t c;

	for (; len; text += used, len -= used) {
		used = utf8_next(text, len, &c);
		REQUIRE(utf8_is_safe(c) && (used > 1 || c < 0x80));
	}
}

/* Numbers that depend on the input only, so that a finding can be replayed. */
static inline uint32_t fuzz_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static inline uint32_t fuzz_seed(const uint8_t *bytes, size_t len)
{
	uint32_t hash = 2166136261;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 16777619;

	return hash;
}
