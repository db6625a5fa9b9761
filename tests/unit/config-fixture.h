/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Shared by the tests of the configuration: configurations from text, and a
 * tree of files below the test's own directory.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "config.h"
#include "lib/test.h"

#define ID1 "00000000-0000-4000-8000-000000000001"
#define ID2 "00000000-0000-4000-8000-000000000002"
#define URL "platform_url = https://p.example\n"
#define WORKSPACE(id) "[workspace]\n" URL "workspace_id = " id "\n"

static inline struct config *parse_as(const char *name, const char *text)
{
	struct config *config = NULL;
	struct error err = { 0 };
	int r;

	r = config_parse(name ? "laptop.conf" : "agentd.conf", name, text, strlen(text), &config,
			 &err);
	CHECK_TEXT(err.text, "");
	CHECK_INT(r, 0);
	return config;
}

static inline struct config *parse(const char *text)
{
	return parse_as(NULL, text);
}

static inline void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "we");

	CHECK(file);
	CHECK(fputs(text, file) >= 0);
	CHECK_INT(fclose(file), 0);
}

static inline char *here(const char *name)
{
	char *cwd = getcwd(NULL, 0), *path;

	CHECK(cwd);
	CHECK(asprintf(&path, "%s/%s", cwd, name) > 0);
	free(cwd);
	return path;
}

/* etc/agentd.conf, etc/agentd.conf.d, etc/workspaces.d, state/workspaces.d below here. */
static inline void make_tree(struct config_paths *paths)
{
	char *file = here("etc/agentd.conf"), *state = here("state");
	struct error err = { 0 };

	CHECK_INT(mkdir("etc", 0755), 0);
	CHECK_INT(mkdir("etc/agentd.conf.d", 0755), 0);
	CHECK_INT(mkdir("etc/workspaces.d", 0755), 0);
	CHECK_INT(mkdir("state", 0700), 0);
	CHECK_INT(mkdir("state/workspaces.d", 0700), 0);
	CHECK_INT(unsetenv("MOLECULE_LOG_LEVEL") | unsetenv("MOLECULE_STATE_DIR") |
			  unsetenv("MOLECULE_SOCKET"),
		  0);
	CHECK_INT(setenv("STATE_DIRECTORY", state, 1), 0);
	CHECK_INT(config_paths_init(paths, file, false, &err), 0);
	free(file);
	free(state);
}

static inline struct config *load(const struct config_paths *paths)
{
	struct config *config = NULL;
	struct error err = { 0 };
	int r = config_load(paths, &config, &err);

	CHECK_TEXT(err.text, "");
	CHECK_INT(r, 0);
	return config;
}

static inline void load_fails(const struct config_paths *paths, const char *part)
{
	struct config *config = NULL;
	struct error err = { 0 };

	CHECK(config_load(paths, &config, &err) < 0);
	if (!strstr(err.text, part))
		CHECK_TEXT(err.text, part);
	CHECK_INT(err.kind, ERROR_CONFIG);
	CHECK(!config);
}

static inline void count_change(const char *section, const char *key, bool needs_restart,
				void *context)
{
	struct buffer *seen = context;

	(void)buffer_printf(seen, "[%s]%s%s%s ", section, key ? " " : "", key ? key : "",
			    needs_restart ? "!" : "");
}

static inline void check_changes(const struct config *a, const struct config *b,
				 const char *expected)
{
	struct buffer seen = BUFFER_INIT(4096);
	char *text;

	config_compare(a, b, count_change, &seen);
	CHECK_INT(buffer_append_text(&seen, "."), 0);
	text = buffer_take_text(&seen);
	CHECK_TEXT(text, expected);
	free(text);
	buffer_fini(&seen);
}
