/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The database file of a store: found, checked, opened, brought to our version,
 * and set aside when it is damaged (store-open.c); used (store-db.c). By the
 * store's thread alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "io/store.h"

#define STORE_ASIDE_SIZE 64

struct store_statement {
	const char *sql; /* known by its address */
	struct sqlite3_stmt *stmt;
};

/* Which file it is that we write to, whatever has its name now. */
struct store_file {
	dev_t dev;
	ino_t ino; /* 0: not known yet */
};

struct store_db {
	int dirfd;        /* borrowed */
	const char *path; /* borrowed: the directory's */
	const char *const *migrations;
	struct sqlite3 *sqlite; /* NULL: not open */
	struct store_file file, log;
	struct store_statement statements[STORE_STATEMENTS_MAX];
	size_t n_statements;
	int wal_pages;                /* in the log, after the last commit */
	int checkpoint_at;            /* at so many of them */
	bool wrote;                   /* whether the last commit had anything to write */
	bool grows;                   /* the log, since it cannot be moved into the file */
	bool damaged;                 /* something that was read makes no sense */
	bool set_aside;               /* once: two in one life are more than an accident */
	char aside[STORE_ASIDE_SIZE]; /* where it is; until told */
};

/* Nothing to do when it is open; one that was damaged is looked at, and maybe set aside. */
int store_db_open(struct store_db *db, struct error *err);
void store_db_close(struct store_db *db);

int store_db_begin(struct store_db *db, struct error *err);
/* After a failure nothing of the transaction is there any more, not even after kill -9. */
int store_db_commit(struct store_db *db, struct error *err);
/*
 * Fails when the file or its log is not there any more: what is written then is
 * gone with the process. To be asked after a commit, before it is told.
 */
int store_db_check_names(struct store_db *db, struct error *err);
void store_db_rollback(struct store_db *db);
bool store_db_in_transaction(const struct store_db *db);

/* Between them a job's changes can be undone. */
int store_db_mark(struct store_db *db, struct error *err);
int store_db_release(struct store_db *db, bool undo, struct error *err);

/* Moves what the log has into the file when there is enough of it, or with force anything. */
int store_db_checkpoint(struct store_db *db, bool force, struct error *err);

/* All of it, and leaves nothing in the log: what was deleted is in neither. */
int store_db_empty_log(struct store_db *db, struct error *err);

int store_db_prepare(struct store_db *db, const char *sql, struct sqlite3_stmt **ret,
		     struct error *err);
/* What is run once, and not kept prepared. */
int store_db_script(struct store_db *db, const char *sql, struct error *err);
/* The first column of the first row; "" when there is none. */
int store_db_ask(struct store_db *db, const char *sql, char *dst, size_t dst_size,
		 struct error *err);
/* From now on wal_pages and wrote are kept. */
void store_db_watch_log(struct store_db *db);
/* The error that code means, with -errno. */
int store_db_failed(struct store_db *db, int code, struct error *err);
