/* SPDX-License-Identifier: MIT */
/*
 * The store between the loop and its thread: groups, order, abandoned jobs, limits.
 */

#include "io/store.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "lib/test.h"
#include "store-fixture.h"

#define MANY 100

/* Of the store's; a sanitizer may have one of its own. */
static int n_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	char path[300], name[32];
	int n = 0;

	CHECK(dir);
	while ((entry = readdir(dir))) {
		FILE *file;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file && fgets(name, sizeof(name), file) && strcmp(name, "store\n") == 0)
			n++;
		if (file)
			(void)fclose(file);
	}
	(void)closedir(dir);
	return n;
}

TEST(nothing_is_there_before_the_first_job)
{
	struct error err = { 0 };
	struct fixture fixture;

	fixture_open(&fixture);
	CHECK(!store_is_old(fixture.store));
	CHECK_INT(store_start(fixture.store, &err), 0);
	CHECK_INT(n_threads(), 0);
	CHECK(access(STORE_FILE, F_OK) < 0);
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	CHECK_INT(n_threads(), 1);
	CHECK_INT(access(STORE_FILE, F_OK), 0);
	fixture_close(&fixture);
}

TEST(what_was_put_in_is_there_in_the_next_life)
{
	struct fixture fixture;

	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	CHECK_INT(count(&fixture, 0, 9), 1);
	fixture_close(&fixture);
	CHECK(access(STORE_FILE "-wal", F_OK) < 0);

	fixture_open(&fixture);
	CHECK(store_is_old(fixture.store));
	CHECK_INT(put(&fixture, 1), ERROR_CONFLICT);
	CHECK_INT(put(&fixture, 2), ERROR_NONE);
	CHECK_INT(count(&fixture, 0, 9), 2);
	fixture_close(&fixture);
	CHECK_INT(count_in_file(STORE_FILE, 0, 9), 2);
}

TEST(all_that_waits_is_one_commit_and_one_fsync)
{
	struct number numbers[MANY];
	struct store_stats before, after;
	struct fixture fixture;
	int n_syncs;

	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 1000), ERROR_NONE);
	store_stats(fixture.store, &before);
	n_syncs = atomic_load(&disk.n_syncs);

	disk_hold();
	for (int i = 0; i < MANY; i++) {
		number_init(&numbers[i], &fixture, i);
		submit(&numbers[i]);
		/* The first is alone; all others come while it is on its way to the disk. */
		if (i == 0)
			disk_wait_until_held(1);
	}
	store_stats(fixture.store, &after);
	CHECK_INT(after.queued, MANY);
	CHECK_INT(fixture.n_answers, 1);
	disk_release();
	fixture_wait(&fixture, 1 + MANY);

	store_stats(fixture.store, &after);
	CHECK_INT(after.queued, 0);
	CHECK_INT(after.jobs - before.jobs, MANY);
	CHECK_INT(after.commits - before.commits, 2);
	CHECK_INT(atomic_load(&disk.n_syncs) - n_syncs, 2);
	for (int i = 0; i < MANY; i++) {
		CHECK_INT(numbers[i].err.kind, ERROR_NONE);
		CHECK_INT(numbers[i].at, 2 + i);
	}
	CHECK_INT(count(&fixture, 0, MANY), MANY);
	fixture_close(&fixture);
}

TEST(no_group_is_larger_than_its_limit)
{
	struct number *numbers = calloc(STORE_BATCH_MAX * 3, sizeof(*numbers));
	struct store_stats stats;
	struct fixture fixture;

	CHECK(numbers);
	fixture_open(&fixture);
	disk_hold();
	for (int i = 0; i < STORE_BATCH_MAX * 3; i++) {
		number_init(&numbers[i], &fixture, i);
		submit(&numbers[i]);
		if (i == 0)
			disk_wait_until_held(1);
	}
	disk_release();
	fixture_wait(&fixture, STORE_BATCH_MAX * 3);
	store_stats(fixture.store, &stats);
	CHECK(stats.commits >= 3);
	for (int i = 0; i < STORE_BATCH_MAX * 3; i++)
		CHECK_INT(numbers[i].at, i + 1);
	fixture_close(&fixture);
	free(numbers);
}

