/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of a peer book share: what it knows (peerbook.c), and that as
 * JSON (peerbook-json.c). Nobody else includes this.
 */

#include "agent/peerbook.h"
#include "platform/peers.h"

/* As peerbook_calls_direct(), for who asks for many. */
bool peerbook_calls_direct_at(const struct peerbook *book, const struct peer *peer, int64_t now_ms);

/* Appends what the platform says of a peer, and notes in it where that is. */
void peerbook_write_row(struct buffer *out, const struct peers_row *row, struct peer *peer);
