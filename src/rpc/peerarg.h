/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A parameter that means a peer: its id, or a name that only one has. Who is
 * not on a list that is no longer new may be on a newer one, so finding out may
 * take a question to the platform.
 */

#include "agent/peerbook.h"
#include "rpc/call.h"

#define PEERARG_MAX 256 /* bytes of an id or a name */
/*
 * A list older than that does not say that there is nobody of a name: who has
 * just made a workspace wants to call it now. Not 0, for a wrong name that is
 * called again and again is not worth a request each time.
 */
#define PEERARG_DENIED_MS 5000

/* Asks for the list, if the workspace may ask now; then resume, with how that went. */
int peerarg_fetch(struct call *call, call_resume_fn resume, struct error *err);

/*
 * Whether the list that is there will do for this parameter: 0 when it will;
 * CALL_PARKED when a newer one was asked for, and resume, which begins with
 * peerarg_awaited(), goes on; negative when there is none and none to be had.
 */
int peerarg_await(struct call *call, unsigned index, call_resume_fn resume, struct error *err);
int peerarg_awaited(const struct call *call, const struct error *failed, struct error *err);

/* Whom the parameter means, of those on the list that is there; or why nobody, as peerbook_find().
 */
int peerarg_find(const struct call *call, unsigned index, struct peer **ret, struct error *err);

/*
 * The same for who is to be talked to and not looked up: any id will do. The
 * list has only the nearest relatives, and the platform decides who may talk
 * to whom.
 */
int peerarg_await_id(struct call *call, unsigned index, call_resume_fn resume, struct error *err);
int peerarg_id(const struct call *call, unsigned index, char ret_id[static UUID_LEN + 1],
	       struct error *err);
