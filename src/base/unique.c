/* SPDX-License-Identifier: MIT */
/*
 * Random names.
 */

#include "base/unique.h"

#include <errno.h>
#include <sys/random.h>

#include "base/util.h"

#define RANDOM_LEN 16

/* At most 256 bytes: so few come whole, or not at all. */
static int draw(uint8_t *bytes, size_t len)
{
	ssize_t n;

	do
		n = getrandom(bytes, len, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	return (size_t)n == len ? 0 : -EIO;
}

/* Returns the end, where a NUL is. */
static char *write_hex(char *dst, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*dst++ = digits[bytes[i] >> 4];
		*dst++ = digits[bytes[i] & 15];
	}
	*dst = '\0';
	return dst;
}

int unique_key(char dst[static UNIQUE_KEY_LEN + 1])
{
	uint8_t bytes[RANDOM_LEN];
	int r;

	r = draw(bytes, sizeof(bytes));
	if (r < 0)
		return r;

	(void)write_hex(dst, bytes, RANDOM_LEN);
	return 0;
}

static void write_uuid(char dst[static UUID_LEN + 1], uint8_t bytes[static RANDOM_LEN])
{
	static const uint8_t ends[] = { 4, 6, 8, 10, RANDOM_LEN };
	size_t from = 0;

	/* RFC 9562: the version, and the variant in the two highest bits. */
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		dst = write_hex(dst, bytes + from, ends[i] - from);
		from = ends[i];
		if (from < RANDOM_LEN)
			*dst++ = '-';
	}
}

int unique_uuid(char dst[static UUID_LEN + 1])
{
	uint8_t bytes[RANDOM_LEN];
	int r;

	r = draw(bytes, sizeof(bytes));
	if (r < 0)
		return r;

	write_uuid(dst, bytes);
	return 0;
}

int unique_uuids(char first[static UUID_LEN + 1], char second[static UUID_LEN + 1])
{
	uint8_t bytes[2 * RANDOM_LEN];
	int r;

	r = draw(bytes, sizeof(bytes));
	if (r < 0)
		return r;

	write_uuid(first, bytes);
	write_uuid(second, bytes + RANDOM_LEN);
	return 0;
}
