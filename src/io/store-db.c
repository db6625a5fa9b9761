/* SPDX-License-Identifier: MIT */
/*
 * One connection, in exclusive mode: the state directory is locked for us, so
 * nobody shares the log, its index stays in our memory, and a statement costs no
 * lock. What SQLite would make for itself elsewhere (temporary files) it keeps in
 * memory.
 */

#include "io/store-db.h"

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

#define BUSY_MS 1000                  /* somebody looks at the file with sqlite3(1) */
#define CHECKPOINT_PAGES 1000         /* 4 MiB of log */
#define LENGTH_MAX (16 * 1024 * 1024) /* of a value, and of a row */
#define HEAP_MAX (64 * 1024 * 1024)   /* of all that SQLite allocates */

/* Known by their addresses. */
static const char BEGIN[] = "BEGIN IMMEDIATE";
static const char COMMIT[] = "COMMIT";
static const char ROLLBACK[] = "ROLLBACK";
static const char MARK[] = "SAVEPOINT job";
static const char UNDO[] = "ROLLBACK TO job";
static const char RELEASE[] = "RELEASE job";

static const char SETTINGS[] = "PRAGMA locking_mode = EXCLUSIVE;"
			       "PRAGMA temp_store = MEMORY;"
			       "PRAGMA cache_size = -512;"
			       "PRAGMA mmap_size = 0;"
			       "PRAGMA cell_size_check = ON;"
			       "PRAGMA secure_delete = ON;"
			       "PRAGMA journal_mode = WAL;"
			       "PRAGMA journal_size_limit = 4194304;"
			       "PRAGMA synchronous = FULL;";

/* --- what a result means --- */

static enum error_kind kind_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_CONSTRAINT:
		return ERROR_CONFLICT;
	case SQLITE_TOOBIG:
		return ERROR_TOO_LARGE;
	case SQLITE_BUSY:
	case SQLITE_CANTOPEN:
	case SQLITE_CORRUPT:
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_LOCKED:
	case SQLITE_NOTADB:
	case SQLITE_PERM:
	case SQLITE_PROTOCOL:
	case SQLITE_READONLY:
		return ERROR_UNAVAILABLE;
	default:
		return ERROR_INTERNAL;
	}
}

/* system: what the last system call that SQLite made for this said, or 0 */
static int errno_of(int code, int system)
{
	switch (code & 0xff) {
	case SQLITE_CONSTRAINT:
		return EEXIST;
	case SQLITE_TOOBIG:
		return EFBIG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return EBADMSG;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return system ? system : EIO;
	default:
		return EIO;
	}
}

int store_db_failed(struct store_db *db, int code, struct error *err)
{
	enum error_kind kind = kind_of(code);
	int system = db->sqlite ? sqlite3_system_errno(db->sqlite) : 0;
	int errnum = errno_of(code, system);

	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		db->damaged = true;
		return error_set(err, kind, errnum, "cannot read " STORE_FILE ": it is damaged");
	case SQLITE_FULL:
	case SQLITE_NOMEM:
	case SQLITE_READONLY:
		return error_set(err, kind, errnum, "cannot write " STORE_FILE ": %m");
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return error_set(err, kind, errnum, "cannot use " STORE_FILE ": %s: %m",
				 sqlite3_errstr(code));
	default:
		return error_set(err, kind, errnum, "cannot use " STORE_FILE ": %s",
				 db->sqlite ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(code));
	}
}

/* --- statements --- */

static struct sqlite3_stmt *find_prepared(const struct store_db *db, const char *sql)
{
	for (size_t i = 0; i < db->n_statements; i++)
		if (db->statements[i].sql == sql)
			return db->statements[i].stmt;

	return NULL;
}

int store_db_prepare(struct store_db *db, const char *sql, struct sqlite3_stmt **ret,
		     struct error *err)
{
	struct sqlite3_stmt *stmt = find_prepared(db, sql);
	int code;

	if (stmt) {
		(void)sqlite3_reset(stmt);
		(void)sqlite3_clear_bindings(stmt);
		*ret = stmt;
		return 0;
	}

	if (db->n_statements == ARRAY_LEN(db->statements))
		return error_set(err, ERROR_INTERNAL, ENOBUFS,
				 "cannot prepare more than %d statements", STORE_STATEMENTS_MAX);

	code = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
	if (code != SQLITE_OK)
		return store_db_failed(db, code, err);

	db->statements[db->n_statements++] = (struct store_statement){ sql, stmt };
	*ret = stmt;
	return 0;
}

static int run_prepared(struct store_db *db, const char *sql, struct error *err)
{
	struct sqlite3_stmt *stmt = NULL;
	int code, r;

	r = store_db_prepare(db, sql, &stmt, err);
	if (r < 0)
		return r;

	code = sqlite3_step(stmt);
	if (code != SQLITE_DONE && code != SQLITE_ROW)
		r = store_db_failed(db, code, err);
	(void)sqlite3_reset(stmt);
	return r;
}

/* A statement in the middle of its rows would hold up the commit and the checkpoint. */
static void reset_busy(struct store_db *db)
{
	for (size_t i = 0; i < db->n_statements; i++)
		if (sqlite3_stmt_busy(db->statements[i].stmt))
			(void)sqlite3_reset(db->statements[i].stmt);
}

static int run_script(struct store_db *db, const char *sql, struct error *err)
{
	int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : store_db_failed(db, code, err);
}

