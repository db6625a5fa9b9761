/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions, and putting events into words.
 */

#include "rpc/events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonrpc.h"
#include "base/log.h"
#include "rpc/status.h"
#include "rpc/writer.h"

const char *event_type_name(enum event_type type)
{
	switch (type) {
	case EVENT_WORKSPACE_STATE:
		return "workspace.state";
	case EVENT_WORKSPACE_REPORT:
		return "workspace.report";
	case EVENT_SECRETS_CHANGED:
		return "secrets.changed";
	case EVENT_PEERS_CHANGED:
		return "peers.changed";
	case EVENT_INBOX_MESSAGE:
		return "inbox.message";
	case EVENT_DELEGATION_UPDATED:
		return "delegation.updated";
	case EVENT_PLUGIN_PROGRESS:
		return "plugin.progress";
	case EVENT_DAEMON_WARNING:
		return "daemon.warning";
	}
	return "";
}

int events_subscribe(struct call *call, unsigned types, const char *workspace,
		     struct subscription **ret, struct error *err)
{
	struct caller *caller = call->caller;
	struct hub *hub = call->hub;
	struct subscription *subscription;

	if (caller->n_subscriptions >= EVENTS_SUBSCRIPTIONS_MAX)
		return error_set(err, ERROR_OVERLOADED, EUSERS,
				 "this connection has %d subscriptions already",
				 EVENTS_SUBSCRIPTIONS_MAX);

	subscription = calloc(1, sizeof(*subscription));
	if (!subscription)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a subscription");

	subscription->caller = caller;
	subscription->late = call->sink->late;
	subscription->id = ++hub->last_subscription;
	subscription->types = types;
	(void)snprintf(subscription->workspace, sizeof(subscription->workspace), "%s", workspace);
	list_init(&subscription->node);
	list_init(&subscription->mine);
	list_append(&hub->subscriptions, &subscription->node);
	list_append(&caller->subscriptions, &subscription->mine);
	caller->n_subscriptions++;
	*ret = subscription;
	return 0;
}

struct subscription *events_find(const struct caller *caller, const char *name)
{
	char text[SUBSCRIPTION_NAME_SIZE];

	list_for_each (node, &caller->subscriptions) {
		struct subscription *subscription = list_entry(node, struct subscription, mine);

		if (strcmp(subscription_name(subscription, text), name) == 0)
			return subscription;
	}

	return NULL;
}

char *subscription_name(const struct subscription *subscription,
			char dst[static SUBSCRIPTION_NAME_SIZE])
{
	(void)snprintf(dst, SUBSCRIPTION_NAME_SIZE, "s%" PRIu64, subscription->id);
	return dst;
}

void subscription_end(struct subscription *subscription)
{
	list_remove(&subscription->node);
	list_remove(&subscription->mine);
	subscription->caller->n_subscriptions--;
	free(subscription);
}

void events_end_all(struct caller *caller)
{
	while (!list_empty(&caller->subscriptions))
		subscription_end(list_entry(caller->subscriptions.next, struct subscription, mine));
}

void events_release(struct caller *caller, struct buffer *late)
{
	struct outlet *outlet = &caller->outlet;
	struct buffer *out = outlet->sink.out;

	list_for_each (node, &caller->subscriptions) {
		struct subscription *subscription = list_entry(node, struct subscription, mine);

		if (subscription->late == late)
			subscription->late = NULL;
	}

	if (!buffer_len(late))
		return;

	if (buffer_append(out, buffer_at(late), buffer_len(late)) < 0 ||
	    buffer_len(out) > outlet->sink.max)
		outlet->sink.on_overflow(&outlet->sink);
}

/*
 * An event waits behind a batch's answer with its frame around it, as it will be
 * sent; else it goes straight out.
 */
static struct buffer *open_message(struct subscription *subscription, size_t *ret_start)
{
	struct buffer *out =
		subscription->late ? subscription->late : subscription->caller->outlet.sink.out;

	*ret_start = buffer_len(out);
	(void)jsonrpc_begin_notification(out, "event");
	(void)buffer_printf(out, "{\"subscription\":\"s%" PRIu64 "\",\"seq\":%" PRIu64 ",",
			    subscription->id, subscription->seq);
	return out;
}

static void close_message(struct subscription *subscription, struct buffer *out, size_t start)
{
	(void)jsonrpc_end_notification(out);
	outlet_frame(&subscription->caller->outlet, out, start);
}

/* The last word of a subscription; there is room above the cap for those of all. */
static void end_with_overflow(struct subscription *subscription, struct buffer *out, size_t start)
{
	struct caller *caller = subscription->caller;
	char at[TIME_TEXT_SIZE];

	buffer_truncate(out, start);
	out = open_message(subscription, &start);
	(void)buffer_printf(out,
			    "\"type\":\"overflow\",\"workspace\":null,\"at\":\"%s\",\"data\":{}}",
			    format_time(at, wall_now_ms()));
	close_message(subscription, out, start);
	if (out->failed)
		buffer_truncate(out, start);

	caller->hub->stats.n_event_overflows++;
	log_notice("a subscription of uid %u (pid %d) ended: it does not read its events",
		   caller->uid, caller->pid);
	subscription_end(subscription);
}

