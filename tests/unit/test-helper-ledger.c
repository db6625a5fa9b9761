/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "helper/ledger.h"
#include "lib/test.h"

static struct ledger_entry *add(struct ledger *ledger, enum ledger_kind kind, const char *path)
{
	struct refusal refusal = { 0 };
	struct ledger_entry *entry;

	CHECK_INT(ledger_add(ledger, kind, path, strlen(path), &entry, &refusal), 0);
	entry->mode = 0644;
	return entry;
}

/* A file whose content is its own path. */
static void add_file(struct ledger *ledger, const char *path)
{
	struct ledger_entry *entry = add(ledger, LEDGER_FILE_KIND, path);
	struct sha256 sha256;

	entry->size = strlen(path);
	sha256_begin(&sha256);
	sha256_add(&sha256, path, strlen(path));
	sha256_end(&sha256, entry->sha256);
}

static const char *manifest_of(const struct ledger *ledger)
{
	static char hex[SHA256_HEX_SIZE];
	uint8_t digest[SHA256_LEN];

	CHECK_INT(ledger_manifest(ledger, digest, NULL), 0);
	return sha256_hex(hex, digest);
}

/*
 * python3 -c 'import json, hashlib as h; s = lambda b: h.sha256(b).hexdigest()
 * n = ["z", "a/b", "a.b", "a", "\u00e9", "\uffee", "\U0001f600", "q\"", "\x7f"]
 * print(s(json.dumps(sorted([x, s(x.encode())] for x in n)).encode()))'
 */
TEST(the_manifest_is_pythons)
{
	static const char *const names[] = {
		"z",   "a/b", "a.b", "a", "\xc3\xa9", "\xef\xbf\xae", "\xf0\x9f\x98\x80",
		"q\"", "\x7f"
	};
	struct refusal refusal = { 0 };
	struct ledger ledger;

	ledger_init(&ledger, 100);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		add_file(&ledger, names[i]);
	add_file(&ledger, "plugin.yaml");
	add(&ledger, LEDGER_DIR, "empty");
	CHECK_INT(ledger_settle(&ledger, &refusal), 0);
	CHECK_TEXT(manifest_of(&ledger),
		   "39350dd82cf79caf9b0b5d86a24383ab84b4818d990e91de28feaab76d69745d");
	ledger_fini(&ledger);
}

TEST(the_manifest_of_nothing_is_an_empty_lists)
{
	struct refusal refusal = { 0 };
	struct ledger ledger;

	ledger_init(&ledger, 100);
	CHECK_INT(ledger_settle(&ledger, &refusal), 0);
	CHECK_TEXT(manifest_of(&ledger),
		   "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945");
	ledger_fini(&ledger);
}

static const char *settle(const char *const paths[], const enum ledger_kind kinds[], size_t n)
{
	static struct refusal refusal;
	struct ledger ledger;
	int r;

	refusal = (struct refusal){ 0 };
	ledger_init(&ledger, 100);
	for (size_t i = 0; i < n; i++)
		add(&ledger, kinds[i], paths[i]);
	r = ledger_settle(&ledger, &refusal);
	CHECK(r < 0 ? refusal.entry[0] && ledger.n_entries == n : !refusal.entry[0]);
	ledger_fini(&ledger);
	return r < 0 ? refusal.err.text : NULL;
}

#define SETTLE(...)                                      \
	settle((const char *const[]){ "x/y", "x", "m" }, \
	       (const enum ledger_kind[]){ __VA_ARGS__ }, 3)
#define PAIR(a, b, ...) \
	settle((const char *const[]){ a, b }, (const enum ledger_kind[]){ __VA_ARGS__ }, 2)

