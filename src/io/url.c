/* SPDX-License-Identifier: MIT */
/*
 * libcurl takes the URL apart, so that what is checked here is what it will
 * dial later: it knows that 127.1 and 0x7f000001 are 127.0.0.1.
 */

#include "io/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

static void curl_url_free(CURLU *parts)
{
	curl_url_cleanup(parts);
}
DEFINE_AUTO(CURLU *, curl_url_free);

static void curl_text_free(char *text)
{
	curl_free(text);
}
DEFINE_AUTO(char *, curl_text_free);

static int refuse(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "%s", what);
}

static const char *example(enum url_kind kind)
{
	switch (kind) {
	case URL_BASE:
		return "write a URL such as https://platform.example.org";
	case URL_ORIGIN:
		return "write scheme, host and perhaps port only, such as https://app.example.org";
	case URL_PROXY:
		return "write a URL such as http://proxy.example.org:3128 (or socks5h://)";
	}
	abort();
}

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a URL");
}

/* *ret is NULL when there is no such part. */
static int get_part(CURLU *parts, CURLUPart part, char **ret, struct error *err)
{
	CURLUcode code = curl_url_get(parts, part, ret, 0);

	if (code == CURLUE_OUT_OF_MEMORY)
		return no_memory(err);

	if (code != CURLUE_OK)
		*ret = NULL;
	return 0;
}

/* Refuses a URL that has this part. */
static int without(CURLU *parts, CURLUPart part, const char *sentence, struct error *err)
{
	AUTO(curl_text_free) char *text = NULL;
	int r;

	r = get_part(parts, part, &text, err);
	if (r < 0)
		return r;

	/* There always is a path. */
	return text && !(part == CURLUPART_PATH && strcmp(text, "/") == 0) ? refuse(err, sentence)
									   : 0;
}

static int check_scheme(CURLU *parts, enum url_kind kind, struct error *err)
{
	AUTO(curl_text_free) char *scheme = NULL;
	int r;

	r = get_part(parts, CURLUPART_SCHEME, &scheme, err);
	if (r < 0)
		return r;

	if (scheme && kind == URL_PROXY &&
	    (!strcasecmp(scheme, "socks5") || !strcasecmp(scheme, "socks5h")))
		return 0;

	if (scheme && (!strcasecmp(scheme, "http") || !strcasecmp(scheme, "https")))
		return 0;

	return refuse(err, example(kind));
}

static int check_parts(CURLU *parts, enum url_kind kind, struct error *err)
{
	static const struct {
		CURLUPart part;
		const char *sentence;
	} forbidden[] = {
		{ CURLUPART_USER,
		  "a URL must not hold a user or password: others may read this file" },
		{ CURLUPART_PASSWORD,
		  "a URL must not hold a user or password: others may read this file" },
		{ CURLUPART_QUERY, "leave out what begins with ? or #" },
		{ CURLUPART_FRAGMENT, "leave out what begins with ? or #" },
		{ CURLUPART_ZONEID,
		  "an address with a zone (%eth0) means something else on each host: "
		  "write a global address or a name" },
	};
	int r;

	r = check_scheme(parts, kind, err);
	if (r < 0)
		return r;

	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
		r = without(parts, forbidden[i].part, forbidden[i].sentence, err);
		if (r < 0)
			return r;
	}

	return kind == URL_BASE ? 0 : without(parts, CURLUPART_PATH, example(kind), err);
}

static const char plain_host[] =
	"write the host in plain ASCII (an international name in its xn-- form)";

/*
 * Whether something in the host is written as %36, which curl decodes after it
 * has looked for numbers: the same host would read another way the next time.
 */
static bool has_encoded_host(const char *text)
{
	/* After the scheme curl takes one slash, two, or three. */
	const char *host = text + strcspn(text, ":");

	host += strspn(host, ":/");
	return host[0] != '[' && memchr(host, '%', strcspn(host, "/?#"));
}

/* A host of visible ASCII, in lower case. */
static int lower_host(CURLU *parts, struct error *err)
{
	AUTO(curl_text_free) char *host = NULL;
	CURLUcode code;
	int r;

	r = get_part(parts, CURLUPART_HOST, &host, err);
	if (r < 0)
		return r;

	if (!host || !host[0])
		return refuse(err, "there is no host in this URL");

	for (char *p = host; *p; p++) {
		if (*p <= ' ' || *p >= 0x7f || *p == '%')
			return refuse(err, plain_host);
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	}

	code = curl_url_set(parts, CURLUPART_HOST, host, 0);
	if (code == CURLUE_OUT_OF_MEMORY)
		return no_memory(err);
	if (code != CURLUE_OK)
		return refuse(err, "the host in this URL is no host name");

	return 0;
}

static bool is_visible_ascii(const char *text)
{
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return false;

	return true;
}

static int split(const char *text, enum url_kind kind, CURLU **ret, struct error *err)
{
	AUTO(curl_url_free) CURLU *parts = curl_url();
	CURLUcode code;

	if (!parts)
		return no_memory(err);

	/* curl would guess a scheme. */
	if (!strstr(text, "://"))
		return refuse(err, example(kind));

	code = curl_url_set(parts, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
	if (code == CURLUE_OUT_OF_MEMORY)
		return no_memory(err);
	if (code != CURLUE_OK)
		return refuse(err, example(kind));

	*ret = TAKE(parts);
	return 0;
}

int url_canonical(const char *text, enum url_kind kind, char **ret, struct error *err)
{
	AUTO(curl_url_free) CURLU *parts = NULL;
	AUTO(curl_text_free) char *url = NULL;
	char *copy;
	size_t len;
	int r;

	if (strlen(text) > URL_MAX)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "a URL may have at most %d bytes", URL_MAX);

	if (!is_visible_ascii(text))
		return refuse(err, "a URL has neither blanks nor letters beyond ASCII");

	r = split(text, kind, &parts, err);
	if (r < 0)
		return r;

	r = check_parts(parts, kind, err);
	if (r < 0)
		return r;

	if (has_encoded_host(text))
		return refuse(err, plain_host);

	r = lower_host(parts, err);
	if (r < 0)
		return r;

	/* All parts are good, so only memory can be missing. */
	if (curl_url_get(parts, CURLUPART_URL, &url, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
		return no_memory(err);

	len = strlen(url);
	while (len && url[len - 1] == '/')
		len--;

	copy = strndup(url, len);
	if (!copy)
		return no_memory(err);

	*ret = copy;
	return 0;
}

bool url_is_https(const char *url)
{
	return strncmp(url, "https://", 8) == 0;
}

/* By hand: a lack of memory must not make another host of it. */
bool url_is_loopback(const char *url)
{
	const char *host = strstr(url, "://");
	char text[INET_ADDRSTRLEN];
	struct in_addr addr;
	size_t len;

	host = host ? host + 3 : "";
	if (memchr(host, '@', strcspn(host, "/?#")))
		return false;
	if (strncmp(host, "[::1]", 5) == 0)
		return strchr(":/?#", host[5]) != NULL;

	len = strcspn(host, ":/?#");
	if (len == 9 && memcmp(host, "localhost", 9) == 0)
		return true;
	if (len >= sizeof(text))
		return false;

	memcpy(text, host, len);
	text[len] = '\0';
	return inet_pton(AF_INET, text, &addr) == 1 && ntohl(addr.s_addr) >> 24 == 127;
}
