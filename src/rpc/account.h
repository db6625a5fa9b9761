/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What each local user has of us: connections, which are limited, and refusals,
 * which are logged at most once a minute, so that nobody can fill the journal.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"

#define ACCOUNTS_IDLE_MAX 256 /* users without a connection that are remembered */
#define ACCOUNT_TELL_MS 60000 /* between two log lines about one user */

struct account {
	struct list node; /* most recently used first */
	uid_t uid;
	uint32_t n_connections;
	int64_t told_ms;   /* monotonic; 0: never */
	uint64_t n_untold; /* refusals since then */
};

struct accounts {
	struct list list;
	size_t n_idle;
};

void accounts_init(struct accounts *accounts);
void accounts_fini(struct accounts *accounts);

/* NULL without memory. Good until the next call, or while it has connections. */
struct account *accounts_get(struct accounts *accounts, uid_t uid);

void account_connect(struct accounts *accounts, struct account *account);
void account_disconnect(struct accounts *accounts, struct account *account);

/* Whether this refusal is to be logged; *ret_untold is how many were not since the last one. */
bool account_tells(struct account *account, int64_t now_ms, uint64_t *ret_untold);