TEST(one_path_is_one_thing)
{
	CHECK(!SETTLE(LEDGER_FILE_KIND, LEDGER_IMPLIED, LEDGER_LINK));
	CHECK(!PAIR("a", "a", LEDGER_IMPLIED, LEDGER_DIR));
	CHECK(!PAIR("a", "a", LEDGER_DIR, LEDGER_IMPLIED));
	CHECK_TEXT(PAIR("a", "a", LEDGER_DIR, LEDGER_DIR), "a: it is there twice");
	CHECK_TEXT(PAIR("a", "a", LEDGER_LINK, LEDGER_LINK), "a: it is there twice");
	CHECK_TEXT(PAIR("a", "a", LEDGER_DIR, LEDGER_LINK),
		   "a: it is there as two different things");
	CHECK_TEXT(PAIR("a", "a", LEDGER_IMPLIED, LEDGER_LINK),
		   "a: it is there as two different things");
	CHECK_TEXT(PAIR("a", "a", LEDGER_LINK, LEDGER_FILE_KIND),
		   "a: it is there as two different things");
}

TEST(case_is_no_difference)
{
	CHECK_TEXT(PAIR("a/B", "a/b", LEDGER_FILE_KIND, LEDGER_FILE_KIND),
		   "a/b: it differs from a/B in case only");
	CHECK_TEXT(PAIR("A", "a", LEDGER_IMPLIED, LEDGER_DIR), "a: it differs from A in case only");
	CHECK(!PAIR("a", "a.", LEDGER_FILE_KIND, LEDGER_FILE_KIND));
	CHECK(!PAIR("[", "{", LEDGER_FILE_KIND, LEDGER_FILE_KIND));
	CHECK(!PAIR("\xc3\x89", "\xc3\xa9", LEDGER_FILE_KIND, LEDGER_FILE_KIND));
}

TEST(what_is_written_is_read)
{
	static const char *const names[] = { "z", "a/b", "a.b", "a b", "caf\xc3\xa9" };
	struct ledger written, read;
	struct refusal refusal = { 0 };
	int fd = open("files", O_RDWR | O_CREAT, 0600);

	ledger_init(&written, 100);
	ledger_init(&read, 100);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		add_file(&written, names[i]);
	add(&written, LEDGER_IMPLIED, "a");
	add(&written, LEDGER_LINK, "link");
	CHECK_INT(ledger_settle(&written, &refusal), 0);
	CHECK_INT(ledger_write(&written, fd, NULL), 0);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	CHECK_INT(ledger_read(&read, fd, NULL), 0);

	CHECK_INT(read.n_entries, ARRAY_LEN(names) + 1);
	CHECK(ledger_find(&read, "a", 1)->kind == LEDGER_DIR);
	CHECK(!ledger_find(&read, "link", 4));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct ledger_entry *entry = ledger_find(&read, names[i], strlen(names[i]));

		CHECK(entry && entry->kind == LEDGER_FILE_KIND && entry->mode == 0644);
		CHECK_INT(entry->size, strlen(names[i]));
	}
	CHECK(strcmp(manifest_of(&written), manifest_of(&read)) == 0);
	ledger_fini(&written);
	ledger_fini(&read);
	close(fd);
}

TEST(entries_and_names_are_bounded)
{
	char path[POLICY_PATH_MAX];
	struct refusal refusal = { 0 };
	struct ledger_entry *entry;
	struct ledger ledger;
	int r = 0;

	memset(path, 'n', sizeof(path));
	ledger_init(&ledger, 3);
	for (int i = 0; i < 3; i++)
		add(&ledger, LEDGER_DIR, "a");
	CHECK(ledger_add(&ledger, LEDGER_DIR, "a", 1, &entry, &refusal) < 0);
	CHECK(refusal.err.kind == ERROR_TOO_LARGE);
	ledger_fini(&ledger);

	ledger_init(&ledger, 100000);
	while (r == 0)
		r = ledger_add(&ledger, LEDGER_DIR, path, sizeof(path), &entry, &refusal);
	CHECK(refusal.err.kind == ERROR_TOO_LARGE);
	CHECK_INT(ledger.n_entries, LEDGER_NAMES_MAX / sizeof(path));
	ledger_fini(&ledger);
}
