/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * URLs that a person writes, in the one form in which they can be compared and
 * joined to a path: scheme and host in lower case, no default port, no slash
 * at the end. What has no business in them - a user, a password, a query, a
 * fragment - is refused.
 */

#include <stdbool.h>

#include "base/error.h"

#define URL_MAX 2048

enum url_kind {
	URL_BASE,   /* http or https, perhaps with a path: a platform, an agent */
	URL_ORIGIN, /* http or https and nothing after the port */
	URL_PROXY,  /* http, https, socks5 or socks5h and nothing after the port */
};

/* The caller frees *ret. The sentence says what to write; it repeats nothing. */
int url_canonical(const char *text, enum url_kind kind, char **ret, struct error *err);

/* Of canonical URLs. */
bool url_is_https(const char *url);
bool url_is_loopback(const char *url); /* 127.0.0.0/8, ::1, localhost */
