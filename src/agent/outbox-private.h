/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of an outbox share: keeping (outbox.c), sending (outbox-send.c)
 * and following (outbox-follow.c). Nobody else includes this.
 */

#include "agent/outbox-journal.h"
#include "agent/outbox.h"

struct outbox_entry {
	struct list node; /* in the outbox's entries */
	struct list turn; /* in its unsent; in no list while it is being sent, and after */
	struct outbox *outbox;
	struct delegation row;
	struct platform_call call;
	struct list tried, ended;  /* waiters */
	enum platform_class class; /* of the next try */
	bool sending; /* from reading its task to having written down what came of it */
	bool writing; /* a change is on its way to the journal */
	bool exposed; /* the platform may have it, whether we know or not */
};

/* Takes the row over; NULL without memory. */
struct outbox_entry *outbox_entry_new(struct outbox *outbox, struct delegation *row);
struct outbox_entry *outbox_entry(const struct outbox *outbox, const char *id);
/* Whether the state of the workspace allows traffic. */
bool outbox_may_call(const struct outbox *outbox);

struct outbox_change {
	enum delegate_status status;
	const char *platform_id; /* these are copied; NULL: as it was */
	const char *preview, *error;
};

/* Into the journal first; then it is so, and all are told. Nothing, without memory. */
int outbox_write(struct outbox_entry *entry, const struct outbox_change *change, struct error *err);
/* The workspace is gone: nothing more will be heard of what it has handed out. */
void outbox_give_up(struct outbox_entry *entry);
/* The rows are lent to the waiters for as long as they are told. */
void outbox_tell_rows(struct outbox *outbox, struct list *waiters, struct delegation *rows,
		      size_t n);
void outbox_tell(struct outbox_entry *entry, struct list *waiters);
/* The journal does not have it any more. */
void outbox_drop(struct outbox_entry *entry);

void outbox_send_init(struct outbox *outbox);
/* Now, unless too many are; somebody waits for how it goes. */
void outbox_send_first(struct outbox_entry *entry);
/* Those that may go. */
void outbox_pump(struct outbox *outbox);
/* What came of a try is in the journal (err NULL), or did not get there. */
void outbox_sent(struct outbox_entry *entry, const struct error *err);
/* No further tries; what is out is called back, unless the platform is only out of reach. */
void outbox_send_hold(struct outbox *outbox, bool recall);
void outbox_send_wake(struct outbox *outbox);

void outbox_follow_init(struct outbox *outbox);
/* Asks after a while, if there is anything to ask for; soon, if something is about to happen. */
void outbox_follow(struct outbox *outbox, bool soon);
void outbox_follow_hold(struct outbox *outbox);
void outbox_follow_wake(struct outbox *outbox);
