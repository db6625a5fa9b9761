/* SPDX-License-Identifier: MIT */
#include "helper/policy.h"

#include <string.h>

#include "base/util.h"

#define BASE_MODE 0755u

/* Characters that turn, hide or end the text around them: what is seen is not what is there. */
static bool is_deceptive(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0x0080, 0x009f },      /* control characters */
		{ 0x00ad, 0x00ad },      /* soft hyphen */
		{ 0x034f, 0x034f },      /* grapheme joiner */
		{ 0x061c, 0x061c },      /* direction */
		{ 0x115f, 0x1160 },      /* fillers */
		{ 0x17b4, 0x17b5 },      /* invisible vowels */
		{ 0x180b, 0x180f },      /* invisible selectors */
		{ 0x200b, 0x200f },      /* zero width, direction */
		{ 0x2028, 0x202e },      /* line ends, direction */
		{ 0x2060, 0x206f },      /* invisible operators, direction */
		{ 0x3164, 0x3164 },      /* filler */
		{ 0xd800, 0xf8ff },      /* surrogates, private use */
		{ 0xfdd0, 0xfdef },      /* what is no character */
		{ 0xfeff, 0xfeff },      /* byte order mark */
		{ 0xffa0, 0xffa0 },      /* filler */
		{ 0xfff0, 0xffff },      /* specials */
		{ 0x1bca0, 0x1bca3 },    /* invisible in shorthand */
		{ 0x1d173, 0x1d17a },    /* and in music */
		{ 0xe0000, 0xffffffff }, /* tags, private use, and what is no character */
	};

	/* Of each plane the last two are no characters, either. */
	if ((code & 0xfffe) == 0xfffe)
		return true;

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;

	return false;
}

/* Bytes of the UTF-8 character at text, or 0 when there is none. */
static size_t utf8_character(const unsigned char *text, size_t len, uint32_t *ret_code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
	uint32_t code;

	if (text[0] < 0xc2 || text[0] > 0xf4 || n > len)
		return 0;

	code = text[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fu);
	}
	if (code < smallest[n])
		return 0;

	*ret_code = code;
	return n;
}

static int check_characters(const char *path, size_t len, struct refusal *refusal)
{
	const unsigned char *at = (const unsigned char *)path, *end = at + len;

	while (at < end) {
		uint32_t code;
		size_t n;

		if (*at == '\\')
			return refuse(refusal, ERROR_INTEGRITY, "there is a backslash in its name");
		if (*at < 0x20 || *at == 0x7f)
			return refuse(refusal, ERROR_INTEGRITY,
				      "there is a control character in its name");
		if (*at < 0x80) {
			at++;
			continue;
		}

		n = utf8_character(at, (size_t)(end - at), &code);
		if (!n)
			return refuse(refusal, ERROR_INTEGRITY, "its name is not UTF-8");
		if (is_deceptive(code))
			return refuse(refusal, ERROR_INTEGRITY,
				      "there is an invisible character in its name (U+%04X)", code);
		at += n;
	}
	return 0;
}

static int check_component(const char *component, size_t len, struct refusal *refusal)
{
	if (len == 2 && memcmp(component, "..", 2) == 0)
		return refuse(refusal, ERROR_INTEGRITY, "its name leads upward (\"..\")");
	if (len == 0 || (len == 1 && component[0] == '.'))
		return refuse(refusal, ERROR_INTEGRITY,
			      "its name is not a plain path (\"//\" or \"/./\")");
	if (len > POLICY_COMPONENT_MAX)
		return refuse(refusal, ERROR_INTEGRITY,
			      "a part of its name is longer than %d bytes", POLICY_COMPONENT_MAX);

	return 0;
}

static int check_components(const char *path, size_t len, struct refusal *refusal)
{
	const char *end = path + len;
	int depth = 0;

	for (;;) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		int r = check_component(path, (size_t)((slash ? slash : end) - path), refusal);

		if (r < 0)
			return r;
		if (++depth > POLICY_DEPTH_MAX)
			return refuse(refusal, ERROR_INTEGRITY,
				      "it is more than %d directories deep", POLICY_DEPTH_MAX);
		if (!slash)
			return 0;
		path = slash + 1;
	}
}

static int check_path(const char *path, size_t len, struct refusal *refusal)
{
	int r;

	if (path[0] == '/')
		return refuse(refusal, ERROR_INTEGRITY, "its name is absolute");
	if (len > POLICY_PATH_MAX)
		return refuse(refusal, ERROR_INTEGRITY, "its name is longer than %d bytes",
			      POLICY_PATH_MAX);

	r = check_characters(path, len, refusal);
	if (r < 0)
		return r;
	return check_components(path, len, refusal);
}

int policy_path(const char *name, size_t len, enum entry_kind kind, const char **ret_path,
		size_t *ret_len, struct refusal *refusal)
{
	const char *path = name;
	size_t left = len;
	int r;

	if (!len)
		return refuse(refusal, ERROR_INTEGRITY,
			      "an entry of the archive has an empty name");

	if (left >= 2 && memcmp(path, "./", 2) == 0) {
		path += 2;
		left -= 2;
	}
	if (kind == ENTRY_DIR && left && path[left - 1] == '/')
		left--;
	if (kind == ENTRY_DIR && ((left == 1 && path[0] == '.') || (!left && path != name))) {
		*ret_path = path;
		*ret_len = 0;
		return 0;
	}

	/* "/" alone has no part left, and is still absolute. */
	r = check_path(left ? path : name, left ? left : len, refusal);
	if (r < 0)
		return refusal_name(refusal, name, len);

	*ret_path = path;
	*ret_len = left;
	return 0;
}

bool policy_plugin_name(const char *name)
{
	size_t len =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return len && len <= POLICY_NAME_MAX && !name[len] && name[0] != '.';
}

mode_t policy_mode(unsigned mode, enum entry_kind kind)
{
	return (mode & BASE_MODE) | (kind == ENTRY_DIR ? 0700u : 0600u);
}

int64_t policy_mtime(int64_t mtime, int64_t now)
{
	return MAX((int64_t)0, MIN(mtime, now));
}

static unsigned char fold(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

int policy_compare_folded(const char *a, size_t a_len, const char *b, size_t b_len)
{
	for (size_t i = 0; i < a_len && i < b_len; i++)
		if (fold(a[i]) != fold(b[i]))
			return fold(a[i]) < fold(b[i]) ? -1 : 1;

	return a_len < b_len ? -1 : a_len > b_len;
}
