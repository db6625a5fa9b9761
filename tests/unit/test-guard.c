/* SPDX-License-Identifier: MIT */
#include "agent/guard.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/util.h"
#include "lib/test.h"

#define ALL networks("0.0.0.0/0 ::/0")

/* A list, as the settings have it; good until the next one. */
static char **networks(const char *text)
{
	static char copy[256], *list[8];
	size_t n = 0;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = copy; *word && n + 1 < ARRAY_LEN(list); n++) {
		list[n] = word;
		word += strcspn(word, " ");
		if (*word)
			*word++ = '\0';
	}
	list[n] = NULL;
	return list;
}

static void check_all(char *const *allowed_networks, const char *const addresses[], bool allowed)
{
	for (; *addresses; addresses++)
		if (guard_allows_text(allowed_networks, *addresses) != allowed)
			test_fail(__FILE__, __LINE__, "%s", *addresses);
}

static const char *const public[] = {
	"1.1.1.1",         "9.255.255.255",  "11.0.0.0",
	"100.63.255.255",  "100.128.0.0",    "126.0.0.1",
	"128.0.0.1",       "169.253.0.1",    "172.15.255.255",
	"172.32.0.0",      "192.0.3.0",      "192.167.0.1",
	"192.169.0.1",     "198.17.255.255", "198.20.0.0",
	"223.255.255.255", "2606:4700::1",   "2a00:1450:4001::8",
	"2001:200::1",     "3ffe::1",        NULL,
};

static const char *const special[] = {
	"10.0.0.1",       "100.64.0.1",   "127.0.0.1",    "127.255.255.254", "172.16.0.1",
	"172.31.255.255", "192.0.0.1",    "192.0.2.1",    "192.88.99.1",     "192.168.0.1",
	"198.18.0.1",     "198.19.255.1", "198.51.100.1", "203.0.113.1",     "::1",
	"fc00::1",        "fdff::1",      "fec0::1",      "100::1",          "2001:db8::1",
	"2001:10::1",     "3fff::1",      "4000::1",      "5f00::1",         NULL,
};

static const char *const never[] = {
	"0.0.0.0",
	"0.1.2.3",
	"169.254.169.254",
	"169.254.0.1",
	"100.100.100.200",
	"168.63.129.16",
	"192.0.0.192",
	"224.0.0.1",
	"239.1.1.1",
	"240.0.0.1",
	"255.255.255.255",
	"::",
	"fe80::1",
	"febf::1",
	"ff02::1",
	"fd00:ec2::254",
	"fd20:ce::254",
	"2001:0:a9fe:a9fe::1",
	"64:ff9b:1::a9fe:a9fe",
	NULL,
};

TEST(what_is_public_is_allowed)
{
	check_all(NULL, public, true);
	check_all(networks(""), public, true);
}

TEST(what_is_special_is_allowed_where_it_was_allowed)
{
	check_all(NULL, special, false);
	check_all(networks(""), special, false);
	check_all(ALL, special, true);
}

TEST(what_is_never_allowed_cannot_be_allowed)
{
	check_all(NULL, never, false);
	check_all(ALL, never, false);
}

TEST(a_network_has_its_addresses_and_no_others)
{
	char **list = networks("10.1.2.0/23 192.168.7.7/32 fd12:3456::/33");
	static const char *const within[] = {
		"10.1.2.0", "10.1.3.255", "192.168.7.7", "fd12:3456:7fff::1", NULL,
	};
	static const char *const beyond[] = {
		"10.1.1.255",        "10.1.4.0",     "192.168.7.6", "192.168.7.8",
		"fd12:3456:8000::1", "fd12:3457::1", NULL,
	};

	check_all(list, within, true);
	check_all(list, beyond, false);
}

/* An address in each of the clothes that IPv6 has for it. */
TEST(an_address_within_another_is_judged_as_itself)
{
	char **list = networks("10.0.0.0/8 2000::/3");
	static const char *const refused[] = {
		"::ffff:127.0.0.1",
		"::ffff:169.254.169.254",
		"::ffff:0:127.0.0.1",
		"::127.0.0.1",
		"::192.168.1.1",
		"64:ff9b::169.254.169.254",
		"64:ff9b::7f00:1",
		"2002:a9fe:a9fe::1",
		"2002:7f00:1::",
		"2600::5efe:7f00:1",
		"2600::200:5efe:c0a8:1",
		"fe80::5efe:10.0.0.1",
		"::2",
		NULL,
	};
	static const char *const allowed[] = {
		"::ffff:8.8.8.8",     "::8.8.8.8",       "64:ff9b::8.8.8.8", "2002:808:808::",
		"2600::5efe:808:808", "::ffff:10.1.1.1", "2002:a01:101::",   NULL,
	};

	check_all(list, refused, false);
	check_all(list, allowed, true);
	/* It is not the network around it that counts. */
	check_all(networks("::/0"), refused, false);
}

TEST(a_socket_address_is_judged_as_its_text)
{
	struct sockaddr_in four = { .sin_family = AF_INET,
				    .sin_port = htons(80),
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_un local = { .sun_family = AF_UNIX, .sun_path = "/run/x" };

	CHECK(!guard_allows(NULL, (struct sockaddr *)&four));
	CHECK(guard_allows(networks("127.0.0.1/32"), (struct sockaddr *)&four));
	CHECK(!guard_allows(NULL, (struct sockaddr *)&six));
	CHECK(guard_allows(networks("::1/128"), (struct sockaddr *)&six));
	CHECK(!guard_allows(ALL, (struct sockaddr *)&local));
}

TEST(what_is_no_address_is_not_allowed)
{
	static const char *const texts[] = { "",           "1",        "127.1",
					     "localhost",  "::1%lo",   "1.1.1.1/32",
					     "0x7f.0.0.1", "1.1.1.1 ", NULL };

	check_all(ALL, texts, false);
}

static void check_kept(const char *text, const char *as)
{
	char *kept = NULL;

	CHECK_INT(guard_check_network(text, &kept, NULL), 0);
	CHECK_TEXT(kept, as);
	free(kept);
}

TEST(a_network_is_kept_in_one_form)
{
	check_kept("10.0.0.0/8", "10.0.0.0/8");
	check_kept("10.1.2.3/8", "10.0.0.0/8");
	check_kept("192.168.1.7", "192.168.1.7/32");
	check_kept("0.0.0.0/0", "0.0.0.0/0");
	check_kept("FD00:0::1/9", "fd00::/9");
	check_kept("::1", "::1/128");
	check_kept("128.0.0.0/1", "128.0.0.0/1");
}

TEST(what_is_no_network_is_refused_and_so_is_one_that_is_never_called)
{
	static const char *const texts[] = {
		"",
		"x",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/8/8",
		"10.0/8",
		"::/129",
		"localhost",
		"/8",
		"169.254.0.0/16",
		"169.254.169.254",
		"fe80::/10",
		"fe80::/64",
		"224.0.0.0/4",
		"240.0.0.0/4",
		"0.0.0.0/8",
		"ff00::/8",
		"::",
		"fd00:ec2::254",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct error err = { 0 };
		char *kept = NULL;

		if (guard_check_network(texts[i], &kept, &err) != -EINVAL)
			test_fail(__FILE__, __LINE__, "%s", texts[i]);
		CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
		CHECK(!kept);
	}
}
