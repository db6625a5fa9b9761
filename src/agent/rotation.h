/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Changing the token without ever being without one: mint, write to disk,
 * prove the new one, switch, and only then revoke the old one. Killed at any
 * point, the next start finds a token that works.
 */

#include <stdbool.h>

#include "agent/membership.h"
#include "agent/token.h"
#include "agent/waiter.h"
#include "base/parse.h"
#include "platform/platform.h"

struct rotation;

struct rotation_events {
	void (*on_switched)(struct rotation *rotation, void *data); /* the new token is in use */
	void (*on_ended)(struct rotation *rotation, void *data);    /* it frees itself after this */
};

enum rotation_step {
	ROTATION_MINTS,
	ROTATION_PROVES,
	ROTATION_LISTS, /* to find the old one's id by its prefix */
	ROTATION_REVOKES,
};

struct rotation {
	const struct membership *member;      /* borrowed */
	struct token *token;                  /* borrowed: the one to change */
	const struct rotation_events *events; /* borrowed */
	void *data;
	enum rotation_step step;
	bool minted; /* by us: then the old one is revoked in the end */
	struct platform_call call;
	struct loop_work begin;
	char *new_text;     /* secret memory */
	char old_prefix[9]; /* TOKEN_PREFIX_LEN and a NUL */
	struct list waiters;
};

/* Mints a token, unless one is given. Begins in the next turn. */
int rotation_new(const struct membership *member, struct token *token,
		 const struct rotation_events *events, void *data, struct rotation **ret,
		 struct error *err);
/* The token to prove and use; before it begins. */
int rotation_give(struct rotation *rotation, const char *text, size_t len, struct error *err);
/* Breaks it off: waiters get cancelled. Takes NULL. */
void rotation_free(struct rotation *rotation);

void rotation_wait(struct rotation *rotation, struct waiter *waiter);