/* The first column of the first row; "" when there is none. */
static int ask(struct store_db *db, const char *sql, char *dst, size_t dst_size, struct error *err)
{
	struct sqlite3_stmt *stmt = NULL;
	const unsigned char *text;
	int code, r = 0;

	code = sqlite3_prepare_v2(db->sqlite, sql, -1, &stmt, NULL);
	if (code != SQLITE_OK)
		return store_db_failed(db, code, err);

	code = sqlite3_step(stmt);
	text = code == SQLITE_ROW ? sqlite3_column_text(stmt, 0) : NULL;
	(void)snprintf(dst, dst_size, "%s", text ? (const char *)text : "");
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		r = store_db_failed(db, code, err);
	(void)sqlite3_finalize(stmt);
	return r;
}

/* --- transactions --- */

bool store_db_in_transaction(const struct store_db *db)
{
	return db->sqlite && !sqlite3_get_autocommit(db->sqlite);
}

int store_db_begin(struct store_db *db, struct error *err)
{
	return run_prepared(db, BEGIN, err);
}

void store_db_rollback(struct store_db *db)
{
	reset_busy(db);
	if (store_db_in_transaction(db))
		(void)run_prepared(db, ROLLBACK, NULL);

	/* Without memory even this can fail; closing cannot. */
	if (store_db_in_transaction(db))
		store_db_close(db);
}

/*
 * When it was the fsync that failed, the log has all of the transaction, which
 * the next start would take for committed, though we are about to say that it
 * is not. Something else is written where it begins: frames are chained by their
 * checksums, so none after it counts any more. Nothing need be durable here; and
 * if this fails too, the next commit will do it.
 */
static void unwrite(struct store_db *db)
{
	char version[16], sql[64];

	if (!db->sqlite || ask(db, "PRAGMA user_version", version, sizeof(version), NULL) < 0)
		return;

	(void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %.15s", version);
	(void)run_script(db, "PRAGMA synchronous = OFF", NULL);
	(void)run_script(db, sql, NULL);
	(void)run_script(db, "PRAGMA synchronous = FULL", NULL);
}

int store_db_commit(struct store_db *db, struct error *err)
{
	int r;

	reset_busy(db);
	db->wrote = false;
	r = run_prepared(db, COMMIT, err);
	if (r < 0) {
		store_db_rollback(db);
		unwrite(db);
	}
	return r;
}

int store_db_mark(struct store_db *db, struct error *err)
{
	return run_prepared(db, MARK, err);
}

int store_db_release(struct store_db *db, bool undo, struct error *err)
{
	int r = 0;

	reset_busy(db);
	if (undo)
		r = run_prepared(db, UNDO, err);
	return r < 0 ? r : run_prepared(db, RELEASE, err);
}

static int note_commit(void *data, struct sqlite3 *sqlite, const char *name, int pages)
{
	struct store_db *db = data;

	db->wrote = true;
	db->wal_pages = pages;
	return SQLITE_OK;
}

int store_db_checkpoint(struct store_db *db, bool force, struct error *err)
{
	int code;

	if (!db->sqlite || db->wal_pages < (force ? 1 : db->checkpoint_at))
		return 0;

	code = sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code != SQLITE_OK) {
		/* Not again after each commit. */
		db->grows = true;
		db->checkpoint_at = db->wal_pages + CHECKPOINT_PAGES;
		return store_db_failed(db, code, err);
	}

	/* The next transaction begins the log anew. */
	db->grows = false;
	db->wal_pages = 0;
	db->checkpoint_at = CHECKPOINT_PAGES;
	return 0;
}

int store_db_empty_log(struct store_db *db, struct error *err)
{
	int code;

	code = sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (code != SQLITE_OK)
		return store_db_failed(db, code, err);

	db->wal_pages = 0;
	return 0;
}

/* --- opening --- */

/* Private from birth: SQLite would make it with the mode that the umask leaves. */
static int find_or_make(struct store_db *db, struct error *err)
{
	int r = file_check_private(db->dirfd, STORE_FILE, err);

	if (r != -ENOENT)
		return r;

	r = file_replace(db->dirfd, STORE_FILE, "", 0, 0600, err);
	if (r < 0)
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
	(void)sqlite3_wal_hook(db->sqlite, note_commit, db);
	db->checkpoint_at = CHECKPOINT_PAGES;
	db->wal_pages = 0;
}

static int set_up(struct store_db *db, struct error *err)
{
	char mode[16];
	int r;

	be_strict(db);
	r = run_script(db, SETTINGS, err);
	if (r == 0)
		r = ask(db, "PRAGMA journal_mode", mode, sizeof(mode), err);
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

	r = ask(db, "PRAGMA quick_check(1)", verdict, sizeof(verdict), err);
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
		r = run_script(db, db->migrations[version], err);
	if (r == 0)
		r = run_script(db, sql, err);
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

	r = ask(db, "PRAGMA user_version", text, sizeof(text), err);
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
	return r < 0 ? r : migrate(db, err);
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

int store_db_open(struct store_db *db, struct error *err)
{
	bool suspect = db->damaged;
	int r;

	if (db->sqlite && !suspect)
		return 0;

	store_db_close(db);
	db->damaged = false;
	r = open_once(db, suspect, err);
	if (r == 0)
		return 0;

	store_db_close(db);
	if (!db->damaged)
		return r;

	r = put_aside(db, err);
	if (r < 0)
		return r;

	db->damaged = false;
	r = open_once(db, false, err);
	if (r < 0)
		store_db_close(db);
	return r;
}

void store_db_close(struct store_db *db)
{
	for (size_t i = 0; i < db->n_statements; i++)
		(void)sqlite3_finalize(db->statements[i].stmt);
	db->n_statements = 0;

	/* What is damaged is evidence, and its log belongs to it. */
	if (db->sqlite && db->damaged)
		(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(db->sqlite);
	db->sqlite = NULL;
}