static void deliver(struct subscription *subscription, const struct buffer *event)
{
	struct caller *caller = subscription->caller;
	struct buffer *out;
	size_t start;

	subscription->seq++;
	out = open_message(subscription, &start);
	(void)buffer_append(out, buffer_at(event), buffer_len(event));
	close_message(subscription, out, start);

	if (out->failed || buffer_len(out) > caller->outlet.sink.max)
		end_with_overflow(subscription, out, start);
	else
		caller->hub->stats.events++;
	if (out == caller->outlet.sink.out)
		stream_flush(caller->outlet.stream);
}

static bool wants(const struct subscription *subscription, enum event_type type,
		  const char *workspace)
{
	return subscription->types & (1u << type) && !subscription->caller->leaving &&
	       (!subscription->workspace[0] ||
		(workspace && strcmp(subscription->workspace, workspace) == 0));
}

/* Where the event's data is to be written; NULL when nobody would hear it. */
static struct buffer *begin(struct hub *hub, enum event_type type, const char *workspace)
{
	struct buffer *event = &hub->event;
	bool wanted = false;

	list_for_each (node, &hub->subscriptions)
		wanted |= wants(list_entry(node, struct subscription, node), type, workspace);
	if (!wanted)
		return NULL;

	/* The brace that opens it is each subscriber's own. */
	buffer_reset(event);
	(void)buffer_append_text(event, "\"type\":");
	writer_text(event, NULL, event_type_name(type));
	writer_text(event, "workspace", workspace);
	writer_time(event, "at", wall_now_ms());
	return event;
}

static void end(struct hub *hub, enum event_type type, const char *workspace)
{
	struct buffer *event = &hub->event;

	(void)buffer_append_char(event, '}');
	list_for_each_safe (node, &hub->subscriptions) {
		struct subscription *subscription = list_entry(node, struct subscription, node);

		if (!wants(subscription, type, workspace))
			continue;

		if (event->failed)
			end_with_overflow(subscription, subscription->caller->outlet.sink.out,
					  outlet_begin(&subscription->caller->outlet));
		else
			deliver(subscription, event);
	}
	buffer_reset(event);
}

void events_on_state(struct hub *hub, struct workspace *workspace, enum lifecycle_state before)
{
	const char *name = workspace->settings.name, *status = workspace->platform_status;
	struct buffer *event = begin(hub, EVENT_WORKSPACE_STATE, name);

	if (!event)
		return;

	writer_open(event, "data", '{');
	writer_text(event, "id", workspace->settings.id);
	writer_text(event, "state", lifecycle_state_name(workspace->state));
	writer_text(event, "before", lifecycle_state_name(before));
	writer_text(event, "platform_status", status[0] ? status : NULL);
	writer_bool(event, "paused", workspace->state == LIFECYCLE_PAUSED);
	writer_close(event, '}');
	end(hub, EVENT_WORKSPACE_STATE, name);
}

void events_on_report(struct hub *hub, struct workspace *workspace)
{
	const char *name = workspace->settings.name;
	struct buffer *event = begin(hub, EVENT_WORKSPACE_REPORT, name);

	if (!event)
		return;

	status_write_report(event, "data", workspace);
	end(hub, EVENT_WORKSPACE_REPORT, name);
}

void events_on_secrets(struct hub *hub, struct workspace *workspace, const char *changed,
		       size_t len)
{
	const char *name = workspace->settings.name;
	struct buffer *event = begin(hub, EVENT_SECRETS_CHANGED, name);

	if (!event)
		return;

	writer_open(event, "data", '{');
	writer_raw(event, "changed", changed, len);
	status_write_fetched_at(event, workspace->vault.fetched, workspace->vault.fetched_wall_ms);
	writer_close(event, '}');
	end(hub, EVENT_SECRETS_CHANGED, name);
}

void events_on_peers(struct hub *hub, struct workspace *workspace)
{
	const char *name = workspace->settings.name;
	struct buffer *event = begin(hub, EVENT_PEERS_CHANGED, name);

	if (!event)
		return;

	writer_open(event, "data", '{');
	status_write_peers(event, workspace);
	writer_close(event, '}');
	end(hub, EVENT_PEERS_CHANGED, name);
}

void events_on_delegation(struct hub *hub, struct workspace *workspace,
			  const struct delegation *delegation)
{
	const char *name = workspace->settings.name;
	struct buffer *event = begin(hub, EVENT_DELEGATION_UPDATED, name);

	if (!event)
		return;

	status_write_delegation(event, "data", NULL, delegation);
	end(hub, EVENT_DELEGATION_UPDATED, name);
}

void events_on_plugin(struct hub *hub, struct workspace *workspace,
		      const struct shelf_progress *progress)
{
	const char *name = workspace->settings.name;
	struct buffer *event = begin(hub, EVENT_PLUGIN_PROGRESS, name);

	if (!event)
		return;

	writer_open(event, "data", '{');
	status_write_plugin_progress(event, progress);
	writer_close(event, '}');
	end(hub, EVENT_PLUGIN_PROGRESS, name);
}

void events_on_warning(struct hub *hub, const struct agent_warning *warning, bool raised)
{
	const char *name = warning->workspace[0] ? warning->workspace : NULL;
	struct buffer *event = begin(hub, EVENT_DAEMON_WARNING, name);

	if (!event)
		return;

	writer_open(event, "data", '{');
	writer_bool(event, "raised", raised);
	status_write_warning(event, "warning", warning);
	writer_close(event, '}');
	end(hub, EVENT_DAEMON_WARNING, name);
}
