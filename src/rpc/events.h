/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Subscriptions: what changes is told to those who asked, in order, after a
 * snapshot of how things are. An event is put into words once, whoever many
 * hear it. A reader too slow for its buffer loses the subscription, never an
 * event in the middle.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"
#include "rpc/call.h"
#include "rpc/caller.h"

#define EVENTS_SUBSCRIPTIONS_MAX 16 /* a connection: more than a program has views */

enum event_type {
	EVENT_WORKSPACE_STATE,
	EVENT_WORKSPACE_REPORT,
	EVENT_SECRETS_CHANGED,
	EVENT_PEERS_CHANGED,
	EVENT_INBOX_MESSAGE,
	EVENT_DELEGATION_UPDATED,
	EVENT_PLUGIN_PROGRESS,
	EVENT_DAEMON_WARNING,
	EVENT_TYPE_LAST = EVENT_DAEMON_WARNING,
};

#define EVENT_TYPES_ALL ((1u << (EVENT_TYPE_LAST + 1)) - 1)

const char *event_type_name(enum event_type type);

struct subscription {
	struct list node; /* in the hub's */
	struct list mine; /* in the caller's */
	struct caller *caller;
	struct buffer *late; /* where events wait until the answer is out; or NULL */
	uint64_t id;
	uint64_t seq;
	unsigned types;                         /* a bit each */
	char workspace[WORKSPACE_NAME_MAX + 1]; /* "": all */
};

#define SUBSCRIPTION_NAME_SIZE 24

/* For the caller of this call, whose answer comes before the first event. */
int events_subscribe(struct call *call, unsigned types, const char *workspace,
		     struct subscription **ret, struct error *err);
struct subscription *events_find(const struct caller *caller, const char *name);
void subscription_end(struct subscription *subscription);
/* What the client calls it; returns dst. */
char *subscription_name(const struct subscription *subscription,
			char dst[static SUBSCRIPTION_NAME_SIZE]);

/* Ends all that a caller has. */
void events_end_all(struct caller *caller);

/* The answer that these events were to follow is out: so are they now. */
void events_release(struct caller *caller, struct buffer *late);

/* What the agent tells (struct agent_events) is handed on to these. */
void events_on_state(struct hub *hub, struct workspace *workspace, enum lifecycle_state before);
void events_on_report(struct hub *hub, struct workspace *workspace);
void events_on_secrets(struct hub *hub, struct workspace *workspace, const char *changed,
		       size_t len);
void events_on_peers(struct hub *hub, struct workspace *workspace);
void events_on_delegation(struct hub *hub, struct workspace *workspace,
			  const struct delegation *delegation);
void events_on_plugin(struct hub *hub, struct workspace *workspace,
		      const struct shelf_progress *progress);
void events_on_warning(struct hub *hub, const struct agent_warning *warning, bool raised);
