/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A store in the test's directory, with a table of numbers, on a disk that does
 * as the test says.
 */

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "io/store.h"

#define DISK_PAGE 4096

/* What the disk does to the files of a database; from any thread. */
struct disk {
	_Atomic(int) write_code; /* SQLITE_FULL and the like; 0: well */
	_Atomic(int) sync_code;
	_Atomic(int) bad_read;  /* that many-th read from now on fails, as a bad sector does */
	_Atomic(bool) is_quick; /* a sync is nothing */
	_Atomic(bool) holds;    /* a sync does not return while it does */
	_Atomic(int) n_syncs, n_held;
};

extern struct disk disk;

struct fixture {
	struct loop loop;
	struct store *store;
	int dirfd;
	size_t n_answers;
	size_t wanted; /* the loop stops at so many answers */
	struct error health;
	int n_health;
	char aside[128];
};

extern const char *const numbers_schema[]; /* migrations */

/* Puts the number in; a negative one fails after it did. */
struct number {
	struct store_job job;
	struct fixture *fixture;
	int value;
	const char *blob; /* to go with it, or NULL */
	size_t blob_len;
	int at; /* the how many-th answer it was; 0: none yet */
	bool freed;
	struct error err;
};

void fixture_open(struct fixture *fixture);
void fixture_open_with(struct fixture *fixture, const char *const *migrations);
void fixture_close(struct fixture *fixture);
/* Turns the loop until there were so many answers since the beginning. */
void fixture_wait(struct fixture *fixture, size_t n);

void number_init(struct number *number, struct fixture *fixture, int value);
void submit(struct number *number);
/* One number, until it is answered; the error's kind. */
enum error_kind put(struct fixture *fixture, int value);
/* How many of those numbers there are, asked through the store. */
int count(struct fixture *fixture, int from, int to);
/* And when nobody has the file open. */
int count_in_file(const char *name, int from, int to);

void disk_hold(void);
void disk_wait_until_held(int n);
void disk_release(void);