TEST(a_job_that_fails_undoes_itself_and_hurts_no_other)
{
	struct number numbers[5];
	struct fixture fixture;

	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 100), ERROR_NONE);
	disk_hold();
	for (int i = 0; i < 5; i++) {
		number_init(&numbers[i], &fixture, i == 2 ? -2 : i == 3 ? 100 : i);
		submit(&numbers[i]);
		if (i == 0)
			disk_wait_until_held(1);
	}
	disk_release();
	fixture_wait(&fixture, 6);
	CHECK_INT(numbers[1].err.kind, ERROR_NONE);
	CHECK_INT(numbers[2].err.kind, ERROR_NOT_PERMITTED);
	CHECK_TEXT(numbers[2].err.text, "cannot take a negative number");
	CHECK_INT(numbers[3].err.kind, ERROR_CONFLICT);
	CHECK_INT(numbers[4].err.kind, ERROR_NONE);
	CHECK_INT(count(&fixture, -9, 9), 3);
	/* It was their fault, not the disk's. */
	CHECK_INT(fixture.n_health, 0);
	fixture_close(&fixture);
}

TEST(an_abandoned_job_is_done_and_freed_and_not_heard_of)
{
	struct number first, abandoned, last;
	struct fixture fixture;

	fixture_open(&fixture);
	number_init(&first, &fixture, 1);
	number_init(&abandoned, &fixture, 2);
	number_init(&last, &fixture, 3);
	submit(&first);
	submit(&abandoned);
	submit(&last);
	store_abandon(&abandoned.job);
	CHECK(!abandoned.freed);
	fixture_wait(&fixture, 2);
	CHECK(abandoned.freed && !abandoned.at);
	CHECK(!first.freed && !last.freed);
	CHECK_INT(count(&fixture, 1, 3), 3);

	number_init(&abandoned, &fixture, 4);
	store_abandon(&abandoned.job);
	CHECK(abandoned.freed);
	CHECK_INT(count(&fixture, 4, 4), 0);
	fixture_close(&fixture);
}

static void abandon_other(struct store_job *job, const struct error *err)
{
	struct number *number = container_of(job, struct number, job);

	store_abandon(&number[1].job);
	number->fixture->n_answers++;
}

TEST(one_answer_may_abandon_the_next)
{
	struct number numbers[3];
	struct fixture fixture;

	fixture_open(&fixture);
	for (int i = 0; i < 3; i++)
		number_init(&numbers[i], &fixture, i);
	numbers[0].job.on_done = abandon_other;
	for (int i = 0; i < 3; i++)
		submit(&numbers[i]);
	fixture_wait(&fixture, 2);
	CHECK(numbers[1].freed && !numbers[1].at);
	CHECK_INT(numbers[2].at, 2);
	fixture_close(&fixture);
}

static void submit_again(struct store_job *job, const struct error *err)
{
	struct number *number = container_of(job, struct number, job);
	struct fixture *fixture = number->fixture;

	CHECK(!err);
	if (++number->value < 5)
		CHECK_INT(store_submit(fixture->store, job, &number->err), 0);
	else
		loop_stop(&fixture->loop);
}

TEST(a_job_can_be_submitted_again_from_its_answer)
{
	struct fixture fixture;
	struct number number;

	fixture_open(&fixture);
	number_init(&number, &fixture, 0);
	number.job.on_done = submit_again;
	submit(&number);
	loop_run(&fixture.loop);
	CHECK_INT(count(&fixture, 0, 9), 5);
	fixture_close(&fixture);
}

TEST(more_than_the_limit_may_not_wait)
{
	struct number *numbers = calloc(STORE_QUEUE_MAX + 1, sizeof(*numbers));
	struct error err = { 0 };
	struct fixture fixture;

	CHECK(numbers);
	fixture_open(&fixture);
	disk_hold();
	for (int i = 0; i <= STORE_QUEUE_MAX; i++)
		number_init(&numbers[i], &fixture, i);
	for (int i = 0; i < STORE_QUEUE_MAX; i++)
		submit(&numbers[i]);
	CHECK(store_submit(fixture.store, &numbers[STORE_QUEUE_MAX].job, &err) < 0);
	CHECK_INT(err.kind, ERROR_OVERLOADED);
	disk_release();
	fixture_wait(&fixture, STORE_QUEUE_MAX);
	submit(&numbers[STORE_QUEUE_MAX]);
	fixture_wait(&fixture, STORE_QUEUE_MAX + 1);
	CHECK_INT(count(&fixture, 0, STORE_QUEUE_MAX), STORE_QUEUE_MAX + 1);
	fixture_close(&fixture);
	free(numbers);
}

TEST(the_end_finishes_what_is_queued)
{
	struct number numbers[MANY];
	struct error err = { 0 };
	struct fixture fixture;

	fixture_open(&fixture);
	for (int i = 0; i < MANY; i++) {
		number_init(&numbers[i], &fixture, i);
		submit(&numbers[i]);
	}
	store_abandon(&numbers[7].job);
	fixture_close(&fixture);
	CHECK_INT(fixture.n_answers, MANY - 1);
	CHECK(numbers[7].freed);
	CHECK_INT(count_in_file(STORE_FILE, 0, MANY), MANY);
	CHECK_INT(err.kind, ERROR_NONE);
}

