/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of a workspace share: the driver (workspace.c), the joining
 * sequence (workspace-join.c), watching (workspace-watch.c) and reading
 * evidence (workspace-evidence.c). Nobody else includes this.
 */

#include "agent/workspace.h"
#include "platform/state.h"

/* How long to wait when a person has to act. */
#define PATIENT_MS 300000
#define FAILURES_MAX 3

/* The one place that assigns state. why: for the log and last_error, or NULL. */
void workspace_event(struct workspace *workspace, enum lifecycle_event event,
		     const struct error *why);

/* Evidence against us: anything but PLATFORM_OK. */
void workspace_weigh(struct workspace *workspace, const struct platform_reply *reply);
/* A try of ours came to nothing before it reached the platform, or its answer is no answer. */
void workspace_failed(struct workspace *workspace, const struct error *err);
/* The platform took us, and our token. */
void workspace_proved(struct workspace *workspace);
/* Tries again to put on disk what could not be; nothing to do for most. */
void workspace_save_token(struct workspace *workspace);
/* What it calls us. */
void workspace_note_status(struct workspace *workspace, const struct state_answer *answer);
/* The event in it: PAUSE, AIL or ALIVE, and the sentence that goes with AIL. */
enum lifecycle_event workspace_read_status(const struct workspace *workspace,
					   const struct state_answer *answer, struct error *why);
/* Whether only a register brings us up from that status, and we know a way to register. */
bool workspace_wants_register(const struct workspace *workspace, const char *status);

void workspace_join_init(struct workspace *workspace);
void workspace_plan_join(struct workspace *workspace, int64_t after_ms);
void workspace_stop_join(struct workspace *workspace);
/* The agenda says that it is time to begin. */
void workspace_join_due(struct workspace *workspace);
bool workspace_is_joining(const struct workspace *workspace);
/* It has joined, and the platform takes its heartbeats. */
bool workspace_is_settled(const struct workspace *workspace);
/* The beat that the sequence waits for came back. */
void workspace_join_beat(struct workspace *workspace, const struct platform_reply *reply);
/* Asks as anybody whether we still exist, then goes on from there. */
void workspace_inquire(struct workspace *workspace);

/* What a refresh waits for. */
enum refresh_part {
	REFRESH_BEAT = 1 << 0,
	REFRESH_POLL = 1 << 1,
	REFRESH_JOIN = 1 << 2,
};

/* These parts are done with, well or not; when they were the last, those who wait are told. */
void workspace_refresh_settle(struct workspace *workspace, unsigned parts, const struct error *err);
/* All who wait for something are told why it does not come. */
void workspace_errands_drop(struct workspace *workspace, const struct error *err);
/* The state is no longer joining: those who wait for that hear it in the next turn. */
void workspace_tell_joined(struct workspace *workspace);
void workspace_errands_free(struct workspace *workspace);

void workspace_watch_init(struct workspace *workspace);
void workspace_watch(struct workspace *workspace);
void workspace_unwatch(struct workspace *workspace);
void workspace_poll_now(struct workspace *workspace);
/* The joining sequence has come to an end. */
void workspace_refresh_joined(struct workspace *workspace, const struct error *err);
/* It is found out anew how things are: it waits for that, not for what was out. */
void workspace_refresh_follow(struct workspace *workspace);
/* The heartbeats have ended, and the one that it may wait for. */
void workspace_refresh_hushed(struct workspace *workspace, const struct error *err);

/* Mints, or proves what is given; the waiter may be NULL. ERROR_CONFLICT while another is. */
int workspace_change_token(struct workspace *workspace, const char *given, size_t len,
			   struct waiter *waiter, struct error *err);

/* U(0.5, 1.5) * ms */
int64_t workspace_jitter(int64_t ms);
