/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of a courier share: its beginning, its ways and its end
 * (courier.c), and its tries (courier-tries.c). Nobody else includes this.
 */

#include "agent/courier.h"

#define COURIER_NAME_SIZE 68

struct switchboard *courier_board(const struct courier *courier);
struct peer *courier_peer(const struct courier *courier); /* NULL: it is not on the list */
int64_t courier_now_ms(const struct courier *courier);
/* What to call the peer in a sentence; returns dst. */
const char *courier_name(const struct courier *courier, char dst[static COURIER_NAME_SIZE]);

/* Whether something may leave now: the platform may have paused us meanwhile. */
bool courier_may_go(const struct courier *courier, struct error *err);

/* Each ends the call, and the courier with it. */
void courier_succeed(struct courier *courier, const struct a2a_answer *answer);
void courier_fail(struct courier *courier, const struct error *why);

void courier_init_tries(struct courier *courier);
/* What to post: the message, or a question after the task that it has become. */
int courier_compose(struct courier *courier, struct buffer *out, struct error *err);
/* Each begins a try, or ends the call, and the courier with it. */
void courier_call(struct courier *courier); /* at its url, let through as its pass says */
void courier_forward(struct courier *courier);
