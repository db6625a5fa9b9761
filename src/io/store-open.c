/* SPDX-License-Identifier: MIT */
/*
 * From a name in the state directory to a database that can be used: whose file
 * it is, what version it has, and what becomes of one that is damaged.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/fd.h"
#include "base/util.h"
#include "io/store-db.h"

#define BUSY_MS 1000                  /* somebody looks at the file with sqlite3(1) */
#define LENGTH_MAX (16 * 1024 * 1024) /* of a value, and of a row */
#define HEAP_MAX (64 * 1024 * 1024)   /* of all that SQLite allocates */

static const char SETTINGS[] = "PRAGMA locking_mode = EXCLUSIVE;"
			       "PRAGMA temp_store = MEMORY;"
			       "PRAGMA cache_size = -512;"
			       "PRAGMA mmap_size = 0;"
			       "PRAGMA cell_size_check = ON;"
			       "PRAGMA secure_delete = ON;"
			       "PRAGMA journal_mode = WAL;"
			       "PRAGMA journal_size_limit = 4194304;"
			       "PRAGMA synchronous = FULL;";

/* Private from birth: SQLite would make it with the mode that the umask leaves. */
static int find_or_make(struct store_db *db, struct error *err)
{
	int r = file_check_private(db->dirfd, STORE_FILE, err);
	bool missing = r == -ENOENT;

	if (missing)
		r = file_replace(db->dirfd, STORE_FILE, "", 0, 0600, err);

	/* Only a file that is there is a person's to put right; all else may pass. */
	if (r < 0 && (missing || err->kind != ERROR_CONFIG))
		err->kind = ERROR_UNAVAILABLE;
	return r;
}

/*
 * A path without a symbolic link in it, so that SQLite can be told to follow
 * none; of the directory that we have open and locked, and no other.
 */
static int find_path(const struct store_db *db, char path[static PATH_MAX + 16], struct error *err)
{
	struct stat ours, theirs;
	size_t len;

	if (!realpath(db->path, path))
		return error_set(err, ERROR_UNAVAILABLE, errno,
				 "cannot find the state directory %s: %m", db->path);

	if (fstat(db->dirfd, &ours) < 0 || stat(path, &theirs) < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno,
				 "cannot look at the state directory %s: %m", db->path);

	if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
		return error_set(err, ERROR_UNAVAILABLE, ESTALE,
				 "cannot use the state directory %s: it is not the one that was "
				 "there at the start",
				 db->path);

	len = strlen(path);
	(void)snprintf(path + len, PATH_MAX + 16 - len, "/%s", STORE_FILE);
	return 0;
}

