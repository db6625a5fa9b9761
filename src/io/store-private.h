/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the two sides of a store share: the loop's (store.c) and the thread's
 * (store-thread.c). Nobody else includes this.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "io/loop.h"
#include "io/store-db.h"
#include "io/store.h"

/* What the mutex guards. Nobody holds it while waiting for anything. */
struct store_shared {
	struct list queue;    /* jobs for the thread */
	struct list answered; /* jobs for the loop */
	struct store_stats stats;
	int64_t busy_since_ms; /* 0: the thread waits for work */
	struct error health;   /* what the last try of anything came to */
	char aside[STORE_ASIDE_SIZE];
	bool opening;  /* the thread is to open the database without a job */
	bool stopping; /* the thread is to end when the queue is empty */
	bool deserted; /* the loop is gone, and all that is here is the thread's */
	bool ended;
};

struct store {
	struct loop *loop; /* borrowed */
	struct store_db db;
	char *path;
	const struct store_events *events; /* borrowed; NULL: nobody listens */
	void *events_data;
	struct ev_async news; /* from the thread to the loop */
	pthread_t thread;
	bool has_thread;
	bool closed; /* takes no more jobs */
	bool is_old;
	struct error told; /* the health that was told last */

	pthread_mutex_t mutex;
	pthread_cond_t work, end;
	struct store_shared shared;
};

/* Begins the thread. Its work comes through the shared part, and it ends by that. */
int store_thread_start(struct store *store, struct error *err);
/* The memory. */
void store_destroy(struct store *store);
