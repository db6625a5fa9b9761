/* SPDX-License-Identifier: MIT */
/*
 * One round for every workspace.
 */

#include "once.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "exit.h"

struct round {
	struct once *once; /* borrowed */
	struct workspace *workspace;
	struct waiter waiter;
	bool joined;
};

struct once {
	struct agent *agent;
	struct round *rounds;
	size_t left;
	bool interrupted;
	struct loop_signal sigterm, sigint;
};

static void round_end(struct round *round)
{
	struct once *once = round->once;

	if (--once->left == 0)
		loop_stop(once->agent->context.loop);
}

static void round_on_done(struct waiter *waiter, const struct error *err)
{
	struct round *round = container_of(waiter, struct round, waiter);

	if (round->joined) {
		round_end(round);
		return;
	}

	/* Joining may have done with a register; now the heartbeat and the look for certain. */
	round->joined = true;
	if (workspace_refresh(round->workspace, &round->waiter, NULL) < 0)
		round_end(round);
}

static void once_interrupt(struct once *once)
{
	once->interrupted = true;
	loop_stop(once->agent->context.loop);
}

static void once_on_sigterm(struct loop_signal *signal)
{
	once_interrupt(container_of(signal, struct once, sigterm));
}

static void once_on_sigint(struct loop_signal *signal)
{
	once_interrupt(container_of(signal, struct once, sigint));
}

static int status_of(const struct workspace *workspace)
{
	const char *why = workspace->last_error ? workspace->last_error->text : "";

	switch (workspace->state) {
	case LIFECYCLE_ONLINE:
	case LIFECYCLE_DEGRADED:
		return DAEMON_STOPPED;
	case LIFECYCLE_PAUSED:
		return workspace->settings.on_pause == WORKSPACE_EXIT ? DAEMON_PAUSED
								      : DAEMON_STOPPED;
	case LIFECYCLE_REMOVED:
		return workspace->settings.on_delete == WORKSPACE_EXIT ? DAEMON_DELETED
								       : DAEMON_FAILED;
	case LIFECYCLE_JOINING:
	case LIFECYCLE_UNREACHABLE:
	case LIFECYCLE_MISROUTED:
	case LIFECYCLE_AUTH_LOST:
	case LIFECYCLE_LEAVING:
		break;
	}
	log_error("%s is %s: %s", workspace->settings.name, lifecycle_state_name(workspace->state),
		  why);
	return DAEMON_FAILED;
}

/* The gravest of all. */
static int once_status(const struct once *once)
{
	int worst = once->interrupted ? DAEMON_FAILED : DAEMON_STOPPED;

	list_for_each (node, &once->agent->workspaces) {
		int status = status_of(list_entry(node, struct workspace, node));

		if (worst != DAEMON_FAILED && status != DAEMON_STOPPED)
			worst = status;
	}
	return worst;
}

static int once_begin(struct once *once, struct error *err)
{
	size_t i = 0;

	list_for_each (node, &once->agent->workspaces) {
		struct round *round = &once->rounds[i++];

		round->once = once;
		round->workspace = list_entry(node, struct workspace, node);
		waiter_init(&round->waiter, round_on_done);
	}
	once->left = i;

	while (i-- > 0)
		if (workspace_await_join(once->rounds[i].workspace, &once->rounds[i].waiter, err) <
		    0)
			return -ENOMEM;

	return 0;
}

int once_run(struct agent *agent)
{
	struct once once = { .agent = agent };
	struct error err = { 0 };
	int status;

	if (!agent->n_workspaces) {
		log_warning("there is no workspace to join");
		return DAEMON_STOPPED;
	}

	once.rounds = calloc(agent->n_workspaces, sizeof(*once.rounds));
	if (!once.rounds) {
		log_error("out of memory");
		return DAEMON_FAILED;
	}

	loop_signal_start(&once.sigterm, agent->context.loop, SIGTERM, once_on_sigterm);
	loop_signal_start(&once.sigint, agent->context.loop, SIGINT, once_on_sigint);
	if (once_begin(&once, &err) == 0) {
		loop_run(agent->context.loop);
		status = once_status(&once);
	} else {
		log_error("%s", err.text);
		status = DAEMON_FAILED;
	}

	for (size_t i = 0; i < agent->n_workspaces; i++)
		waiter_cancel(&once.rounds[i].waiter);
	loop_signal_stop(&once.sigint);
	loop_signal_stop(&once.sigterm);
	free(once.rounds);
	return status;
}
