/* SPDX-License-Identifier: MIT */
/*
 * The lists are those of IANA's registries of special-purpose addresses
 * (RFC 6890 and what followed it), and the addresses at which clouds tell
 * machines about themselves.
 */

#include "agent/guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/util.h"

/* An address is a network of all its bits. */
struct network {
	int family;
	unsigned bits;
	uint8_t bytes[16];
};

static const struct network never[] = {
	{ AF_INET, 8, { 0 } },                           /* this host, unspecified */
	{ AF_INET, 16, { 169, 254 } },                   /* link-local, most clouds' metadata */
	{ AF_INET, 32, { 100, 100, 100, 200 } },         /* metadata: Alibaba */
	{ AF_INET, 32, { 168, 63, 129, 16 } },           /* metadata: Azure */
	{ AF_INET, 32, { 192, 0, 0, 192 } },             /* metadata: Oracle */
	{ AF_INET, 3, { 224 } },                         /* multicast, reserved, broadcast */
	{ AF_INET6, 128, { 0 } },                        /* unspecified */
	{ AF_INET6, 10, { 0xfe, 0x80 } },                /* link-local */
	{ AF_INET6, 8, { 0xff } },                       /* multicast */
	{ AF_INET6, 48, { 0, 0x64, 0xff, 0x9b, 0, 1 } }, /* local translation: hides any IPv4 */
	{ AF_INET6, 32, { 0x20, 0x01, 0, 0 } },          /* Teredo, likewise */
	{ AF_INET6, 128, { 0xfd, 0, 0x0e, 0xc2, [14] = 0x02, 0x54 } }, /* metadata: AWS */
	{ AF_INET6, 128, { 0xfd, 0x20, 0, 0xce, [14] = 0x02, 0x54 } }, /* metadata: Google */
};

static const struct network special[] = {
	{ AF_INET, 8, { 10 } },                       /* private */
	{ AF_INET, 10, { 100, 64 } },                 /* carrier-grade NAT */
	{ AF_INET, 8, { 127 } },                      /* loopback */
	{ AF_INET, 12, { 172, 16 } },                 /* private */
	{ AF_INET, 24, { 192, 0, 0 } },               /* protocol assignments */
	{ AF_INET, 24, { 192, 0, 2 } },               /* documentation */
	{ AF_INET, 24, { 192, 88, 99 } },             /* 6to4 relays */
	{ AF_INET, 16, { 192, 168 } },                /* private */
	{ AF_INET, 15, { 198, 18 } },                 /* benchmarks */
	{ AF_INET, 24, { 198, 51, 100 } },            /* documentation */
	{ AF_INET, 24, { 203, 0, 113 } },             /* documentation */
	{ AF_INET6, 23, { 0x20, 0x01 } },             /* protocol assignments */
	{ AF_INET6, 32, { 0x20, 0x01, 0x0d, 0xb8 } }, /* documentation */
	{ AF_INET6, 20, { 0x3f, 0xff } },             /* documentation */
};

static const struct network loopback = { AF_INET6, 128, { [15] = 1 } };
/* All that IPv6 has given out for hosts of the internet; the rest is special. */
static const struct network global_unicast = { AF_INET6, 3, { 0x20 } };

/* Addresses with an IPv4 address inside, and where. */
static const struct embedding {
	struct network network;
	unsigned offset;
} embeddings[] = {
	{ { AF_INET6, 96, { [10] = 0xff, 0xff } }, 12 },   /* mapped */
	{ { AF_INET6, 96, { [8] = 0xff, 0xff } }, 12 },    /* translated */
	{ { AF_INET6, 96, { 0 } }, 12 },                   /* compatible */
	{ { AF_INET6, 96, { 0, 0x64, 0xff, 0x9b } }, 12 }, /* NAT64 */
	{ { AF_INET6, 16, { 0x20, 0x02 } }, 2 },           /* 6to4 */
};

static bool network_has(const struct network *network, const struct network *address)
{
	unsigned whole = network->bits / 8, rest = network->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	return network->family == address->family &&
	       memcmp(network->bytes, address->bytes, whole) == 0 &&
	       (!rest || ((network->bytes[whole] ^ address->bytes[whole]) & mask) == 0);
}

