/* SPDX-License-Identifier: MIT */
/*
 * Judging peers' URLs.
 */

#include "agent/peerurl.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/guard.h"
#include "base/util.h"
#include "io/url.h"

/* "localhost" and all below it are this host (RFC 6761 6.3). */
static bool is_local(const char *host)
{
	static const char name[] = "localhost";
	size_t len = strlen(host), name_len = sizeof(name) - 1;

	return len >= name_len && strcmp(host + len - name_len, name) == 0 &&
	       (len == name_len || host[len - name_len - 1] == '.');
}

static bool is_invented(const char *host)
{
	return strcmp(host, "host.docker.internal") == 0 ||
	       (strncmp(host, "ws-", 3) == 0 && !strchr(host, '.'));
}

static bool host_is_usable(const char *host, char *const *networks)
{
	struct sockaddr_in four = { .sin_family = AF_INET };

	/* inet_aton() knows the short and octal forms that a resolver knows too. */
	if (inet_aton(host, &four.sin_addr))
		return guard_allows(networks, (struct sockaddr *)&four);
	if (strchr(host, ':'))
		return guard_allows_text(networks, host);
	if (is_local(host))
		return guard_allows_text(networks, "127.0.0.1") ||
		       guard_allows_text(networks, "::1");

	return host[0] && !is_invented(host);
}

bool peer_url_is_usable(const char *url, char *const *networks)
{
	AUTO(free) char *canonical = NULL;
	char host[256];
	const char *at;
	size_t len;

	if (url_canonical(url, URL_BASE, &canonical, NULL) < 0)
		return false;

	at = strstr(canonical, "://");
	if (!at)
		return false;

	at += 3;
	if (*at == '[')
		len = strcspn(++at, "]%");
	else
		len = strcspn(at, ":/");
	/* "localhost." is that name too. */
	while (len && at[len - 1] == '.')
		len--;
	if (len >= sizeof(host))
		return false;

	memcpy(host, at, len);
	host[len] = '\0';
	return host_is_usable(host, networks);
}
