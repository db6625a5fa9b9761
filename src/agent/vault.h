/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The secrets of a workspace: the last bundle that the platform answered, in
 * locked and wiped memory, ready to be served without building anything.
 *
 * A bundle is whole or not at all: an answer that is cut, malformed or says
 * failed_keys changes nothing. An empty answer is an answer. Concurrent misses
 * share one request. When the platform is out of reach the last bundle is
 * served as stale, until secrets_max_stale.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/bundle.h"
#include "agent/membership.h"
#include "agent/waiter.h"
#include "base/backoff.h"
#include "platform/platform.h"

#define VAULT_BUNDLE_MAX (4u << 20) /* bytes of one answer */

struct vault;

struct vault_events {
	/* changed: a JSON array of names; borrowed */
	void (*on_changed)(struct vault *vault, const char *changed, size_t len);
	/* The platform refuses us in a way that says more about us than about secrets. */
	void (*on_doubt)(struct vault *vault);
};

struct vault {
	const struct membership *member;   /* borrowed */
	const struct vault_events *events; /* borrowed */
	struct bundle *bundle; /* owned: the secrets; what is in it may go with the turn */
	int64_t fetched_at_ms; /* monotonic */
	int64_t fetched_wall_ms;
	bool fetched;             /* there is a bundle, be it empty */
	bool failing;             /* the last attempt failed: what is here is stale */
	bool refreshing;          /* in the background */
	struct error *last_error; /* owned; NULL: none */
	struct platform_call call;
	struct list waiters;
	struct backoff backoff;
};

void vault_init(struct vault *vault, const struct membership *member,
		const struct vault_events *events);
void vault_fini(struct vault *vault);

/* Background refreshing on (fetches at once when nothing was fetched yet), or off. */
void vault_start(struct vault *vault);
/* What the agenda says is due. */
void vault_renew_due(struct vault *vault);
void vault_fetch_due(struct vault *vault);
/* The interval has changed; a fetch that is out stays out. */
void vault_adjust(struct vault *vault);
void vault_stop(struct vault *vault); /* waiters get unavailable */
void vault_wipe(struct vault *vault); /* forgets everything */

/*
 * Whether what is here may be served to somebody who accepts max_age_ms
 * (negative: any age), else the caller waits for a fetch.
 */
bool vault_is_fresh(const struct vault *vault, int64_t max_age_ms);
/* After a failed fetch: whether the last bundle is young enough to be served as stale. */
bool vault_may_serve_stale(const struct vault *vault);
bool vault_is_stale(const struct vault *vault);

/* Joins the request in flight, or begins one. */
void vault_fetch(struct vault *vault, struct waiter *waiter);
