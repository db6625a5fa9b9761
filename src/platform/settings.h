/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a person says about a platform. Two workspaces whose platform settings
 * are equal share one platform: its connections, its rate budget, its circuit.
 */

#include <stdbool.h>
#include <stdint.h>

struct platform_settings {
	char *url; /* "https://host[:port][/prefix]", lower-case scheme and host, no trailing slash
		    */
	char *org_id;  /* X-Molecule-Org-Id, or NULL */
	char *origin;  /* Origin, or NULL: a native client sends none */
	char *ca_file; /* PEM; NULL: the system's */
	char *proxy;   /* URL; NULL: none, whatever the environment says */
	bool allow_http;
	uint32_t requests_per_minute; /* our share of the platform's budget for this address */
};

void platform_settings_fini(struct platform_settings *settings);
int platform_settings_copy(struct platform_settings *dst, const struct platform_settings *src);
bool platform_settings_equal(const struct platform_settings *a, const struct platform_settings *b);
