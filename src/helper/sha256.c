/* SPDX-License-Identifier: MIT */
#include "helper/sha256.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

struct sha256 {
	EVP_MD_CTX *context;
};

static EVP_MD *algorithm;

int sha256_prepare(struct error *err)
{
	/* The host's configuration of libcrypto could make it load modules. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) == 1)
		algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!algorithm)
		return error_set(err, ERROR_INTERNAL, ENOTSUP, "libcrypto offers no SHA-256");

	return 0;
}

struct sha256 *sha256_new(void)
{
	struct sha256 *sha256 = calloc(1, sizeof(*sha256));

	if (!sha256)
		return NULL;

	sha256->context = EVP_MD_CTX_new();
	if (!sha256->context) {
		free(sha256);
		return NULL;
	}
	return sha256;
}

void sha256_free(struct sha256 *sha256)
{
	if (!sha256)
		return;

	EVP_MD_CTX_free(sha256->context);
	free(sha256);
}

bool sha256_begin(struct sha256 *sha256)
{
	return algorithm && EVP_DigestInit_ex(sha256->context, algorithm, NULL) == 1;
}

bool sha256_add(struct sha256 *sha256, const void *bytes, size_t len)
{
	return EVP_DigestUpdate(sha256->context, bytes, len) == 1;
}

bool sha256_end(struct sha256 *sha256, uint8_t digest[static SHA256_LEN])
{
	return EVP_DigestFinal_ex(sha256->context, digest, NULL) == 1;
}

char *sha256_hex(char dst[static SHA256_HEX_SIZE], const uint8_t digest[static SHA256_LEN])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_LEN; i++) {
		dst[2 * i] = digits[digest[i] >> 4];
		dst[2 * i + 1] = digits[digest[i] & 15];
	}
	dst[2 * SHA256_LEN] = '\0';
	return dst;
}

bool sha256_parse(const char *hex, uint8_t digest[static SHA256_LEN])
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(hex) != 2 * SHA256_LEN)
		return false;
	for (size_t i = 0; i < SHA256_LEN; i++) {
		const char *high = strchr(digits, hex[2 * i]);
		const char *low = strchr(digits, hex[2 * i + 1]);

		if (!high || !low)
			return false;
		digest[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	return true;
}
