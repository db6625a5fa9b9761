/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether a URL that the platform gave for a peer may be called directly.
 * Pure: names are not resolved here.
 */

#include <stdbool.h>

/*
 * http or https with a host that is neither an invention of the platform
 * (ws-*:8000, host.docker.internal) nor an address that is never a peer:
 * unspecified, loopback, private, link-local (cloud metadata too), multicast.
 */
bool peer_url_is_usable(const char *url);
