/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 by hand: the C library's functions know what the locale knows, and text
 * from elsewhere does not care for our locale.
 */

#include "base/utf8.h"

#define REPLACEMENT 0xfffdu

/* Bytes that follow the first one; 0 for ASCII and for what begins nothing. */
static size_t utf8_follow(unsigned char first)
{
	if (first >= 0xc2 && first <= 0xdf)
		return 1;
	if (first >= 0xe0 && first <= 0xef)
		return 2;
	if (first >= 0xf0 && first <= 0xf4)
		return 3;

	return 0;
}

size_t utf8_next(const char *text, size_t len, uint32_t *ret_char)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)text[0];
	size_t follow = utf8_follow(first);
	uint32_t c;

	*ret_char = first < 0x80 ? first : REPLACEMENT;
	if (!follow || follow >= len)
		return 1;

	c = first & (0x3fu >> follow);
	for (size_t i = 1; i <= follow; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 1;
		c = c << 6 | ((unsigned char)text[i] & 0x3f);
	}

	if (c < least[follow] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 1;

	*ret_char = c;
	return follow + 1;
}

bool utf8_is_safe(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
		return false;

	/* Marks and overrides of direction; line and paragraph separators; the byte order mark. */
	if (c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || c == 0x061c || c == 0xfeff)
		return false;

	return true;
}
