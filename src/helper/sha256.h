/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SHA-256 by libcrypto: by its low-level calls, which allocate nothing, open
 * nothing and cannot fail. Those that replace them bring up libcrypto's
 * providers first, which take a megabyte and a half and may read files.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif
#include <openssl/sha.h>

#define SHA256_LEN 32
#define SHA256_HEX_SIZE 65

struct sha256 {
	SHA256_CTX context;
};

void sha256_begin(struct sha256 *sha256);
void sha256_add(struct sha256 *sha256, const void *bytes, size_t len);
void sha256_end(struct sha256 *sha256, uint8_t digest[static SHA256_LEN]);

/* Returns dst. */
char *sha256_hex(char dst[static SHA256_HEX_SIZE], const uint8_t digest[static SHA256_LEN]);

/* 64 digits in lower case, as text, to bytes. */
bool sha256_parse(const char *hex, uint8_t digest[static SHA256_LEN]);
