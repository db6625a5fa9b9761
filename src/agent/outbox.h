/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The delegations of one workspace. Each is in the journal before anything is
 * sent, under a key by which the platform knows it when it comes again: so it
 * may be sent as often as it takes, by whichever life of ours. Those that have
 * not ended are here too, without their tasks; all others are asked for.
 *
 * While the platform has some of them, one request for all says what has become
 * of them: soon after something has happened, ever more seldom while nothing
 * does, and none when none is left.
 *
 * What the journal does not take has not happened: nobody is told of it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/delegation.h"
#include "agent/membership.h"
#include "agent/waiter.h"
#include "platform/platform.h"

#define OUTBOX_OPEN_MAX 1000 /* that have not ended: who has more has lost count of them */
#define OUTBOX_UNWRITTEN_MAX (8u << 20) /* bytes of tasks that the disk has yet to take */
#define OUTBOX_SENDING_MAX 4            /* at once: their tasks are in memory */
#define OUTBOX_KEY_MAX 200
#define OUTBOX_LIST_MAX 500

struct outbox_events {
	void (*on_updated)(void *data, const struct delegation *delegation);
	/* The platform refuses us in a way that says more about us than about the task. */
	void (*on_doubt)(void *data);
};

struct outbox {
	const struct membership *member;    /* borrowed */
	const struct outbox_events *events; /* borrowed */
	void *data;

	struct list entries; /* that have not ended, oldest first */
	struct list unsent;  /* those of them that wait to be sent, in the order of their turns */
	size_t n_open[DELEGATE_STATUS_LAST + 1]; /* of each status; of those that end, none */
	size_t n_unwritten, unwritten_len;       /* that the journal has yet to take */
	struct list jobs;                        /* for the journal */

	unsigned n_sending;
	struct timer send_timer; /* runs: the last try failed, and this is the next */
	struct backoff send_backoff;

	struct platform_call follow_call, more_call;
	struct timer follow_timer;
	struct backoff follow_backoff;
	bool follow_failing; /* the timer is that of the next try */
	int64_t follow_interval_ms;
	int64_t news_ms, more_asked_ms; /* monotonic: the last news; the last look at the log */
	bool more_failing;

	/* For a waiter that is being told, and only then: what it has waited for. */
	struct delegations told;
	bool told_duplicate;

	uint64_t n_completed, n_failed, n_lost;
	uint64_t n_sent, n_send_failures, n_polls, n_poll_failures;
};

int outbox_new(const struct membership *member, const struct outbox_events *events, void *data,
	       struct outbox **ret, struct error *err);
void outbox_free(struct outbox *outbox); /* takes NULL */

/* The workspace is in another state now. */
void outbox_on_state(struct outbox *outbox);

/* The network came up, or the host woke: tries again now, jittered, what waits for that. */
void outbox_wake(struct outbox *outbox);

/* One that the journal has and that has not ended; taken over unless it is here already. */
int outbox_adopt(struct outbox *outbox, struct delegation *row);

/* All is copied; key NULL: a random one. */
struct outbox_order {
	const char *to;
	const char *task;
	size_t task_len;
	const char *key;
};

/*
 * Told when it is on disk, or that one of that key was there before
 * (told_duplicate). ERROR_OVERLOADED, ERROR_TOO_LARGE: nothing was done.
 */
int outbox_create(struct outbox *outbox, const struct outbox_order *order, struct waiter *waiter,
		  struct error *err);

/* Told with one, or with none. */
int outbox_find(struct outbox *outbox, const char *id, struct waiter *waiter, struct error *err);
struct outbox_selection {
	const enum delegate_status *status; /* NULL: of any */
	const char *before; /* the id of one: only those that came before it; NULL: all */
	size_t limit;
};

/* Told with the newest; ERROR_NOT_FOUND when there is no such one to be before. */
int outbox_list(struct outbox *outbox, const struct outbox_selection *selection,
		struct waiter *waiter, struct error *err);

/* One that has not ended; NULL: it has, or never was. Borrowed until the next turn. */
const struct delegation *outbox_look(const struct outbox *outbox, const char *id);
/* Told with it when the try to send it that is under way ends. false: none is. */
bool outbox_await_try(struct outbox *outbox, const char *id, struct waiter *waiter);
/* Told with it when it ends. false: it has. */
bool outbox_await_end(struct outbox *outbox, const char *id, struct waiter *waiter);

/* Over all that have not ended, oldest first. */
void outbox_each(const struct outbox *outbox,
		 void (*visit)(const struct delegation *delegation, void *data), void *data);
