/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One workspace: drives its lifecycle and owns all that belongs to it. Others
 * read its fields and call the functions below; only workspace*.c writes.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/agenda.h"
#include "agent/context.h"
#include "agent/heartbeat.h"
#include "agent/lifecycle.h"
#include "agent/membership.h"
#include "agent/outbox.h"
#include "agent/peerbook.h"
#include "agent/reporter.h"
#include "agent/rotation.h"
#include "agent/settings.h"
#include "agent/shelf.h"
#include "agent/token.h"
#include "agent/vault.h"
#include "agent/waiter.h"
#include "base/backoff.h"
#include "base/metrics.h"
#include "platform/registry.h"

#define WORKSPACE_STATUS_MAX 23 /* of the platform's own word for our status */

/* What was learnt about this platform. */
struct workspace_features {
	bool probed;
	bool cursors;        /* activity?since_id= */
	bool poll_delivery;  /* register with delivery_mode "poll" */
	bool inbound_secret; /* it sends one */
	enum registry_way registered_by;
};

enum workspace_step {
	WORKSPACE_RESTS, /* not joining */
	WORKSPACE_ASKS,  /* GET state */
	WORKSPACE_BEATS, /* heartbeat */
	WORKSPACE_REGISTERS,
	WORKSPACE_SHOWS,    /* update-card */
	WORKSPACE_CHECKS,   /* GET state again: what did it make of us? */
	WORKSPACE_INQUIRES, /* GET /workspaces/ID without a token: after a 401, or holding none */
	WORKSPACE_PROBES,   /* joined; asks what the platform knows */
};

struct workspace_errands;

struct workspace {
	struct list node;              /* in the agent's list, sorted by name */
	struct agent_context *context; /* borrowed */
	struct platform *platform;     /* borrowed */
	struct workspace_settings settings;
	struct agenda agenda;
	struct membership membership; /* lent to the parts below */

	enum lifecycle_state state;
	unsigned failures;                              /* in a row */
	char platform_status[WORKSPACE_STATUS_MAX + 1]; /* "" while unknown */
	int64_t state_since_wall_ms;
	struct error *last_error; /* owned; NULL: none */

	struct token token;
	struct workspace_features features;
	struct heartbeat heartbeat;
	struct vault vault;
	struct peerbook *peerbook; /* owned; NULL: nobody has asked for peers yet */
	struct outbox *outbox;     /* owned; NULL: nobody has delegated anything */
	struct shelf *shelf;       /* likewise, for plugins */
	struct reporter reporter;
	struct rotation *rotation;         /* owned; NULL: none is under way */
	struct workspace_errands *errands; /* owned; NULL: nobody has asked for one yet */

	enum workspace_step step;
	enum registry_way trying;
	struct platform_call join_call; /* the joining sequence, and the inquiry */
	struct platform_call poll_call; /* the state poll */
	struct backoff join_backoff, poll_backoff;
	bool started;
	bool beaten;         /* a heartbeat was answered in this state */
	bool doubted;        /* a poll is due soon, out of order */
	bool token_reread;   /* since the last good answer */
	bool token_settled;  /* proved good since the start: no other one is needed */
	bool token_unsaved;  /* the disk did not take it: it is in memory only */
	bool registered_now; /* in this run of the joining sequence */
};

int workspace_new(struct agent_context *context, struct platform *platform,
		  const struct workspace_settings *settings, struct workspace **ret,
		  struct error *err);
void workspace_free(struct workspace *workspace);

/* after_ms: thousands that start together are spread over seconds. */
void workspace_start(struct workspace *workspace, int64_t after_ms);
/* Stops all traffic for good; the state becomes leaving. */
void workspace_stop(struct workspace *workspace);

/*
 * Takes over what can change without joining anew (intervals, reactions, whom to
 * call). What is owned changes places: the caller ends the settings as ever.
 */
void workspace_adjust(struct workspace *workspace, struct workspace_settings *settings);
/* Whether that suffices to get from what it has to these settings. */
bool workspace_can_adjust(const struct workspace *workspace,
			  const struct workspace_settings *settings);

/* The network came up, or the host woke: try now (jittered), if that can help. */
void workspace_wake(struct workspace *workspace, bool slept);

/*
 * Whether a call may go to the platform in this state: 0, or ERROR_PAUSED,
 * ERROR_REMOVED, ERROR_UNAUTHORIZED, ERROR_UNAVAILABLE with the sentence that
 * says why.
 */
int workspace_may_call(const struct workspace *workspace, struct error *err);

/* A heartbeat and a state poll now (the state poll alone while paused), then the waiter. */
int workspace_refresh(struct workspace *workspace, struct waiter *waiter, struct error *err);
/* Replaces the card on the platform; card is checked JSON text, and is kept for the next join. */
int workspace_update_card(struct workspace *workspace, const char *card, size_t len,
			  struct waiter *waiter, struct error *err);
/* For looking at: an empty one when nobody has asked yet. */
const struct peerbook *workspace_peers(const struct workspace *workspace);
/* For asking; NULL without memory. */
struct peerbook *workspace_peerbook(struct workspace *workspace, struct error *err);
/* Its plugins; NULL without memory. */
struct shelf *workspace_shelf(struct workspace *workspace, struct error *err);

/* Likewise; NULL without memory, or a journal. */
struct outbox *workspace_outbox(struct workspace *workspace, struct error *err);

/* Called when the state is no longer joining: at once (next turn) when it is not. */
int workspace_await_join(struct workspace *workspace, struct waiter *waiter, struct error *err);

/*
 * Proves another token, stores it and uses it from then on. When the platform
 * does not take it, or cannot be asked, the old one stays and the waiter is told.
 */
int workspace_set_token(struct workspace *workspace, const char *text, size_t len,
			struct waiter *waiter, struct error *err);
/* Mint, store, verify, switch, revoke the old one. Goes on when the waiter is cancelled. */
int workspace_rotate_token(struct workspace *workspace, struct waiter *waiter, struct error *err);

/* Something of ours was refused in a way that says more about us than about the call: ask. */
void workspace_doubt(struct workspace *workspace);
/* The operator has changed something: look for a token again, if that is what is missing. */
void workspace_retry(struct workspace *workspace);

/* A share of the report changed: event, and the next heartbeat says it. */
void workspace_report_changed(struct workspace *workspace);

/* 0: no attempt is planned; else the wall clock of the next one, for showing. */
int64_t workspace_next_attempt_wall_ms(const struct workspace *workspace);