static bool any_has(const struct network *networks, size_t n, const struct network *address)
{
	for (size_t i = 0; i < n; i++)
		if (network_has(&networks[i], address))
			return true;

	return false;
}

static bool read_address(const char *text, struct network *ret)
{
	*ret = (struct network){ .family = AF_INET, .bits = 32 };
	if (inet_pton(AF_INET, text, ret->bytes) == 1)
		return true;

	*ret = (struct network){ .family = AF_INET6, .bits = 128 };
	return inet_pton(AF_INET6, text, ret->bytes) == 1;
}

/* "ADDRESS" or "ADDRESS/BITS". */
static bool read_network(const char *text, struct network *ret)
{
	char address[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	int64_t bits;

	if (len >= sizeof(address))
		return false;

	memcpy(address, text, len);
	address[len] = '\0';
	if (!read_address(address, ret))
		return false;
	if (!text[len])
		return true;

	if (parse_int64(text + len + 1, 0, ret->bits, &bits) < 0)
		return false;

	ret->bits = (unsigned)bits;
	return true;
}

static bool is_within(char *const *networks, const struct network *address)
{
	struct network network;

	for (; networks && *networks; networks++)
		if (read_network(*networks, &network) && network_has(&network, address))
			return true;

	return false;
}

/* RFC 5214 6.1: the middle of an address by which a host tunnels to an IPv4 address. */
static bool is_isatap(const uint8_t bytes[static 16])
{
	return (bytes[8] & 0xfd) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe;
}

/* Where the IPv4 address stands in one that stands for it; 0: it stands for itself. */
static unsigned embedded_at(const struct network *address)
{
	if (address->family != AF_INET6 || network_has(&loopback, address))
		return 0;

	for (size_t i = 0; i < ARRAY_LEN(embeddings); i++)
		if (network_has(&embeddings[i].network, address))
			return embeddings[i].offset;

	return is_isatap(address->bytes) ? 12 : 0;
}

static bool is_special(const struct network *address)
{
	return any_has(special, ARRAY_LEN(special), address) ||
	       (address->family == AF_INET6 && !network_has(&global_unicast, address));
}

static bool allows(char *const *networks, const struct network *address)
{
	struct network inside = { .family = AF_INET, .bits = 32 };
	unsigned offset;

	if (any_has(never, ARRAY_LEN(never), address))
		return false;

	offset = embedded_at(address);
	if (offset) {
		memcpy(inside.bytes, address->bytes + offset, 4);
		return allows(networks, &inside);
	}

	return is_within(networks, address) || !is_special(address);
}

bool guard_allows(char *const *networks, const struct sockaddr *address)
{
	struct network as = { .family = address->sa_family };

	switch (address->sa_family) {
	case AF_INET:
		as.bits = 32;
		memcpy(as.bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
		return allows(networks, &as);
	case AF_INET6:
		as.bits = 128;
		memcpy(as.bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
		       16);
		return allows(networks, &as);
	default:
		return false;
	}
}

bool guard_allows_text(char *const *networks, const char *address)
{
	struct network as;

	return read_address(address, &as) && allows(networks, &as);
}

/* Bits beyond the network's are nobody's. */
static void network_mask(struct network *network)
{
	for (unsigned bit = network->bits; bit < 8 * sizeof(network->bytes); bit++)
		network->bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static bool is_never(const struct network *network)
{
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (network->bits >= never[i].bits && network_has(&never[i], network))
			return true;

	return false;
}

int guard_check_network(const char *text, char **ret, struct error *err)
{
	char address[INET6_ADDRSTRLEN];
	struct network network;

	if (!read_network(text, &network))
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "write networks such as 10.0.0.0/8, fd00::/8 or 192.168.1.7");

	network_mask(&network);
	if (is_never(&network))
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "link-local, multicast and metadata addresses are never called, "
				 "and cannot be allowed");

	if (!inet_ntop(network.family, network.bytes, address, sizeof(address)) ||
	    asprintf(ret, "%s/%u", address, network.bits) < 0)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the settings");

	return 0;
}
