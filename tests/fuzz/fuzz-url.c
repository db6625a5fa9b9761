/* SPDX-License-Identifier: MIT */
/*
 * The bytes, after one that chooses the kind, as a URL that a person wrote or
 * that the platform gave for a peer: a canonical one is its own canonical form,
 * and one that may be called directly is never on this host.
 */

#include <stdlib.h>
#include <string.h>

#include "agent/peerurl.h"
#include "fuzz.h"
#include "io/url.h"

static void check_canonical(const char *url, enum url_kind kind)
{
	const char *place = strstr(url, "://");
	char *again = NULL;

	REQUIRE(strlen(url) <= URL_MAX);
	REQUIRE(place);
	place += 3;
	REQUIRE(!strpbrk(url, "?# \t\r\n"));
	/* A path may have an @, a host may not. */
	REQUIRE(!memchr(place, '@', strcspn(place, "/")));
	REQUIRE(url_canonical(url, kind, &again, NULL) == 0);
	REQUIRE(strcmp(url, again) == 0);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const enum url_kind kinds[] = { URL_BASE, URL_ORIGIN, URL_PROXY };
	struct error err = { 0 };
	char *text, *url = NULL;
	enum url_kind kind;

	if (!len)
		return 0;

	kind = kinds[bytes[0] % 3];
	text = strndup((const char *)bytes + 1, len - 1);
	REQUIRE(text);

	if (url_canonical(text, kind, &url, &err) == 0) {
		check_canonical(url, kind);
		REQUIRE(kind != URL_BASE || !url_is_loopback(url) ||
			!peer_url_is_usable(url, NULL));
	} else {
		REQUIRE(err.text[0] && !url);
		/* A sentence repeats nothing of what may have a password in it. */
		REQUIRE(!strchr(text, '@') || !strstr(err.text, text));
	}
	(void)peer_url_is_usable(text, NULL);

	free(url);
	free(text);
	return 0;
}
