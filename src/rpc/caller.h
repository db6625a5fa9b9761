/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who calls: what a connection is to the methods. It owns what a method leaves
 * behind on it (calls that wait, subscriptions, shares of a report), all of
 * which goes when the connection does.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "rpc/account.h"
#include "rpc/hub.h"
#include "rpc/outlet.h"

struct caller {
	struct list node; /* in the hub's */
	struct hub *hub;  /* borrowed */
	struct outlet outlet;
	struct account *account; /* borrowed */
	unsigned classes;        /* what the policy allows */
	uid_t uid;
	gid_t gid;
	pid_t pid;           /* for logs only: it may be another's by now */
	struct list calls;   /* those that wait */
	struct list batches; /* not yet answered */
	struct list subscriptions;
	struct list shares;
	uint32_t n_in_flight, n_subscriptions, n_shares;
	bool leaving; /* the connection is about to go: nothing more is sent */

	/* A call that waited has been answered. Does not free the caller. */
	void (*on_answer)(struct caller *caller);
};
