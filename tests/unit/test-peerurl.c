/* SPDX-License-Identifier: MIT */
#include "agent/peerurl.h"

#include "base/util.h"
#include "lib/test.h"

static void check_all(const char *const urls[], size_t n, bool usable)
{
	for (size_t i = 0; i < n; i++)
		if (peer_url_is_usable(urls[i], NULL) != usable)
			test_fail(__FILE__, __LINE__, "%s", urls[i]);
}

TEST(public_names_and_addresses_are_usable)
{
	static const char *const urls[] = {
		"https://agent.example.org",
		"http://agent.example.org:8080/a2a",
		"HTTPS://Agent.Example.Org",
		"http://192.0.32.10",
		"http://172.15.0.1",
		"http://172.32.0.1",
		"http://100.63.255.255",
		"http://100.128.0.1",
		"http://169.253.0.1",
		"http://223.255.255.254:1",
		"http://[2606:4700::1111]:443/",
		"http://[::ffff:8.8.8.8]/",
		/* Their owner chose that name. */
		"http://ws-7.example.org:8000",
		"http://wsx",
		"http://localhost.example.org",
		"http://mylocalhost",
	};

	check_all(urls, ARRAY_LEN(urls), true);
}

TEST(what_the_platform_invents_is_not)
{
	static const char *const urls[] = {
		"http://ws-0f8fad5b-d9c:8000",  "http://WS-0F8FAD5B-D9C:8000",
		"http://ws-0f8fad5b-d9c:8000/", "http://host.docker.internal:9000",
		"http://Host.Docker.Internal",
	};

	check_all(urls, ARRAY_LEN(urls), false);
}

TEST(addresses_that_no_peer_has_are_not)
{
	static const char *const urls[] = {
		"http://0.0.0.0",      "http://0.1.2.3",         "http://10.0.0.1",
		"http://100.64.0.1",   "http://100.127.255.255", "http://127.0.0.1:8080",
		"http://127.9.9.9",    "http://169.254.169.254", "http://172.16.0.1",
		"http://172.31.255.1", "http://192.168.1.1",     "http://224.0.0.1",
		"http://240.0.0.1",    "http://255.255.255.255", "http://localhost",
		"http://LOCALHOST:1",
	};

	check_all(urls, ARRAY_LEN(urls), false);
}

TEST(nor_are_they_in_another_spelling)
{
	static const char *const urls[] = {
		"http://2130706433",
		"http://0x7f000001",
		"http://0177.0.0.1",
		"http://127.1",
		"http://0",
		"http://0xa9fea9fe",
		"http://[::ffff:127.0.0.1]",
		"http://[::127.0.0.1]",
		"http://localhost.",
		"http://agent.localhost",
		"http://10.0.0.1.",
		"http://ws-0f8fad5b-d9c.:8000",
		"http://[::ffff:a9fe:a9fe]",
	};

	check_all(urls, ARRAY_LEN(urls), false);
}

TEST(nor_are_those_of_ipv6)
{
	static const char *const urls[] = {
		"http://[::]",      "http://[::1]:80",  "http://[fe80::1]", "http://[febf::1]",
		"http://[ff02::1]", "http://[fc00::1]", "http://[fd12::1]", "http://[::10.0.0.1]",
	};

	check_all(urls, ARRAY_LEN(urls), false);
}

TEST(what_is_no_http_url_is_not)
{
	static const char *const urls[] = {
		"",
		"remote://no-inbound",
		"ftp://agent.example.org",
		"file:///etc/passwd",
		"agent.example.org",
		"//agent.example.org",
		"http://",
		"http://user:password@agent.example.org",
		"http://agent.example.org\r\nX-Header: 1",
		"http://agent example.org",
		"javascript:alert(1)",
	};

	check_all(urls, ARRAY_LEN(urls), false);
}
