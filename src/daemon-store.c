/* SPDX-License-Identifier: MIT */
/*
 * The daemon's store: opened, watched, and its troubles told to the operator.
 */

#include "agent/agent.h"
#include "agent/journal.h"
#include "base/log.h"
#include "daemon-private.h"

static void on_health(void *data, const struct error *err)
{
	struct daemon *daemon = data;
	struct agent_context *context = &daemon->agent->context;

	if (err)
		agent_warn(context, "store_unavailable", "", AGENT_CRITICAL, "%s", err->text);
	else
		agent_unwarn(context, "store_unavailable", "");
}

static void on_set_aside(void *data, const char *name)
{
	struct daemon *daemon = data;

	agent_warn(&daemon->agent->context, "store_damaged", "", AGENT_CRITICAL,
		   STORE_FILE " was damaged and is now %s; a new one was begun, and what was in "
			      "the old one is not known any more",
		   name);
}

static const struct store_events store_events = {
	.on_health = on_health,
	.on_set_aside = on_set_aside,
};

int daemon_open_store(struct daemon *daemon, struct error *err)
{
	struct error unopened = { 0 };
	int r;

	r = store_new(&daemon->loop, daemon->state.fd, daemon->config->daemon.state_dir,
		      journal_migrations, &daemon->store, err);
	if (r < 0)
		return r;

	store_listen(daemon->store, &store_events, daemon);
	daemon->agent->context.store = daemon->store;
	/* Whoever needs it tries again. */
	if (store_start(daemon->store, &unopened) < 0)
		on_health(daemon, &unopened);
	return 0;
}

bool daemon_is_well(void *data)
{
	struct daemon *daemon = data;
	int64_t patience_ms = daemon->watchdog.interval_ms / 2;

	if (!daemon->store || !store_is_stuck(daemon->store, patience_ms))
		return true;

	log_error("the disk has not answered for more than %.1f s: the watchdog is not fed",
		  (double)patience_ms / 1e3);
	return false;
}
