/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a person says about a platform. Two workspaces whose platform settings
 * are equal share one platform: its connections, its rate budget, its circuit.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct platform_settings {
	char *url;     /* "https://host[:port][/path]", see io/url.h */
	char *org_id;  /* X-Molecule-Org-Id, or NULL */
	char *origin;  /* Origin, or NULL: a native client sends none */
	char *ca_file; /* PEM; NULL: the system's */
	char *proxy;   /* URL; NULL: none, whatever the environment says */
	bool allow_http;
	uint32_t requests_per_minute; /* our share of the platform's budget for this address */
};

void platform_settings_fini(struct platform_settings *settings);
/* dst is uninitialised; on failure it is left finished. */
int platform_settings_copy(struct platform_settings *dst, const struct platform_settings *src);
bool platform_settings_equal(const struct platform_settings *a, const struct platform_settings *b);

/* How each text is checked and kept (base/setting.h). */
int platform_check_url(const char *text, char **ret, struct error *err);
int platform_check_origin(const char *text, char **ret, struct error *err);
int platform_check_proxy(const char *text, char **ret, struct error *err);
int platform_check_header(const char *text, char **ret, struct error *err);
int platform_check_path(const char *text, char **ret, struct error *err);

/*
 * What only shows when all is said: that there is a URL, that a token would not
 * cross a network in the clear, that the CA file can be read. *ret_key is the
 * setting to change.
 */
int platform_settings_check(const struct platform_settings *settings, const char **ret_key,
			    struct error *err);
