/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Changing the token without ever being without one: mint, write to disk,
 * prove the new one, switch, and only then revoke the old one. Killed at any
 * point, the next start finds a token that works.
 */

#include <stdbool.h>

#include "agent/waiter.h"
#include "base/parse.h"
#include "platform/platform.h"

struct workspace;

enum rotation_step {
	ROTATION_MINTS,
	ROTATION_PROVES,
	ROTATION_LISTS, /* to find the old one's id by its prefix */
	ROTATION_REVOKES,
};

struct rotation {
	struct workspace *workspace; /* borrowed */
	enum rotation_step step;
	bool minted; /* by us: then the old one is revoked in the end */
	struct platform_call call;
	struct loop_work begin;
	char *new_text;     /* secret memory */
	char old_prefix[9]; /* TOKEN_PREFIX_LEN and a NUL */
	struct list waiters;
};

/*
 * Mints a token, or takes the one given; the waiter may be NULL. ERROR_CONFLICT
 * while another change is under way.
 */
int rotation_begin(struct workspace *workspace, const char *given, size_t given_len,
		   struct waiter *waiter, struct error *err);
/* Its waiters get cancelled; the workspace's field becomes NULL. */
void rotation_free(struct rotation *rotation);
