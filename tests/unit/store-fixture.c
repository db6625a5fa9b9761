/* SPDX-License-Identifier: MIT */
#include "store-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "lib/test.h"

struct disk disk;

/* --- a disk in between --- */

#define TABLES_MAX 4

static sqlite3_vfs *real_vfs, hooked_vfs;
/* SQLite's own operations of a kind of file, and ours that replace them. */
static struct {
	const sqlite3_io_methods *real;
	sqlite3_io_methods hooked;
} tables[TABLES_MAX];

static const sqlite3_io_methods *real_of(sqlite3_file *file)
{
	for (size_t i = 0; i < TABLES_MAX; i++)
		if (file->pMethods == &tables[i].hooked)
			return tables[i].real;

	abort();
}

static int hooked_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
	if (atomic_load(&disk.bad_read) > 0 && atomic_fetch_sub(&disk.bad_read, 1) == 1)
		return SQLITE_IOERR_CORRUPTFS;

	return real_of(file)->xRead(file, bytes, len, offset);
}

static int hooked_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
	int code = atomic_load(&disk.write_code);

	return code ? code : real_of(file)->xWrite(file, bytes, len, offset);
}

static int hooked_sync(sqlite3_file *file, int flags)
{
	int code;

	atomic_fetch_add(&disk.n_syncs, 1);
	if (atomic_load(&disk.holds)) {
		atomic_fetch_add(&disk.n_held, 1);
		while (atomic_load(&disk.holds))
			(void)usleep(1000);
	}
	code = atomic_load(&disk.sync_code);
	return code || atomic_load(&disk.is_quick) ? code : real_of(file)->xSync(file, flags);
}

static void hook(sqlite3_file *file)
{
	size_t i = 0;

	while (tables[i].real && tables[i].real != file->pMethods)
		i++;
	CHECK(i < TABLES_MAX);
	if (!tables[i].real) {
		tables[i].hooked = *file->pMethods;
		tables[i].hooked.xRead = hooked_read;
		tables[i].hooked.xWrite = hooked_write;
		tables[i].hooked.xSync = hooked_sync;
		tables[i].real = file->pMethods;
	}
	file->pMethods = &tables[i].hooked;
}

static int hooked_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
		       int *ret_flags)
{
	int code = real_vfs->xOpen(real_vfs, name, file, flags, ret_flags);

	if (code == SQLITE_OK && file->pMethods)
		hook(file);
	return code;
}

static void disk_insert(void)
{
	if (real_vfs)
		return;

	real_vfs = sqlite3_vfs_find(NULL);
	hooked_vfs = *real_vfs;
	hooked_vfs.zName = "disk";
	hooked_vfs.xOpen = hooked_open;
	CHECK_INT(sqlite3_vfs_register(&hooked_vfs, 1), SQLITE_OK);
}

void disk_hold(void)
{
	atomic_store(&disk.n_held, 0);
	atomic_store(&disk.holds, true);
}

void disk_wait_until_held(int n)
{
	while (atomic_load(&disk.n_held) < n)
		(void)usleep(1000);
}

void disk_release(void)
{
	atomic_store(&disk.holds, false);
}

/* --- the store --- */

const char *const numbers_schema[] = {
	"CREATE TABLE numbers (number INTEGER PRIMARY KEY, blob BLOB) STRICT",
	NULL,
};

static void on_health(void *data, const struct error *err)
{
	struct fixture *fixture = data;

	fixture->health = err ? *err : (struct error){ 0 };
	fixture->n_health++;
}

static void on_set_aside(void *data, const char *name)
{
	struct fixture *fixture = data;

	(void)snprintf(fixture->aside, sizeof(fixture->aside), "%s", name);
}

static const struct store_events events = { on_health, on_set_aside };

void fixture_open_with(struct fixture *fixture, const char *const *migrations)
{
	struct error err = { 0 };

	disk_insert();
	*fixture = (struct fixture){ 0 };
	CHECK_INT(loop_init(&fixture->loop), 0);
	fixture->dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fixture->dirfd >= 0);
	CHECK_INT(store_new(&fixture->loop, fixture->dirfd, ".", migrations, &fixture->store, &err),
		  0);
	store_listen(fixture->store, &events, fixture);
}

void fixture_open(struct fixture *fixture)
{
	fixture_open_with(fixture, numbers_schema);
}

