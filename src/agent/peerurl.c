/* SPDX-License-Identifier: MIT */
/*
 * Judging peers' URLs.
 */

#include "agent/peerurl.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "io/url.h"

struct range {
	uint32_t net, mask;
};

/* RFC 6890 and its like: addresses that no peer on another host can have. */
static const struct range refused[] = {
	{ 0x00000000, 0xff000000 }, /* this host */
	{ 0x0a000000, 0xff000000 }, /* private */
	{ 0x64400000, 0xffc00000 }, /* carrier-grade NAT */
	{ 0x7f000000, 0xff000000 }, /* loopback */
	{ 0xa9fe0000, 0xffff0000 }, /* link-local, metadata services */
	{ 0xac100000, 0xfff00000 }, /* private */
	{ 0xc0a80000, 0xffff0000 }, /* private */
	{ 0xe0000000, 0xe0000000 }, /* multicast, reserved, broadcast */
};

static bool is_refused_ipv4(uint32_t address)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if ((address & refused[i].mask) == refused[i].net)
			return true;

	return false;
}

static bool is_refused_ipv6(const struct in6_addr *address)
{
	const uint8_t *b = address->s6_addr;
	uint32_t last;

	memcpy(&last, b + 12, sizeof(last));
	if (IN6_IS_ADDR_V4MAPPED(address) || IN6_IS_ADDR_V4COMPAT(address))
		return is_refused_ipv4(ntohl(last));

	return IN6_IS_ADDR_UNSPECIFIED(address) || IN6_IS_ADDR_LOOPBACK(address) ||
	       IN6_IS_ADDR_LINKLOCAL(address) || IN6_IS_ADDR_MULTICAST(address) ||
	       (b[0] & 0xfe) == 0xfc;
}

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

static bool host_is_usable(const char *host)
{
	struct in6_addr six;
	struct in_addr four;

	/* inet_aton() knows the short and octal forms that a resolver knows too. */
	if (inet_aton(host, &four))
		return !is_refused_ipv4(ntohl(four.s_addr));
	if (inet_pton(AF_INET6, host, &six) == 1)
		return !is_refused_ipv6(&six);

	return host[0] && !is_local(host) && !is_invented(host);
}

bool peer_url_is_usable(const char *url)
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
	return host_is_usable(host);
}
