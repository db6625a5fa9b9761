/* SPDX-License-Identifier: MIT */
#include "helper/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "helper/beneath.h"
#include "helper/ledger.h"
#include "helper/tree.h"

/* Whoever unpacked it had a limit of its own; this only keeps memory bounded. */
#define ENTRIES_MAX 200000
#define READ_AT_ONCE 65536

struct verifier {
	struct ledger ledger;
	struct say *say;         /* borrowed */
	struct refusal *refusal; /* borrowed */
	uint64_t n_drift;
	int root;    /* owned */
	uid_t owner; /* of the tree, and hence of all that was unpacked */
	char bytes[READ_AT_ONCE];
};

static void dir_close(DIR *dir)
{
	(void)closedir(dir);
}
DEFINE_AUTO(DIR *, dir_close);

/* Names that were added may be any bytes. */
static void say_drift(struct verifier *verifier, const char *path, size_t len, const char *what)
{
	struct say *say = verifier->say;
	char quoted[4 * POLICY_PATH_MAX + 1];

	if (++verifier->n_drift > VERIFY_DRIFT_MAX)
		return;

	(void)buffer_append_text(&say->line, "{\"drift\":{");
	say_text(say, "path", error_quote(quoted, sizeof(quoted), path, len));
	(void)buffer_append_char(&say->line, ',');
	say_text(say, "what", what);
	(void)buffer_append_text(&say->line, "}}");
	(void)say_line(say);
}

static void say_entry_drift(struct verifier *verifier, const struct ledger_entry *entry,
			    const char *what)
{
	say_drift(verifier, ledger_path(&verifier->ledger, entry), entry->path_len, what);
}

static int cannot_read(struct verifier *verifier, const char *path, size_t len, int errnum)
{
	errno = errnum;
	(void)refuse(verifier->refusal, ERROR_UNAVAILABLE, "it cannot be read: %m");
	return refusal_name(verifier->refusal, path, len);
}