void fixture_close(struct fixture *fixture)
{
	store_free(fixture->store);
	loop_fini(&fixture->loop);
	(void)close(fixture->dirfd);
}

void fixture_wait(struct fixture *fixture, size_t n)
{
	fixture->wanted = n;
	if (fixture->n_answers < n)
		loop_run(&fixture->loop);
	CHECK_INT(fixture->n_answers, n);
}

static int run_number(struct store_job *job, struct sqlite3 *db, struct error *err)
{
	struct number *number = container_of(job, struct number, job);
	struct sqlite3_stmt *stmt;
	int r;

	r = store_prepare(job, "INSERT INTO numbers VALUES (?1, ?2)", &stmt, err);
	if (r < 0)
		return r;

	r = store_check(job, sqlite3_bind_int(stmt, 1, number->value), err);
	if (r == 0 && number->blob)
		r = store_check(job,
				sqlite3_bind_blob(stmt, 2, number->blob, (int)number->blob_len,
						  SQLITE_STATIC),
				err);
	if (r == 0)
		r = store_step(job, stmt, err);
	if (r == 0 && number->value < 0)
		r = error_set(err, ERROR_NOT_PERMITTED, EPERM, "cannot take a negative number");
	return r;
}

static void on_number(struct store_job *job, const struct error *err)
{
	struct number *number = container_of(job, struct number, job);
	struct fixture *fixture = number->fixture;

	CHECK(!number->at);
	number->err = err ? *err : (struct error){ 0 };
	number->at = (int)++fixture->n_answers;
	if (fixture->n_answers == fixture->wanted)
		loop_stop(&fixture->loop);
}

static void free_number(struct store_job *job)
{
	struct number *number = container_of(job, struct number, job);

	CHECK(!number->freed);
	number->freed = true;
}

void number_init(struct number *number, struct fixture *fixture, int value)
{
	*number = (struct number){
		.job = { .run = run_number, .on_done = on_number, .free = free_number },
		.fixture = fixture,
		.value = value,
	};
}

void submit(struct number *number)
{
	struct error err = { 0 };

	CHECK_INT(store_submit(number->fixture->store, &number->job, &err), 0);
}

enum error_kind put(struct fixture *fixture, int value)
{
	struct number number;

	number_init(&number, fixture, value);
	submit(&number);
	fixture_wait(fixture, fixture->n_answers + 1);
	return number.err.kind;
}

/* --- what is in it --- */

struct counting {
	struct store_job job;
	struct fixture *fixture;
	int from, to, found;
};

static const char COUNT[] = "SELECT count(*) FROM numbers WHERE number BETWEEN ?1 AND ?2";

static int run_counting(struct store_job *job, struct sqlite3 *db, struct error *err)
{
	struct counting *counting = container_of(job, struct counting, job);
	struct sqlite3_stmt *stmt;

	counting->found = -1;
	if (store_prepare(job, COUNT, &stmt, err) < 0)
		return -EIO;

	(void)sqlite3_bind_int(stmt, 1, counting->from);
	(void)sqlite3_bind_int(stmt, 2, counting->to);
	if (store_step(job, stmt, err) != 1)
		return -EIO;

	counting->found = sqlite3_column_int(stmt, 0);
	/* In the middle of its rows, as somebody may leave it. */
	return 0;
}

static void on_counted(struct store_job *job, const struct error *err)
{
	struct counting *counting = container_of(job, struct counting, job);

	CHECK(!err);
	loop_stop(&counting->fixture->loop);
}

int count(struct fixture *fixture, int from, int to)
{
	struct counting counting = { .job = { .run = run_counting, .on_done = on_counted },
				     .fixture = fixture,
				     .from = from,
				     .to = to };
	struct error err = { 0 };

	CHECK_INT(store_submit(fixture->store, &counting.job, &err), 0);
	loop_run(&fixture->loop);
	return counting.found;
}

int count_in_file(const char *name, int from, int to)
{
	struct sqlite3_stmt *stmt;
	struct sqlite3 *db;
	int found;

	CHECK_INT(sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	CHECK_INT(sqlite3_prepare_v2(db, COUNT, -1, &stmt, NULL), SQLITE_OK);
	(void)sqlite3_bind_int(stmt, 1, from);
	(void)sqlite3_bind_int(stmt, 2, to);
	CHECK_INT(sqlite3_step(stmt), SQLITE_ROW);
	found = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt);
	CHECK_INT(sqlite3_close(db), SQLITE_OK);
	return found;
}
