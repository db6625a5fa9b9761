/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * plugin.yaml: what a plugin says of itself. One document, a mapping, of which
 * a few keys are read and the rest is passed over. No aliases, bounded depth and
 * size: a small file must not become a large one.
 */

#include <stdbool.h>
#include <stddef.h>

#include "helper/policy.h"

#define PLUGINFILE_PATH "plugin.yaml"
#define PLUGINFILE_MAX (64 * 1024) /* real ones have two kilobytes */
#define PLUGINFILE_DEPTH_MAX 16
#define PLUGINFILE_VERSION_MAX 64
#define PLUGINFILE_DESCRIPTION_MAX 1024 /* what is longer is cut */
#define PLUGINFILE_RUNTIME_MAX 64
#define PLUGINFILE_RUNTIMES_MAX 32
#define SHA256_HEX_LEN 64

/* Texts are valid UTF-8 without NULs; empty when the file does not say. */
struct pluginfile {
	char name[POLICY_NAME_MAX + 1];
	char version[PLUGINFILE_VERSION_MAX + 1];
	char description[PLUGINFILE_DESCRIPTION_MAX + 1];
	char sha256[SHA256_HEX_LEN +
		    1]; /* of the files, as the plugin's author has signed them off */
	char runtimes[PLUGINFILE_RUNTIMES_MAX][PLUGINFILE_RUNTIME_MAX + 1];
	size_t n_runtimes;
};

int pluginfile_parse(const char *bytes, size_t len, struct pluginfile *file,
		     struct refusal *refusal);

/* 64 digits, lower case: the only form that readers of such digests agree on. */
bool pluginfile_is_sha256(const char *text);
