/* SPDX-License-Identifier: MIT */
/*
 * The store and its file: who may have it, what becomes of one that is damaged,
 * and what the disk and the memory can do to it.
 */

#include "io/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "lib/test.h"
#include "store-fixture.h"

static void put_one_in_a_life(int value)
{
	struct fixture fixture;

	fixture_open(&fixture);
	CHECK_INT(put(&fixture, value), ERROR_NONE);
	fixture_close(&fixture);
}

static void run_sql(const char *sql)
{
	struct sqlite3 *db;

	CHECK_INT(sqlite3_open_v2(STORE_FILE, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	CHECK_INT(sqlite3_close(db), SQLITE_OK);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, strlen(text)), strlen(text));
	CHECK_INT(fchmod(fd, mode), 0);
	(void)close(fd);
}

/* --- whose file it is --- */

TEST(all_its_files_are_private_whatever_the_umask)
{
	struct fixture fixture;
	struct stat st;

	(void)umask(0);
	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	CHECK_INT(stat(STORE_FILE, &st), 0);
	CHECK_INT(st.st_mode, S_IFREG | 0600);
	CHECK_INT(stat(STORE_FILE "-wal", &st), 0);
	CHECK_INT(st.st_mode, S_IFREG | 0600);
	/* Nobody shares the log, so its index is no file. */
	CHECK(stat(STORE_FILE "-shm", &st) < 0);
	fixture_close(&fixture);
}

static void is_refused(const char *why)
{
	struct fixture fixture;
	struct number number;

	fixture_open(&fixture);
	number_init(&number, &fixture, 1);
	submit(&number);
	fixture_wait(&fixture, 1);
	CHECK(number.err.kind != ERROR_NONE);
	CHECK(strncmp(number.err.text, "cannot ", 7) == 0);
	CHECK(strstr(number.err.text, why));
	CHECK_INT(fixture.n_health, 1);
	CHECK_TEXT(fixture.health.text, number.err.text);
	fixture_close(&fixture);
}

TEST(a_link_is_not_followed)
{
	write_file("elsewhere", "", 0600);
	CHECK_INT(symlink("elsewhere", STORE_FILE), 0);
	is_refused("symbolic link");
}

TEST(a_log_that_is_a_link_is_not_followed)
{
	put_one_in_a_life(1);
	write_file("elsewhere", "", 0600);
	CHECK_INT(symlink("elsewhere", STORE_FILE "-wal"), 0);
	is_refused("cannot use " STORE_FILE);
}

TEST(a_file_that_is_open_to_others_is_refused)
{
	write_file(STORE_FILE, "", 0644);
	is_refused("open to others");
}

TEST(a_file_with_a_second_name_is_refused)
{
	write_file(STORE_FILE, "", 0600);
	CHECK_INT(link(STORE_FILE, "elsewhere"), 0);
	is_refused("2 names");
}

TEST(what_is_no_file_is_refused)
{
	CHECK_INT(mkfifo(STORE_FILE, 0600), 0);
	is_refused("not a regular file");
}

