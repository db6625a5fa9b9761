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
#include <stdio.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "base/util.h"

#define CHECKPOINT_PAGES 1000 /* 4 MiB of log */

/* Known by their addresses. */
static const char BEGIN[] = "BEGIN IMMEDIATE";
static const char COMMIT[] = "COMMIT";
static const char ROLLBACK[] = "ROLLBACK";
static const char MARK[] = "SAVEPOINT job";
static const char UNDO[] = "ROLLBACK TO job";
static const char RELEASE[] = "RELEASE job";

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
		return error_set(err, kind, errnum,
				 "cannot read " STORE_FILE ": it seems to be damaged");
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

int store_db_script(struct store_db *db, const char *sql, struct error *err)
{
	int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : store_db_failed(db, code, err);
}

int store_db_ask(struct store_db *db, const char *sql, char *dst, size_t dst_size,
		 struct error *err)
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

	if (!db->sqlite ||
	    store_db_ask(db, "PRAGMA user_version", version, sizeof(version), NULL) < 0)
		return;

	(void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %.15s", version);
	(void)store_db_script(db, "PRAGMA synchronous = OFF", NULL);
	(void)store_db_script(db, sql, NULL);
	(void)store_db_script(db, "PRAGMA synchronous = FULL", NULL);
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

/*
 * That it cannot be looked at does not say that it is gone: what was committed is
 * there then, and to refuse it would be to do what was refused.
 */
static bool has_name(const struct store_db *db, const char *name, struct store_file *file)
{
	struct stat st;

	if (fstatat(db->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno != ENOENT || !file->ino;

	if (!file->ino)
		*file = (struct store_file){ st.st_dev, st.st_ino };
	return st.st_dev == file->dev && st.st_ino == file->ino;
}

int store_db_check_names(struct store_db *db, struct error *err)
{
	if (has_name(db, STORE_FILE, &db->file) && has_name(db, STORE_FILE "-wal", &db->log))
		return 0;

	return error_set(err, ERROR_UNAVAILABLE, ESTALE,
			 "cannot write " STORE_FILE ": somebody has removed or replaced it, or its "
			 "log, while it is in use; restart molecule-agentd");
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

void store_db_watch_log(struct store_db *db)
{
	(void)sqlite3_wal_hook(db->sqlite, note_commit, db);
	db->checkpoint_at = CHECKPOINT_PAGES;
	db->wal_pages = 0;
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
	db->file = db->log = (struct store_file){ 0 };
}
