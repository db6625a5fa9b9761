/* SPDX-License-Identifier: MIT */
/*
 * What a platform's settings may be.
 */

#include "platform/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "io/url.h"

void platform_settings_fini(struct platform_settings *settings)
{
	if (!settings)
		return;

	free(settings->url);
	free(settings->org_id);
	free(settings->origin);
	free(settings->ca_file);
	free(settings->proxy);
	*settings = (struct platform_settings){ 0 };
}

static int copy_text(char **dst, const char *src)
{
	if (!src)
		return 0;

	*dst = strdup(src);
	return *dst ? 0 : -ENOMEM;
}

int platform_settings_copy(struct platform_settings *dst, const struct platform_settings *src)
{
	*dst = (struct platform_settings){
		.allow_http = src->allow_http,
		.requests_per_minute = src->requests_per_minute,
	};

	if (copy_text(&dst->url, src->url) < 0 || copy_text(&dst->org_id, src->org_id) < 0 ||
	    copy_text(&dst->origin, src->origin) < 0 ||
	    copy_text(&dst->ca_file, src->ca_file) < 0 || copy_text(&dst->proxy, src->proxy) < 0) {
		platform_settings_fini(dst);
		return -ENOMEM;
	}

	return 0;
}

static bool text_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool platform_settings_equal(const struct platform_settings *a, const struct platform_settings *b)
{
	return text_equal(a->url, b->url) && text_equal(a->org_id, b->org_id) &&
	       text_equal(a->origin, b->origin) && text_equal(a->ca_file, b->ca_file) &&
	       text_equal(a->proxy, b->proxy) && a->allow_http == b->allow_http &&
	       a->requests_per_minute == b->requests_per_minute;
}

static int keep(const char *text, char **ret, struct error *err)
{
	char *copy = strdup(text);

	if (!copy)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the settings");

	*ret = copy;
	return 0;
}

int platform_check_url(const char *text, char **ret, struct error *err)
{
	return url_canonical(text, URL_BASE, ret, err);
}

int platform_check_origin(const char *text, char **ret, struct error *err)
{
	return url_canonical(text, URL_ORIGIN, ret, err);
}

int platform_check_proxy(const char *text, char **ret, struct error *err)
{
	return url_canonical(text, URL_PROXY, ret, err);
}

/* It becomes the value of a header. */
int platform_check_header(const char *text, char **ret, struct error *err)
{
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
					 "write visible ASCII characters only, without blanks");

	return keep(text, ret, err);
}

int platform_check_path(const char *text, char **ret, struct error *err)
{
	if (text[0] != '/')
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "write a path that begins with /");

	return keep(text, ret, err);
}

int platform_settings_check(const struct platform_settings *settings, const char **ret_key,
			    struct error *err)
{
	*ret_key = "platform_url";
	if (!settings->url)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "platform_url is missing: write platform_url = https://HOST, "
				 "the address of the platform");

	if (!url_is_https(settings->url) && !settings->allow_http &&
	    !url_is_loopback(settings->url))
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "platform_url: http:// would send the token readable for all on "
				 "the way: write https://, or allow_http = yes where you trust "
				 "the network");

	*ret_key = "ca_file";
	if (settings->ca_file && access(settings->ca_file, R_OK) < 0)
		return error_set(err, ERROR_INVALID_PARAMS, errno,
				 "ca_file: cannot read %s: %m; write the path of a PEM file",
				 settings->ca_file);

	*ret_key = NULL;
	return 0;
}
