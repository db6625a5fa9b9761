/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "helper/policy.h"
#include "lib/test.h"

/* The path that a name stands for, or NULL. */
static const char *path_of(const char *name, enum entry_kind kind)
{
	static char path[POLICY_PATH_MAX + 1];
	struct refusal refusal = { 0 };
	const char *at;
	size_t len;

	if (policy_path(name, strlen(name), kind, &at, &len, &refusal) < 0) {
		CHECK(refusal.err.kind == ERROR_INTEGRITY && refusal.err.text[0]);
		return NULL;
	}
	CHECK(at >= name && at + len <= name + strlen(name));
	memcpy(path, at, len);
	path[len] = '\0';
	return path;
}

TEST(takes_a_plain_path_as_it_is)
{
	static const char *const good[] = {
		"plugin.yaml",
		"a/b/c",
		".github/workflows/ci.yml",
		"...",
		"..a/b..",
		" a ",
		"-rf",
		"~",
		"$HOME",
		"a\"b'c`",
		"caf\xc3\xa9",
		"\xe4\xb8\xad\xe6\x96\x87/\xf0\x9f\x98\x80",
		"\xe2\x9d\xa4\xef\xb8\x8f",
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK_TEXT(path_of(good[i], ENTRY_FILE), good[i]);
}

TEST(takes_off_a_dot_in_front_and_a_slash_behind_a_directory)
{
	CHECK_TEXT(path_of("./a", ENTRY_FILE), "a");
	CHECK_TEXT(path_of("./a/", ENTRY_DIR), "a");
	CHECK_TEXT(path_of("a/b/", ENTRY_DIR), "a/b");
	CHECK(!path_of("a/", ENTRY_FILE));
	CHECK(!path_of("a/", ENTRY_LINK));
	CHECK(!path_of("a//", ENTRY_DIR));
	CHECK(!path_of("././a", ENTRY_FILE));
}

TEST(knows_the_plugins_own_directory)
{
	CHECK_TEXT(path_of(".", ENTRY_DIR), "");
	CHECK_TEXT(path_of("./", ENTRY_DIR), "");
	CHECK(!path_of(".", ENTRY_FILE));
	CHECK(!path_of("./", ENTRY_FILE));
	CHECK(!path_of("./.", ENTRY_LINK));
}

TEST(refuses_what_leads_elsewhere_or_is_no_path)
{
	static const char *const bad[] = {
		"",     "/",      "//",   "/etc/passwd", ".//etc", "..",   "../a",
		"a/..", "a/../b", "a//b", "a/./b",       "a/.",    "./..", "./../a",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		for (enum entry_kind kind = ENTRY_FILE; kind <= ENTRY_LINK; kind++)
			if (kind != ENTRY_DIR || strcmp(bad[i], ".//") != 0)
				CHECK(!path_of(bad[i], kind));
}

TEST(refuses_what_cannot_be_seen)
{
	static const char *const bad[] = {
		"a\tb",
		"a\nb",
		"\x1b[2J",
		"a\x7f",
		"a\\b",
		"\xc2\x80",
		"\xc2\x9f",
		"\xc2\xad",
		"\xe2\x80\x8b",
		"\xe2\x80\xae",
		"\xe2\x81\xa0",
		"\xef\xbb\xbf"
		"a",
		"\xee\x80\x80",
		"\xf3\xa0\x80\x81",
		"\xef\xb7\x90",
		"\xf0\x9b\xb2\xa0",
		"\xf0\x9d\x85\xb3",
		"\xf0\x9f\xbf\xbf",
		"\xff",
		"\x80",
		"\xc3",
		"\xc0\xaf",
		"\xe0\x80\xaf",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80",
		"\xe4\xb8",
		"\xf0\x9f\x98",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!path_of(bad[i], ENTRY_FILE));
}

TEST(every_limit_is_exact)
{
	char name[POLICY_PATH_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[POLICY_COMPONENT_MAX] = '\0';
	CHECK(path_of(name, ENTRY_FILE));
	name[POLICY_COMPONENT_MAX] = 'n';
	name[POLICY_COMPONENT_MAX + 1] = '\0';
	CHECK(!path_of(name, ENTRY_FILE));

	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 200 == 199 ? '/' : 'n';
	name[POLICY_PATH_MAX] = '\0';
	CHECK(path_of(name, ENTRY_FILE));
	name[POLICY_PATH_MAX] = 'n';
	name[POLICY_PATH_MAX + 1] = '\0';
	CHECK(!path_of(name, ENTRY_FILE));

	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 ? '/' : 'd';
	name[2 * POLICY_DEPTH_MAX - 1] = '\0';
	CHECK(path_of(name, ENTRY_FILE));
	name[2 * POLICY_DEPTH_MAX - 1] = '/';
	name[2 * POLICY_DEPTH_MAX + 1] = '\0';
	CHECK(!path_of(name, ENTRY_FILE));
}

TEST(a_refusal_shows_the_name_escaped)
{
	struct refusal refusal = { 0 };
	const char *path;
	size_t len;

	CHECK(policy_path("a\nb", 3, ENTRY_FILE, &path, &len, &refusal) < 0);
	CHECK_TEXT(refusal.entry, "a\\x0ab");
	CHECK_TEXT(refusal.err.text, "a\\x0ab: there is a control character in its name");
}

TEST(a_plugins_name_is_safe_everywhere)
{
	char name[POLICY_NAME_MAX + 2] = { 0 };

	CHECK(policy_plugin_name("molecule-careful-bash"));
	CHECK(policy_plugin_name("A_1.b"));
	CHECK(policy_plugin_name("-"));
	CHECK(!policy_plugin_name(""));
	CHECK(!policy_plugin_name("."));
	CHECK(!policy_plugin_name(".."));
	CHECK(!policy_plugin_name(".hidden"));
	CHECK(!policy_plugin_name("a/b"));
	CHECK(!policy_plugin_name("a b"));
	CHECK(!policy_plugin_name("caf\xc3\xa9"));
	memset(name, 'n', POLICY_NAME_MAX);
	CHECK(policy_plugin_name(name));
	name[POLICY_NAME_MAX] = 'n';
	CHECK(!policy_plugin_name(name));
}

TEST(no_mode_grants_more_than_0755_or_locks_its_owner_out)
{
	for (unsigned mode = 0; mode <= 07777; mode++) {
		CHECK_INT(policy_mode(mode, ENTRY_FILE), (mode & 0755) | 0600);
		CHECK_INT(policy_mode(mode, ENTRY_DIR), (mode & 0755) | 0700);
	}
}

TEST(no_time_is_before_1970_or_after_now)
{
	CHECK_INT(policy_mtime(-1, 1000), 0);
	CHECK_INT(policy_mtime(INT64_MIN, 1000), 0);
	CHECK_INT(policy_mtime(999, 1000), 999);
	CHECK_INT(policy_mtime(INT64_MAX, 1000), 1000);
}
