/* SPDX-License-Identifier: MIT */
/*
 * The bytes, after one that chooses, as a tar archive, through the reader and the
 * policy, as they would be when the keeper has them: what is let through has a
 * name that stays beneath its directory and can be shown, is there once, has all
 * its bytes, and is listed as it came.
 *
 * No fuzzer finds checksums: if the first byte is odd, every block that looks
 * like a header gets the right one.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "helper/ledger.h"
#include "helper/reader.h"

#define SIZE_MAX_OF_ENTRY (1 << 20)

struct unpacking {
	struct reader_sink sink;
	uint8_t *bytes; /* owned */
	size_t len, at;
	struct ledger ledger;
	uint64_t left, n_bytes;
};

static int fill(void *source, char *bytes, size_t size, size_t *ret_len, struct refusal *refusal)
{
	struct unpacking *unpacking = source;
	size_t len = MIN(size, unpacking->len - unpacking->at);

	if (len)
		memcpy(bytes, unpacking->bytes + unpacking->at, len);
	unpacking->at += len;
	*ret_len = len;
	return 0;
}

static void check_path(const char *path, size_t len)
{
	char text[POLICY_PATH_MAX + 3];

	REQUIRE(len <= POLICY_PATH_MAX && !memchr(path, '\0', len));
	text[0] = '/';
	memcpy(text + 1, path, len);
	memcpy(text + 1 + len, "/", 2);
	REQUIRE(!strstr(text, "//") && !strstr(text, "/./") && !strstr(text, "/../"));
	for (size_t i = 0; i < len; i++)
		REQUIRE((unsigned char)path[i] >= 0x20 && path[i] != 0x7f && path[i] != '\\');
}

static int on_entry(struct reader_sink *sink, const struct reader_entry *entry,
		    struct refusal *refusal)
{
	static const enum ledger_kind kinds[] = {
		[ENTRY_FILE] = LEDGER_FILE_KIND,
		[ENTRY_DIR] = LEDGER_DIR,
		[ENTRY_LINK] = LEDGER_LINK,
	};
	struct unpacking *unpacking = container_of(sink, struct unpacking, sink);
	struct ledger_entry *added;
	const char *path;
	size_t len;
	int r;

	REQUIRE(unpacking->left == 0);
	REQUIRE(entry->kind <= ENTRY_LINK && entry->size <= SIZE_MAX_OF_ENTRY);
	REQUIRE(entry->kind == ENTRY_FILE || !entry->size);
	unpacking->left = entry->size;
	r = policy_path(entry->name, entry->name_len, entry->kind, &path, &len, refusal);
	if (r < 0 || !len)
		return r;

	check_path(path, len);
	r = ledger_add(&unpacking->ledger, kinds[entry->kind], path, len, &added, refusal);
	if (r == 0) {
		added->mode = (uint16_t)policy_mode(entry->mode, entry->kind);
		added->size = entry->size;
		REQUIRE(!(added->mode & ~0755u) && added->mode & 0600);
		REQUIRE(policy_mtime(entry->mtime, 1000) >= 0);
		REQUIRE(policy_mtime(entry->mtime, 1000) <= 1000);
	}
	return r;
}

static int on_data(struct reader_sink *sink, const void *bytes, size_t len, struct refusal *refusal)
{
	struct unpacking *unpacking = container_of(sink, struct unpacking, sink);
	unsigned sum = 0;

	REQUIRE(len <= unpacking->left);
	for (size_t i = 0; i < len; i++)
		sum += ((const uint8_t *)bytes)[i];
	unpacking->left -= len;
	unpacking->n_bytes += len + (sum & 0);
	return 0;
}

static int on_plugin(struct reader_sink *sink, const struct pluginfile *file,
		     struct refusal *refusal)
{
	REQUIRE(policy_plugin_name(file->name));
	return 0;
}

/* The list of what came can be read again, and says the same. */
static void check_list(struct ledger *ledger)
{
	uint8_t before[SHA256_LEN], after[SHA256_LEN];
	struct error err = { 0 };
	struct ledger again;
	int fd = memfd_create("files", MFD_CLOEXEC);

	REQUIRE(fd >= 0);
	ledger_init(&again, POLICY_FILES_MAX);
	REQUIRE(ledger_write(ledger, fd, &err) == 0);
	REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
	REQUIRE(ledger_read(&again, fd, &err) == 0);
	REQUIRE(again.n_entries == ledger->n_entries);
	for (size_t i = 0; i < again.n_entries; i++) {
		const struct ledger_entry *entry = &again.entries[i];

		REQUIRE(ledger_find(ledger, ledger_path(&again, entry), entry->path_len));
	}
	REQUIRE(ledger_manifest(ledger, before, &err) == 0);
	REQUIRE(ledger_manifest(&again, after, &err) == 0);
	REQUIRE(memcmp(before, after, SHA256_LEN) == 0);
	ledger_fini(&again);
	(void)close(fd);
}

static void correct_checksums(uint8_t *bytes, size_t len)
{
	for (uint8_t *block = bytes; len >= TAPE_BLOCK; block += TAPE_BLOCK, len -= TAPE_BLOCK) {
		unsigned sum = 0;
		char text[8];

		if (memcmp(block + 257, "ustar", 5) != 0)
			continue;
		memset(block + 148, ' ', 8);
		for (size_t i = 0; i < TAPE_BLOCK; i++)
			sum += block[i];
		(void)snprintf(text, sizeof(text), "%06o", sum);
		memcpy(block + 148, text, 7);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct unpacking unpacking = { .sink = { on_entry, on_data, on_plugin } };
	struct refusal refusal;
	int r;

	if (!len)
		return 0;

	len--;
	unpacking.len = len;
	unpacking.bytes = malloc(len + 1);
	REQUIRE(unpacking.bytes);
	memcpy(unpacking.bytes, bytes + 1, len);
	if (bytes[0] & 1)
		correct_checksums(unpacking.bytes, len);

	ledger_init(&unpacking.ledger, POLICY_FILES_MAX);
	r = reader_run(fill, &unpacking, SIZE_MAX_OF_ENTRY, &unpacking.sink, &refusal);
	if (r == 0)
		r = ledger_settle(&unpacking.ledger, &refusal);

	if (r == 0) {
		REQUIRE(unpacking.left == 0 && unpacking.at == len && unpacking.n_bytes <= len);
		check_list(&unpacking.ledger);
	} else {
		REQUIRE(refusal.err.kind && refusal.err.text[0]);
		require_shown(refusal.err.text);
	}
	ledger_fini(&unpacking.ledger);
	free(unpacking.bytes);
	return 0;
}