static void submit_at_the_end(struct store_job *job, const struct error *err)
{
	struct number *number = container_of(job, struct number, job);

	CHECK(store_submit(number->fixture->store, job, &number->err) < 0);
}

TEST(nothing_is_taken_while_it_ends)
{
	struct fixture fixture;
	struct number number;

	fixture_open(&fixture);
	number_init(&number, &fixture, 1);
	number.job.on_done = submit_at_the_end;
	submit(&number);
	fixture_close(&fixture);
	CHECK_INT(number.err.kind, ERROR_UNAVAILABLE);
	CHECK(strstr(number.err.text, "stopping"));
}

TEST(a_disk_that_hangs_is_seen_and_not_waited_for_at_the_end)
{
	struct fixture fixture;
	struct number number;
	int64_t began_ms;

	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	disk_hold();
	number_init(&number, &fixture, 2);
	submit(&number);
	disk_wait_until_held(1);
	CHECK(!store_is_stuck(fixture.store, 600000));
	while (!store_is_stuck(fixture.store, 50))
		(void)usleep(1000);
	began_ms = loop_now_ms(&fixture.loop);
	store_free(fixture.store);
	CHECK(loop_now_ms(&fixture.loop) - began_ms < STORE_STOP_MS * 4);
	CHECK_INT(fixture.n_answers, 1);
	/* When the disk comes round, the loop is gone. */
	loop_fini(&fixture.loop);
	disk_release();
	while (n_threads() > 0)
		(void)usleep(1000);
	CHECK_INT(count_in_file(STORE_FILE, 0, 9), 2);
}

TEST(it_is_not_stuck_when_it_has_nothing_to_do)
{
	struct fixture fixture;

	fixture_open(&fixture);
	CHECK(!store_is_stuck(fixture.store, -1));
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	while (store_is_stuck(fixture.store, -1))
		(void)usleep(1000);
	fixture_close(&fixture);
}

/* Puts numbers in until it is killed, and says which are in. */
_Noreturn static void put_for_ever(int pipe_fd)
{
	struct fixture fixture;

	fixture_open(&fixture);
	for (int i = count(&fixture, 0, INT32_MAX);; i++) {
		CHECK_INT(put(&fixture, i), ERROR_NONE);
		CHECK_INT(write(pipe_fd, &i, sizeof(i)), sizeof(i));
	}
}

TEST(what_was_answered_survives_kill_9_at_any_instant)
{
	int n = 0, value, last = -1, fds[2], status;

	for (int round = 0; round < 40; round++) {
		pid_t pid;

		CHECK_INT(pipe(fds), 0);
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			(void)close(fds[0]);
			put_for_ever(fds[1]);
		}
		(void)close(fds[1]);
		/* One at least, then some time within the next. */
		CHECK_INT(read(fds[0], &value, sizeof(value)), sizeof(value));
		last = value;
		(void)nanosleep(&(struct timespec){ .tv_nsec = round * 137000L }, NULL);
		CHECK_INT(kill(pid, SIGKILL), 0);
		while (read(fds[0], &value, sizeof(value)) == sizeof(value))
			last = value;
		(void)close(fds[0]);
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK(WIFSIGNALED(status));
		n = last + 1;
	}

	/* All that were answered; of the rest at most the one that was under way. */
	value = count_in_file(STORE_FILE, 0, INT32_MAX);
	CHECK(value == n || value == n + 1);
	CHECK_INT(count_in_file(STORE_FILE, 0, n - 1), n);
}

TEST(it_says_how_it_does)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1u << 20);
	struct fixture fixture;

	fixture_open(&fixture);
	CHECK_INT(put(&fixture, 1), ERROR_NONE);
	CHECK_INT(put(&fixture, 1), ERROR_CONFLICT);
	store_write_metrics(fixture.store, &out);
	CHECK_INT(buffer_append_char(&out, '\0'), 0);
	CHECK(strstr(buffer_at(&out), "\nmolecule_store_queued 0\n"));
	CHECK(strstr(buffer_at(&out), "\nmolecule_store_jobs_total{result=\"ok\"} 1\n"));
	CHECK(strstr(buffer_at(&out), "\nmolecule_store_jobs_total{result=\"failed\"} 1\n"));
	CHECK(strstr(buffer_at(&out), "\nmolecule_store_commits_total{result=\"ok\"} 2\n"));
	CHECK(strstr(buffer_at(&out), "\nmolecule_store_commits_total{result=\"failed\"} 0\n"));
	CHECK(strstr(buffer_at(&out), "\nmolecule_store_commit_seconds_count 2\n"));
	fixture_close(&fixture);
}
