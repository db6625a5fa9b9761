/* SPDX-License-Identifier: MIT */
/*
 * events.*: subscribing to what changes.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "rpc/call.h"
#include "rpc/events.h"
#include "rpc/method.h"
#include "rpc/snapshot.h"
#include "rpc/writer.h"

#define TYPES_TEXT_SIZE 256

enum {
	SUBSCRIBE_TYPES,
	SUBSCRIBE_WORKSPACE
};
enum {
	UNSUBSCRIBE_SUBSCRIPTION
};

/* The names of secrets are for those who may use them. */
static unsigned types_allowed(const struct caller *caller)
{
	return caller->classes & POLICY_USE ? EVENT_TYPES_ALL
					    : EVENT_TYPES_ALL & ~(1u << EVENT_SECRETS_CHANGED);
}

static int unknown_type(struct error *err)
{
	char known[TYPES_TEXT_SIZE] = "";
	size_t len = 0;

	for (unsigned type = 0; type <= EVENT_TYPE_LAST && len < sizeof(known); type++)
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", type ? ", " : "",
					event_type_name((enum event_type)type));

	return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "types must be among %s", known);
}

static int read_type(const struct call *call, struct json_text name, unsigned *types,
		     struct error *err)
{
	for (unsigned type = 0; type <= EVENT_TYPE_LAST; type++) {
		if (!json_text_equals(name, event_type_name((enum event_type)type)))
			continue;

		if (!(types_allowed(call->caller) & (1u << type)))
			return error_set(err, ERROR_FORBIDDEN, EACCES,
					 "%s is for callers who may use the secrets",
					 event_type_name((enum event_type)type));

		*types |= 1u << type;
		return 0;
	}

	return unknown_type(err);
}

static int read_types(const struct call *call, unsigned *ret, struct error *err)
{
	const struct arg *arg = &call->args[SUBSCRIBE_TYPES];
	struct json_iter iter = json_iter(arg->text);
	struct json_text name;

	*ret = arg_given(arg) ? 0 : types_allowed(call->caller);
	while (json_next_element(&iter, &name)) {
		int r = read_type(call, name, ret, err);

		if (r < 0)
			return r;
	}

	return 0;
}

/* Left out it means all of them, not the only one. */
static int read_workspace(const struct call *call, char *dst, size_t dst_size, struct error *err)
{
	struct workspace *workspace;
	char shown[WORKSPACE_NAME_MAX + 4];
	int r;

	r = call_text(call, SUBSCRIBE_WORKSPACE, dst, dst_size, err);
	if (r < 0 || !dst[0])
		return r;

	workspace = agent_find(call->hub->host.agent, dst);
	if (!workspace)
		return error_set(err, ERROR_NOT_FOUND, ENOENT, "there is no workspace %s",
				 error_quote(shown, sizeof(shown), dst, strlen(dst)));

	(void)snprintf(dst, dst_size, "%s", workspace->settings.name);
	return 0;
}

static int subscribe(struct call *call, struct error *err)
{
	char workspace[WORKSPACE_NAME_MAX + 1], name[SUBSCRIPTION_NAME_SIZE];
	struct subscription *subscription;
	struct buffer *out;
	unsigned types;
	int r;

	if (call->silent)
		return error_set(err, ERROR_INVALID_REQUEST, EINVAL,
				 "a subscription has to be answered");

	r = read_types(call, &types, err);
	if (r < 0)
		return r;

	r = read_workspace(call, workspace, sizeof(workspace), err);
	if (r < 0)
		return r;

	r = events_subscribe(call, types, workspace, &subscription, err);
	if (r < 0)
		return r;

	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_text(out, "subscription", subscription_name(subscription, name));
	snapshot_write(out, "snapshot", call->hub->host.agent, types, workspace);
	writer_close(out, '}');
	/* The snapshot was too long: the call ends with an error, and nothing follows it. */
	if (out->failed || buffer_len(out) > call->sink->max)
		subscription_end(subscription);
	return 0;
}

static int unsubscribe(struct call *call, struct error *err)
{
	struct subscription *subscription;
	char name[SUBSCRIPTION_NAME_SIZE];
	struct buffer *out;
	int r;

	r = call_text(call, UNSUBSCRIBE_SUBSCRIPTION, name, sizeof(name), err);
	if (r < 0)
		return r;

	subscription = events_find(call->caller, name);
	if (!subscription)
		return error_set(err, ERROR_NOT_FOUND, ENOENT,
				 "this connection has no such subscription");

	subscription_end(subscription);
	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_bool(out, "unsubscribed", true);
	writer_close(out, '}');
	return 0;
}

const struct method methods_events[] = {
	{ "events.subscribe", POLICY_READ, subscribe, "begin to hear what changes",
	  FIELDS({ "types", FIELD_STRINGS, .max = 64, .help = "only these; all when left out" },
		 { "workspace", FIELD_STRING, .help = "only of this one; all when left out" }),
	  FIELDS({ "subscription", FIELD_STRING, .help = "what this connection calls it" },
		 { "snapshot", FIELD_OBJECT, .help = "how things are, before the first event" }) },
	{ "events.unsubscribe", POLICY_READ, unsubscribe, "hear no more of a subscription",
	  FIELDS({ "subscription", FIELD_STRING, FIELD_REQUIRED, .help = "as it was answered" }),
	  FIELDS({ "unsubscribed", FIELD_BOOLEAN, .help = "always true" }) },
	{ 0 },
};
