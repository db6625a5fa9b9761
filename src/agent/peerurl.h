/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether a URL that the platform gave for a peer may be called directly.
 * Pure: names are not resolved here.
 */

#include <stdbool.h>

/*
 * http or https with a host that is neither an invention of the platform
 * (ws-*:8000, host.docker.internal) nor an address that the guard refuses. A
 * name says nothing of its addresses: those are asked about when they are dialled.
 * networks: what the guard allows beyond the public, or NULL.
 */
bool peer_url_is_usable(const char *url, char *const *networks);
