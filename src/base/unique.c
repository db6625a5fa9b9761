/* SPDX-License-Identifier: MIT */
/*
 * Random names.
 */

#include "base/unique.h"

#include <errno.h>
#include <sys/random.h>

#include "base/util.h"

#define RANDOM_LEN 16

static int draw(uint8_t bytes[static RANDOM_LEN])
{
	ssize_t n;

	/* So few come whole, or not at all. */
	do
		n = getrandom(bytes, RANDOM_LEN, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	return n == RANDOM_LEN ? 0 : -EIO;
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

	r = draw(bytes);
	if (r < 0)
		return r;

	(void)write_hex(dst, bytes, RANDOM_LEN);
	return 0;
}

int unique_uuid(char dst[static UUID_LEN + 1])
{
	static const uint8_t ends[] = { 4, 6, 8, 10, RANDOM_LEN };
	uint8_t bytes[RANDOM_LEN];
	size_t from = 0;
	int r;

	r = draw(bytes);
	if (r < 0)
		return r;

	/* RFC 9562: the version, and the variant in the two highest bits. */
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		dst = write_hex(dst, bytes + from, ends[i] - from);
		from = ends[i];
		if (from < RANDOM_LEN)
			*dst++ = '-';
	}
	return 0;
}
