/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One gzip member from a pipe, inflated as it comes. Exactly one: what is behind
 * it, be it garbage or another member, is refused, for readers do not agree on
 * what it means. A stream that ends early, or with a wrong checksum, is refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zlib.h>

#include "helper/policy.h"

#define GUNZIP_INPUT 32768

struct gunzip {
	z_stream stream;
	const struct policy_limits *limits; /* borrowed */
	uint64_t packed, unpacked;
	int fd; /* borrowed */
	bool started, ended;
	unsigned char input[GUNZIP_INPUT];
};

void gunzip_init(struct gunzip *gunzip, int fd, const struct policy_limits *limits);
void gunzip_fini(struct gunzip *gunzip);

/*
 * Fills bytes; *ret_len is less than size only at the end of the member, which
 * has then been found to be whole and the last.
 */
int gunzip_fill(struct gunzip *gunzip, char *bytes, size_t size, size_t *ret_len,
		struct refusal *refusal);
