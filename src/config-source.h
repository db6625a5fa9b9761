/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One configuration file, taken apart but not understood: sections, and what
 * stands in them, each with its line.
 */

#include <stddef.h>

#include "base/error.h"
#include "base/util.h"

struct config_item {
	char *name;
	char *value; /* lines that continue it are joined with '\n' */
	unsigned line;
};

struct config_section {
	char *name; /* "workspace laptop" */
	unsigned line;
	struct config_item *items;
	size_t n_items;
};

struct config_source {
	char *path;
	struct config_section *sections;
	size_t n_sections;
};

int config_source_parse(const char *path, const char *bytes, size_t len, struct config_source **ret,
			struct error *err);
/* -ENOENT when there is no such file. */
int config_source_read(const char *path, struct config_source **ret, struct error *err);
void config_source_free(struct config_source *source);
DEFINE_AUTO(struct config_source *, config_source_free);

/* A regular file of at most max bytes without NULs, through symbolic links too. */
int config_read_text(const char *path, size_t max, char **ret, size_t *ret_len, struct error *err);

/* What a person has to put right is CONFIG, what may pass is not. */
enum error_kind config_error_kind(int errnum);
/* Puts "path:line: " before the sentence and makes it an error of the configuration. */
int config_fail(const char *path, unsigned line, int r, struct error *err);