TEST(a_directory_behind_a_link_is_a_directory)
{
	struct error err = { 0 };
	struct fixture fixture;

	CHECK_INT(mkdir("real", 0700), 0);
	CHECK_INT(symlink("real", "link"), 0);
	fixture_open(&fixture);
	store_free(fixture.store);
	(void)close(fixture.dirfd);
	fixture.dirfd = open("real", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_INT(store_new(&fixture.loop, fixture.dirfd, "link", numbers_schema, &fixture.store,
			    &err),
		  0);
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	CHECK_INT(access("real/" STORE_FILE, F_OK), 0);
	fixture_close(&fixture);
}

TEST(another_directory_at_the_same_path_is_not_ours)
{
	struct error err = { 0 };
	struct fixture fixture;
	struct number number;

	CHECK_INT(mkdir("state", 0700), 0);
	fixture_open(&fixture);
	store_free(fixture.store);
	CHECK_INT(store_new(&fixture.loop, fixture.dirfd, "state", numbers_schema, &fixture.store,
			    &err),
		  0);
	number_init(&number, &fixture, 1);
	submit(&number);
	fixture_wait(&fixture, 1);
	CHECK_INT(number.err.kind, ERROR_UNAVAILABLE);
	CHECK(access("state/" STORE_FILE, F_OK) < 0);
	fixture_close(&fixture);
}

TEST(somebody_who_has_it_open_is_in_the_way_and_no_longer)
{
	struct fixture fixture;
	struct sqlite3 *db;

	put_one_in_a_life(1);
	CHECK_INT(sqlite3_open_v2(STORE_FILE, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 2), ERROR_UNAVAILABLE);
	CHECK_INT(sqlite3_close(db), SQLITE_OK);
	CHECK_INT(put(&fixture, 2), ERROR_NONE);
	CHECK_INT(fixture.health.kind, ERROR_NONE);
	CHECK_INT(fixture.n_health, 2);
	fixture_close(&fixture);
}

/* --- versions --- */

static const char *const newer_schema[] = {
	"CREATE TABLE numbers (number INTEGER PRIMARY KEY, blob BLOB) STRICT",
	"ALTER TABLE numbers ADD COLUMN word TEXT; UPDATE numbers SET word = 'one'",
	NULL,
};

static const char *const broken_schema[] = {
	"CREATE TABLE numbers (number INTEGER PRIMARY KEY, blob BLOB) STRICT",
	"DELETE FROM numbers; this is not SQL",
	NULL,
};

TEST(an_older_one_is_brought_to_our_version)
{
	struct error err = { 0 };
	struct fixture fixture;

	put_one_in_a_life(1);
	fixture_open_with(&fixture, newer_schema);
	/* Without any job, too. */
	CHECK_INT(store_start(fixture.store, &err), 0);
	fixture_close(&fixture);
	run_sql("INSERT INTO numbers SELECT 2, NULL, word FROM numbers WHERE word = 'one'");
	CHECK_INT(count_in_file(STORE_FILE, 0, 9), 2);
}

TEST(a_newer_one_is_refused_and_left_alone)
{
	put_one_in_a_life(1);
	run_sql("PRAGMA user_version = 7");
	is_refused("a newer molecule-agentd has written it (version 7, this one knows 1)");
	CHECK_INT(count_in_file(STORE_FILE, 0, 9), 1);
}

TEST(a_migration_that_fails_changes_nothing)
{
	struct fixture fixture;
	struct number number;

	put_one_in_a_life(1);
	fixture_open_with(&fixture, broken_schema);
	number_init(&number, &fixture, 2);
	submit(&number);
	fixture_wait(&fixture, 1);
	CHECK_INT(number.err.kind, ERROR_INTERNAL);
	CHECK(strstr(number.err.text, "cannot bring " STORE_FILE " to version 2"));
	fixture_close(&fixture);
	put_one_in_a_life(2);
	CHECK_INT(count_in_file(STORE_FILE, 0, 9), 2);
}

/* --- damage --- */

static void scribble(const char *name, off_t from, size_t len)
{
	char *bytes = malloc(len);
	int fd = open(name, O_WRONLY | O_CLOEXEC);

	CHECK(bytes && fd >= 0);
	memset(bytes, 0xa5, len);
	CHECK_INT(pwrite(fd, bytes, len, from), (ssize_t)len);
	(void)close(fd);
	free(bytes);
}

TEST(a_damaged_one_is_set_aside_and_a_new_one_begun)
{
	struct fixture fixture;
	struct stat st;

	put_one_in_a_life(1);
	scribble(STORE_FILE, 0, 100);
	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	CHECK(strncmp(fixture.aside, STORE_FILE ".corrupt-2", 18) == 0);
	CHECK_INT(stat(fixture.aside, &st), 0);
	CHECK(st.st_size >= 2 * (off_t)DISK_PAGE);
	CHECK_INT(fixture.n_health, 0);
	CHECK_INT(count(&fixture, 0, 9), 1);
	fixture_close(&fixture);
}

TEST(damage_that_is_met_later_is_met_once)
{
	char *blob = calloc(1, (size_t)64 * DISK_PAGE);
	struct fixture fixture;
	struct number number;

	CHECK(blob);
	fixture_open(&fixture);
	number_init(&number, &fixture, 1);
	number.blob = blob;
	number.blob_len = (size_t)64 * DISK_PAGE;
	submit(&number);
	fixture_wait(&fixture, 1);
	fixture_close(&fixture);

	/* The table's root; the first page, and with it the schema, is well. */
	scribble(STORE_FILE, DISK_PAGE, DISK_PAGE);
	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 2), ERROR_UNAVAILABLE);
	CHECK(strstr(fixture.health.text, "damaged"));
	CHECK_TEXT(fixture.aside, "");
	CHECK_INT(put(&fixture, 2), ERROR_NONE);
	CHECK(fixture.aside[0]);
	CHECK_INT(fixture.health.kind, ERROR_NONE);
	CHECK_INT(count(&fixture, 0, 9), 1);
	fixture_close(&fixture);
	free(blob);
}

