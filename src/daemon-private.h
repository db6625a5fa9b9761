/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The daemon as its own files see it: daemon.c builds and ends it,
 * daemon-events.c is what its agent talks to, daemon-store.c looks after what is
 * on disk.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"
#include "daemon.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/notify.h"
#include "io/reaper.h"
#include "io/store.h"
#include "io/wake.h"
#include "rpc/server.h"
#include "statedir.h"

struct daemon {
	const struct config_paths *paths; /* borrowed */
	struct config *config;            /* owned */
	struct loop loop;
	struct http *http;
	struct reaper *reaper;
	struct store *store; /* NULL with --once, as is the server */
	struct agent *agent;
	struct server *server; /* NULL with --once */
	struct wake wake;
	struct watchdog watchdog;
	struct loop_signal sigterm, sigint, sighup;
	struct loop_work tell; /* STATUS= after this turn */
	struct timer ready;    /* READY=1 once more */
	struct timer trim;     /* gives back what a start or a reload has used */
	struct timer last;     /* until then what is being cleaned up may take */
	struct state_dir state;
	int exit_status;
	bool once, running, stopping;
	int64_t started_wall_ms;
};

/* For struct agent; its data is the daemon. */
extern const struct agent_events daemon_events;

/* In order; the second time at once. status: what the process ends with. */
void daemon_stop(struct daemon *daemon, int status, const char *why);

/* Gives the agent its store; not for a single round, which begins nothing to be remembered. */
int daemon_open_store(struct daemon *daemon, struct error *err);
/* For the watchdog: a disk that hangs is a reason not to be fed. */
bool daemon_is_well(void *data);
