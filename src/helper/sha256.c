/* SPDX-License-Identifier: MIT */
#include "helper/sha256.h"

#include <string.h>

void sha256_begin(struct sha256 *sha256)
{
	(void)SHA256_Init(&sha256->context);
}

void sha256_add(struct sha256 *sha256, const void *bytes, size_t len)
{
	(void)SHA256_Update(&sha256->context, bytes, len);
}

void sha256_end(struct sha256 *sha256, uint8_t digest[static SHA256_LEN])
{
	(void)SHA256_Final(digest, &sha256->context);
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