TEST(the_log_of_a_damaged_one_stays_with_it)
{
	struct fixture fixture;
	char log[160];
	struct stat st;
	pid_t pid;
	int status;

	put_one_in_a_life(1);
	pid = fork();
	if (pid == 0) {
		fixture_open(&fixture);
		_exit((int)put(&fixture, 2));
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	CHECK_INT(stat(STORE_FILE "-wal", &st), 0);
	CHECK(st.st_size > 0);

	/* Both copies of the first page: the file's and the log's. */
	scribble(STORE_FILE, 0, 100);
	scribble(STORE_FILE "-wal", 0, 32);
	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 3), ERROR_NONE);
	(void)snprintf(log, sizeof(log), "%s-wal", fixture.aside);
	CHECK_INT(stat(log, &st), 0);
	CHECK(st.st_size > 0);
	fixture_close(&fixture);
}

/* SQLite calls both corrupt. */
TEST(a_read_that_fails_is_not_a_file_that_is_damaged)
{
	int n = 0;
	bool failed;

	atomic_store(&disk.is_quick, true);
	put_one_in_a_life(0);
	do {
		struct fixture fixture;

		atomic_store(&disk.bad_read, ++n);
		fixture_open(&fixture);
		(void)put(&fixture, n);
		failed = atomic_load(&disk.bad_read) <= 0;
		atomic_store(&disk.bad_read, 0);
		CHECK_INT(put(&fixture, -1 + 1000 * n), ERROR_NONE);
		CHECK_INT(count(&fixture, 0, 0), 1);
		CHECK_TEXT(fixture.aside, "");
		fixture_close(&fixture);
	} while (failed);
	CHECK(n > 3);
}

/* --- a file that goes away --- */

static void check_nothing_is_promised(struct fixture *fixture)
{
	int n_health = fixture->n_health;

	CHECK_INT(put(fixture, 2), ERROR_UNAVAILABLE);
	CHECK_INT(fixture->n_health, n_health + 1);
	CHECK_INT(fixture->health.errnum, ESTALE);
	CHECK(strstr(fixture->health.text, "removed or replaced"));
}

TEST(nothing_is_promised_once_the_file_was_removed)
{
	struct fixture fixture;

	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	CHECK_INT(rename(STORE_FILE, "elsewhere"), 0);
	check_nothing_is_promised(&fixture);

	/* Another one of that name is not ours. */
	write_file(STORE_FILE, "", 0600);
	CHECK_INT(put(&fixture, 3), ERROR_UNAVAILABLE);

	CHECK_INT(rename("elsewhere", STORE_FILE), 0);
	CHECK_INT(put(&fixture, 4), ERROR_NONE);
	CHECK_INT(fixture.health.kind, ERROR_NONE);
	fixture_close(&fixture);
}

TEST(nothing_is_promised_once_the_log_was_removed)
{
	struct fixture fixture;

	put_one_in_a_life(0);
	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	CHECK_INT(unlink(STORE_FILE "-wal"), 0);
	check_nothing_is_promised(&fixture);
	fixture_close(&fixture);

	/* The next life has a log of its own. */
	put_one_in_a_life(5);
	CHECK_INT(count_in_file(STORE_FILE, 5, 5), 1);
}

/* --- a disk that fails --- */

TEST(a_full_disk_is_an_error_and_nothing_more)
{
	struct number numbers[4];
	struct fixture fixture;

	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	atomic_store(&disk.write_code, SQLITE_FULL);
	for (int i = 0; i < 4; i++) {
		number_init(&numbers[i], &fixture, 10 + i);
		submit(&numbers[i]);
	}
	fixture_wait(&fixture, 5);
	for (int i = 0; i < 4; i++) {
		CHECK_INT(numbers[i].err.kind, ERROR_UNAVAILABLE);
		CHECK_INT(numbers[i].err.errnum, ENOSPC);
		CHECK_TEXT(numbers[i].err.text,
			   "cannot write " STORE_FILE ": No space left on device");
	}
	/* What can be read can be read, and is no news of the disk. */
	CHECK_INT(count(&fixture, 0, 99), 1);
	CHECK_INT(fixture.n_health, 1);
	CHECK_INT(fixture.health.kind, ERROR_UNAVAILABLE);

	atomic_store(&disk.write_code, 0);
	CHECK_INT(put(&fixture, 2), ERROR_NONE);
	CHECK_INT(fixture.n_health, 2);
	CHECK_INT(fixture.health.kind, ERROR_NONE);
	CHECK_INT(count(&fixture, 0, 99), 2);
	fixture_close(&fixture);
	CHECK_INT(count_in_file(STORE_FILE, 0, 99), 2);
}

TEST(a_disk_that_is_full_from_the_start)
{
	struct fixture fixture;

	fixture_open(&fixture);
	atomic_store(&disk.write_code, SQLITE_FULL);
	CHECK_INT(put(&fixture, 1), ERROR_UNAVAILABLE);
	CHECK_INT(put(&fixture, 2), ERROR_UNAVAILABLE);
	CHECK_TEXT(fixture.aside, "");
	atomic_store(&disk.write_code, 0);
	CHECK_INT(put(&fixture, 3), ERROR_NONE);
	CHECK_INT(count(&fixture, 0, 9), 1);
	fixture_close(&fixture);
}

