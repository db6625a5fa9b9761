/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SHA-256 by libcrypto. Everything that it would open is opened by
 * sha256_prepare(), before the sandbox closes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SHA256_LEN 32
#define SHA256_HEX_SIZE 65

struct sha256; /* a digest on its way */

int sha256_prepare(struct error *err);

struct sha256 *sha256_new(void); /* NULL without memory */
void sha256_free(struct sha256 *sha256);
DEFINE_AUTO(struct sha256 *, sha256_free);

/* A digest begins with sha256_begin(), as often as one likes; false when libcrypto fails. */
bool sha256_begin(struct sha256 *sha256);
bool sha256_add(struct sha256 *sha256, const void *bytes, size_t len);
bool sha256_end(struct sha256 *sha256, uint8_t digest[static SHA256_LEN]);

/* Returns dst. */
char *sha256_hex(char dst[static SHA256_HEX_SIZE], const uint8_t digest[static SHA256_LEN]);

/* 64 digits in lower case, as text, to bytes. */
bool sha256_parse(const char *hex, uint8_t digest[static SHA256_LEN]);