static void be_strict(struct store_db *db)
{
	(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	(void)sqlite3_limit(db->sqlite, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
	(void)sqlite3_limit(db->sqlite, SQLITE_LIMIT_ATTACHED, 0);
	(void)sqlite3_hard_heap_limit64(HEAP_MAX);
	(void)sqlite3_busy_timeout(db->sqlite, BUSY_MS);
	store_db_watch_log(db);
}

static int set_up(struct store_db *db, struct error *err)
{
	char mode[16];
	int r;

	be_strict(db);
	r = store_db_script(db, SETTINGS, err);
	if (r == 0)
		r = store_db_ask(db, "PRAGMA journal_mode", mode, sizeof(mode), err);
	if (r < 0)
		return r;

	if (strcmp(mode, "wal") != 0 || sqlite3_db_readonly(db->sqlite, "main") != 0)
		return error_set(err, ERROR_UNAVAILABLE, EROFS,
				 "cannot write " STORE_FILE ": it can only be read");
	return 0;
}

/* After something made no sense: was it the file? */
static int check_whole(struct store_db *db, struct error *err)
{
	char verdict[ERROR_TEXT_MAX];
	int r;

	r = store_db_ask(db, "PRAGMA quick_check(1)", verdict, sizeof(verdict), err);
	if (r < 0 || strcmp(verdict, "ok") == 0)
		return r;

	return store_db_failed(db, SQLITE_CORRUPT, err);
}

static int migrate_once(struct store_db *db, int version, struct error *err)
{
	char sql[64];
	int r;

	(void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", version + 1);
	r = store_db_begin(db, err);
	if (r == 0)
		r = store_db_script(db, db->migrations[version], err);
	if (r == 0)
		r = store_db_script(db, sql, err);
	if (r == 0)
		return store_db_commit(db, err);

	store_db_rollback(db);
	return r;
}

static int migrate(struct store_db *db, struct error *err)
{
	int known = 0, version, r;
	char text[16];

	while (db->migrations[known])
		known++;

	r = store_db_ask(db, "PRAGMA user_version", text, sizeof(text), err);
	if (r < 0)
		return r;

	version = (int)strtol(text, NULL, 10);
	if (version < 0 || version > known)
		return error_set(err, ERROR_INTERNAL, EPROTONOSUPPORT,
				 "cannot use " STORE_FILE
				 ": a newer molecule-agentd has written it "
				 "(version %d, this one knows %d); upgrade, or move it away",
				 version, known);

	for (; r == 0 && version < known; version++) {
		r = migrate_once(db, version, err);
		if (r < 0)
			error_prefix(err, "cannot bring " STORE_FILE " to version %d", version + 1);
	}
	return r;
}

static int open_once(struct store_db *db, bool suspect, struct error *err)
{
	char path[PATH_MAX + 16];
	int code, r;

	r = find_or_make(db, err);
	if (r == 0)
		r = find_path(db, path, err);
	if (r < 0)
		return r;

	code = sqlite3_open_v2(path, &db->sqlite,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX |
				       SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE,
			       NULL);
	if (code != SQLITE_OK)
		return store_db_failed(db, code, err);

	r = set_up(db, err);
	if (r == 0 && suspect)
		r = check_whole(db, err);
	if (r == 0)
		r = migrate(db, err);
	return r < 0 ? r : store_db_check_names(db, err);
}

/* Never over a file that is there. Nobody else is in the directory. */
static int rename_to(const struct store_db *db, const char *suffix, struct error *err)
{
	char from[STORE_ASIDE_SIZE], to[STORE_ASIDE_SIZE + 16];
	struct stat st;

	(void)snprintf(from, sizeof(from), STORE_FILE "%s", suffix);
	(void)snprintf(to, sizeof(to), "%s%s", db->aside, suffix);
	if (fstatat(db->dirfd, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(err, ERROR_UNAVAILABLE, EEXIST, "cannot set aside %s: %m", from);

	if (renameat(db->dirfd, from, db->dirfd, to) < 0 && errno != ENOENT)
		return error_set(err, ERROR_UNAVAILABLE, errno, "cannot set aside %s: %m", from);

	return 0;
}

/* The logs first: beside a new database SQLite would throw them away. */
static int put_aside(struct store_db *db, struct error *err)
{
	static const char *const suffixes[] = { "-wal", "-journal", "" };
	time_t now = time(NULL);
	char stamp[32];
	struct tm tm;
	int r = 0;

	if (db->set_aside)
		return error_set(err, ERROR_UNAVAILABLE, EBADMSG,
				 "cannot read " STORE_FILE ": it is damaged, for the second time; "
				 "look at the disk, then restart molecule-agentd");

	(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	(void)snprintf(db->aside, sizeof(db->aside), STORE_FILE ".corrupt-%s", stamp);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(suffixes); i++)
		r = rename_to(db, suffixes[i], err);
	if (r < 0) {
		db->aside[0] = '\0';
		return r;
	}

	(void)fsync(db->dirfd);
	db->set_aside = true;
	return 0;
}

/* Every byte, by ourselves: SQLite says of a disk that fails that the file makes no sense. */
static int read_through(const struct store_db *db, const char *name, struct error *err)
{
	AUTO(fd_close) int fd = -1;
	char bytes[16384];
	ssize_t n;

	fd = openat(db->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "cannot open %s: %m", name);

	do {
		n = read(fd, bytes, sizeof(bytes));
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "cannot read %s: %m", name);

	return 0;
}

static int disk_can_read(const struct store_db *db, struct error *err)
{
	int r = read_through(db, STORE_FILE, err);

	return r < 0 ? r : read_through(db, STORE_FILE "-wal", err);
}

static int look(struct store_db *db, bool closely, struct error *err)
{
	int r;

	db->damaged = false;
	r = open_once(db, closely, err);
	if (r < 0)
		store_db_close(db);
	return r;
}

int store_db_open(struct store_db *db, struct error *err)
{
	int r;

	if (db->sqlite && !db->damaged)
		return 0;

	store_db_close(db);
	if (!db->damaged) {
		r = look(db, false, err);
		if (r == 0 || !db->damaged)
			return r;
	}

	/* It is suspected. Only what can be read and still makes no sense is damaged. */
	r = disk_can_read(db, err);
	if (r < 0)
		return r;

	r = look(db, true, err);
	if (r == 0 || !db->damaged)
		return r;

	r = put_aside(db, err);
	return r < 0 ? r : look(db, false, err);
}