TEST(what_could_not_be_made_last_is_not_there_after_kill_9)
{
	struct fixture fixture;
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		fixture_open(&fixture);
		CHECK_INT(put(&fixture, 1), ERROR_NONE);
		atomic_store(&disk.sync_code, SQLITE_IOERR_FSYNC);
		CHECK_INT(put(&fixture, 2), ERROR_UNAVAILABLE);
		_exit(0);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	CHECK_INT(count_in_file(STORE_FILE, 2, 2), 0);
	CHECK_INT(count_in_file(STORE_FILE, 1, 1), 1);
}

TEST(the_log_does_not_grow_for_ever)
{
	char *blob = calloc(1, (size_t)16 * DISK_PAGE);
	struct fixture fixture;
	struct number number;
	struct stat st;

	CHECK(blob);
	atomic_store(&disk.is_quick, true);
	fixture_open(&fixture);
	for (int i = 0; i < 400; i++) {
		number_init(&number, &fixture, i);
		number.blob = blob;
		number.blob_len = (size_t)16 * DISK_PAGE;
		submit(&number);
		fixture_wait(&fixture, fixture.n_answers + 1);
		CHECK_INT(number.err.kind, ERROR_NONE);
	}
	CHECK_INT(stat(STORE_FILE, &st), 0);
	CHECK(st.st_size > 20 * 1024 * 1024);
	CHECK_INT(stat(STORE_FILE "-wal", &st), 0);
	CHECK(st.st_size < 6 * 1024 * 1024);
	fixture_close(&fixture);
	free(blob);
}

TEST(what_is_too_large_is_refused)
{
	size_t len = (size_t)17 * 1024 * 1024;
	char *blob = calloc(1, len);
	struct fixture fixture;
	struct number number;

	CHECK(blob);
	fixture_open(&fixture);
	number_init(&number, &fixture, 1);
	number.blob = blob;
	number.blob_len = len;
	submit(&number);
	fixture_wait(&fixture, 1);
	CHECK_INT(number.err.kind, ERROR_TOO_LARGE);
	CHECK_INT(put(&fixture, 2), ERROR_NONE);
	fixture_close(&fixture);
	free(blob);
}

/* --- memory that fails --- */

static sqlite3_mem_methods memory;
static _Atomic(int) left; /* allocations until one fails; 0: none does */
static _Atomic(bool) for_ever, failed;

static bool fails(void)
{
	if (atomic_load(&left) == 0)
		return false;
	if (atomic_fetch_sub(&left, 1) != 1)
		return false;

	atomic_store(&left, atomic_load(&for_ever) ? 1 : 0);
	atomic_store(&failed, true);
	return true;
}

static void *scarce_malloc(int size)
{
	return fails() ? NULL : memory.xMalloc(size);
}

static void *scarce_realloc(void *block, int size)
{
	return fails() ? NULL : memory.xRealloc(block, size);
}

static void make_memory_scarce(void)
{
	sqlite3_mem_methods scarce;

	CHECK_INT(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory), SQLITE_OK);
	scarce = memory;
	scarce.xMalloc = scarce_malloc;
	scarce.xRealloc = scarce_realloc;
	CHECK_INT(sqlite3_config(SQLITE_CONFIG_MALLOC, &scarce), SQLITE_OK);
}

/* Each allocation of a first job, and of one after it, fails in turn. */
static int sweep(bool ever, bool opened)
{
	int n = 0;

	atomic_store(&for_ever, ever);
	do {
		enum error_kind kind;
		struct fixture fixture;

		write_file(STORE_FILE, "", 0600);
		fixture_open(&fixture);
		if (opened)
			CHECK_INT(put(&fixture, 0), ERROR_NONE);
		atomic_store(&failed, false);
		atomic_store(&left, ++n);
		kind = put(&fixture, 1);
		atomic_store(&left, 0);
		/* Some it can do without. */
		CHECK(kind == ERROR_NONE || atomic_load(&failed));
		CHECK_INT(put(&fixture, 2), ERROR_NONE);
		CHECK_INT(count(&fixture, 1, 1), kind == ERROR_NONE ? 1 : 0);
		CHECK_TEXT(fixture.aside, "");
		fixture_close(&fixture);
	} while (atomic_load(&failed));

	return n;
}

TEST(without_memory_there_is_an_error_and_all_is_well_afterwards)
{
	make_memory_scarce();
	atomic_store(&disk.is_quick, true);
	CHECK(sweep(false, false) > 100);
	CHECK(sweep(true, false) > 50);
	CHECK(sweep(false, true) > 1);
	CHECK(sweep(true, true) > 1);
}