static int hash_file(struct verifier *verifier, int fd, uint8_t digest[static SHA256_LEN])
{
	struct sha256 sha256;
	ssize_t n;

	sha256_begin(&sha256);
	for (;;) {
		n = read(fd, verifier->bytes, sizeof(verifier->bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		sha256_add(&sha256, verifier->bytes, (size_t)n);
	}

	sha256_end(&sha256, digest);
	return 0;
}

/* told: that its mode is another one. If that closes it to us, there is no more to say. */
static int verify_content(struct verifier *verifier, int dirfd, const char *name,
			  const struct ledger_entry *entry, bool told)
{
	/* What was a file a moment ago may be a pipe by now. */
	AUTO(fd_close) int fd = beneath_open(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	const char *path = ledger_path(&verifier->ledger, entry);
	uint8_t digest[SHA256_LEN];
	int r;

	if (fd == -EACCES && told)
		return 0;
	if (fd < 0)
		return cannot_read(verifier, path, entry->path_len, -fd);
	r = hash_file(verifier, fd, digest);
	if (r < 0)
		return cannot_read(verifier, path, entry->path_len, -r);

	if (memcmp(digest, entry->sha256, SHA256_LEN) != 0)
		say_entry_drift(verifier, entry, "changed");
	return 0;
}

/* Who may write to it, or will not let us read it. */
static bool has_rights(const struct verifier *verifier, const struct stat *st, mode_t mode)
{
	return (st->st_mode & 07777) == mode && st->st_uid == verifier->owner;
}

static int verify_entry(struct verifier *verifier, int dirfd, const char *name,
			struct ledger_entry *entry)
{
	struct stat st;
	bool own;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		entry->found = errno == EACCES && verifier->n_drift;
		return entry->found || errno == ENOENT
			       ? 0
			       : cannot_read(verifier, name, strlen(name), errno);
	}

	entry->found = true;
	if (entry->kind == LEDGER_DIR ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode)) {
		say_entry_drift(verifier, entry, "type");
		return 0;
	}
	own = has_rights(verifier, &st, entry->mode);
	if (!own)
		say_entry_drift(verifier, entry, "mode");
	if (entry->kind == LEDGER_DIR)
		return 0;
	if ((uint64_t)st.st_size != entry->size) {
		say_entry_drift(verifier, entry, "changed");
		return 0;
	}
	return verify_content(verifier, dirfd, name, entry, !own);
}

/* dir is the path of the directory that name was found in, with its slash; or empty. */
static int verify_name(struct verifier *verifier, int dirfd, const char *dir, size_t dir_len,
		       const char *name)
{
	char path[POLICY_PATH_MAX + 1 + NAME_MAX + 1];
	struct ledger_entry *entry;
	size_t len = dir_len + strlen(name);

	memcpy(path, dir, dir_len);
	memcpy(path + dir_len, name, strlen(name) + 1);
	entry = ledger_find(&verifier->ledger, path, len);
	if (entry)
		return verify_entry(verifier, dirfd, name, entry);

	say_drift(verifier, path, len, "added");
	return 0;
}

/* Of what is in a directory that is closed to us nobody knows. */
static void pass_over(struct verifier *verifier, const char *dir, size_t dir_len)
{
	struct ledger *ledger = &verifier->ledger;

	for (size_t i = 0; i < ledger->n_entries; i++) {
		struct ledger_entry *entry = &ledger->entries[i];

		if (entry->path_len > dir_len &&
		    memcmp(ledger_path(ledger, entry), dir, dir_len) == 0)
			entry->found = true;
	}
}

/* dir: its path and a slash, or empty for the top. */
static int verify_dir(struct verifier *verifier, const char *dir, size_t dir_len)
{
	AUTO(dir_close) DIR *stream = NULL;
	struct dirent *entry;
	int fd, r;

	fd = beneath_open(verifier->root, dir_len ? dir : ".", O_RDONLY | O_DIRECTORY, 0);
	/* That it is not there, or is something else, its own entry tells. */
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	/* Not for us any more: that its mode is another one was told. */
	if (fd == -EACCES && verifier->n_drift) {
		pass_over(verifier, dir, dir_len);
		return 0;
	}
	if (fd < 0)
		return cannot_read(verifier, dir, dir_len, -fd);
	stream = fdopendir(fd);
	if (!stream) {
		r = cannot_read(verifier, dir, dir_len, errno);
		(void)close(fd);
		return r;
	}

	for (;;) {
		errno = 0;
		entry = readdir(stream);
		if (!entry)
			return errno ? cannot_read(verifier, dir, dir_len, errno) : 0;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = verify_name(verifier, dirfd(stream), dir, dir_len, entry->d_name);
		if (r < 0)
			return r;
	}
}

static int verify_dirs(struct verifier *verifier)
{
	const struct ledger *ledger = &verifier->ledger;
	char dir[POLICY_PATH_MAX + 2];
	int r;

	r = verify_dir(verifier, "", 0);
	for (size_t i = 0; i < ledger->n_entries && r == 0; i++) {
		const struct ledger_entry *entry = &ledger->entries[i];

		if (entry->kind != LEDGER_DIR)
			continue;
		memcpy(dir, ledger_path(ledger, entry), entry->path_len);
		dir[entry->path_len] = '/';
		dir[entry->path_len + 1] = '\0';
		r = verify_dir(verifier, dir, (size_t)entry->path_len + 1);
	}
	return r;
}

static int open_tree(struct verifier *verifier, int staging)
{
	struct stat st = { 0 };

	verifier->root = beneath_open(staging, TREE_DIR, O_PATH | O_DIRECTORY, 0);
	if (verifier->root < 0 || fstat(verifier->root, &st) < 0) {
		errno = verifier->root < 0 ? -verifier->root : errno;
		return refuse(verifier->refusal, ERROR_UNAVAILABLE,
			      "cannot open the plugin's directory: %m");
	}

	verifier->owner = st.st_uid;
	if ((st.st_mode & 07777) != TREE_MODE)
		say_drift(verifier, "", 0, "mode");
	return 0;
}

static int load_ledger(struct verifier *verifier, int staging)
{
	AUTO(fd_close) int fd = beneath_open(staging, LEDGER_FILE, O_RDONLY | O_NONBLOCK, 0);
	struct error *err = &verifier->refusal->err;

	if (fd < 0) {
		errno = -fd;
		return refuse(verifier->refusal, ERROR_UNAVAILABLE,
			      "cannot open the list of the plugin's files: %m");
	}
	return ledger_read(&verifier->ledger, fd, err) < 0 ? -EBADMSG : 0;
}

static int verify_all(struct verifier *verifier, int staging)
{
	int r;

	r = load_ledger(verifier, staging);
	if (r == 0)
		r = open_tree(verifier, staging);
	if (r == 0)
		r = verify_dirs(verifier);
	for (size_t i = 0; i < verifier->ledger.n_entries && r == 0; i++)
		if (!verifier->ledger.entries[i].found)
			say_entry_drift(verifier, &verifier->ledger.entries[i], "missing");
	return r;
}

/* The digest of what the list says: who keeps it elsewhere can tell whether the list has drifted.
 */
static int say_done(struct verifier *verifier)
{
	struct say *say = verifier->say;
	char hex[SHA256_HEX_SIZE];
	uint8_t digest[SHA256_LEN];

	if (ledger_manifest(&verifier->ledger, digest, &verifier->refusal->err) < 0)
		return -EBADMSG;

	(void)buffer_printf(&say->line, "{\"done\":{\"ok\":%s,\"drift\":%" PRIu64 ",",
			    verifier->n_drift ? "false" : "true", verifier->n_drift);
	say_text(say, "manifest", sha256_hex(hex, digest));
	(void)buffer_append_text(&say->line, "}}");
	if (say_line(say) < 0)
		return refuse(verifier->refusal, ERROR_INTERNAL, "nobody hears what was found");
	return 0;
}

int verify(int staging, struct say *say, struct refusal *refusal)
{
	AUTO(free) struct verifier *verifier = calloc(1, sizeof(*verifier));
	int r;

	*refusal = (struct refusal){ 0 };
	if (!verifier)
		return refuse(refusal, ERROR_INTERNAL, "no memory to verify the plugin");

	verifier->say = say;
	verifier->refusal = refusal;
	verifier->root = -1;
	ledger_init(&verifier->ledger, ENTRIES_MAX);
	r = verify_all(verifier, staging);
	if (r == 0)
		r = say_done(verifier);

	fd_close_auto(&verifier->root);
	ledger_fini(&verifier->ledger);
	return r;
}
