/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which addresses may be dialled because somebody else named them. A peer
 * registers whatever URL it likes, and its name may resolve to whatever its
 * owner likes; without a guard it could make us call services of this host, of
 * its network, or the cloud's metadata service.
 *
 * What is public is allowed. What is loopback, private or otherwise special is
 * allowed only where a network that was allowed has it. Some addresses never
 * are: unspecified, link-local, multicast, reserved, metadata services. An IPv6
 * address that stands for an IPv4 address is judged as that one.
 *
 * Pure.
 */

#include <stdbool.h>

#include "base/error.h"

struct sockaddr;

/* networks: as guard_check_network() made them, ended by NULL; or NULL. */
bool guard_allows(char *const *networks, const struct sockaddr *address);
/* An address as text, IPv4 or IPv6; false for anything else. */
bool guard_allows_text(char *const *networks, const char *address);

/* "10.0.0.0/8", "fd00::/8" or one address: how it is kept (base/setting.h). */
int guard_check_network(const char *text, char **ret, struct error *err);
