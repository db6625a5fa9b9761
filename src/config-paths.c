/* SPDX-License-Identifier: MIT */
/*
 * Where the configuration is, and where state and sockets are when it does not
 * say so: as the system has it, or as the XDG base directories have it for a
 * user's own daemon.
 */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config-build.h"

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the configuration");
}

/* A relative path in such a variable is to be ignored (XDG base directories). */
static const char *absolute_env(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

/* $XDG_x_HOME/molecule, or what stands for it below the home directory. */
static int xdg_dir(const char *variable, const char *below_home, char **ret, struct error *err)
{
	const char *base = absolute_env(variable), *home = absolute_env("HOME");
	int r;

	if (base)
		r = asprintf(ret, "%s/molecule", base);
	else if (home)
		r = asprintf(ret, "%s/%s/molecule", home, below_home);
	else
		return error_set(err, ERROR_CONFIG, ENOENT,
				 "neither %s nor HOME is set: set one to an absolute path",
				 variable);

	if (r < 0) {
		*ret = NULL;
		return no_memory(err);
	}
	return 0;
}

static int user_paths(struct config_paths *paths, char **ret_dir, struct error *err)
{
	const char *runtime = absolute_env("XDG_RUNTIME_DIR");
	int r;

	r = xdg_dir("XDG_CONFIG_HOME", ".config", ret_dir, err);
	if (r < 0)
		return r;

	r = xdg_dir("XDG_STATE_HOME", ".local/state", &paths->state_dir, err);
	if (r < 0)
		return r;

	if (runtime && asprintf(&paths->socket, "%s/molecule.sock", runtime) < 0) {
		paths->socket = NULL;
		return no_memory(err);
	}

	return 0;
}

/*
 * What systemd made for us; several are separated by colons. With DynamicUser=
 * the name is systemd's symbolic link, and no link is trusted when it is opened.
 */
static char *state_directory(const char *given)
{
	AUTO(free) char *first = strndup(given, strcspn(given, ":"));
	char *real = first ? realpath(first, NULL) : NULL;

	return real ? real : TAKE(first);
}

static int system_paths(struct config_paths *paths, char **ret_dir, struct error *err)
{
	const char *state = absolute_env("STATE_DIRECTORY");

	*ret_dir = strdup(SYSCONFDIR);
	paths->state_dir = state ? state_directory(state) : strdup(LOCALSTATEDIR "/lib/molecule");
	if (!*ret_dir || !paths->state_dir)
		return no_memory(err);

	return 0;
}

static int beside(const char *file, const char *name, char **ret, struct error *err)
{
	const char *slash = strrchr(file, '/');
	int dir_len = slash ? (int)(slash - file) + 1 : 0;

	if (asprintf(ret, "%.*s%s", dir_len, file, name) < 0) {
		*ret = NULL;
		return no_memory(err);
	}
	return 0;
}

static int find_paths(struct config_paths *paths, const char *file, struct error *err)
{
	AUTO(free) char *dir = NULL;
	int r;

	r = paths->user ? user_paths(paths, &dir, err) : system_paths(paths, &dir, err);
	if (r < 0)
		return r;

	if (file) {
		paths->file = strdup(file);
		paths->file_required = true;
	} else if (asprintf(&paths->file, "%s/agentd.conf", dir) < 0) {
		paths->file = NULL;
	}
	if (!paths->file)
		return no_memory(err);

	return beside(paths->file, "workspaces.d", &paths->workspaces_dir, err);
}

int config_paths_init(struct config_paths *paths, const char *file, bool user, struct error *err)
{
	int r;

	*paths = (struct config_paths){ .user = user };
	r = find_paths(paths, file, err);
	if (r < 0)
		config_paths_fini(paths);
	return r;
}

void config_paths_fini(struct config_paths *paths)
{
	if (!paths)
		return;

	free(paths->file);
	free(paths->workspaces_dir);
	free(paths->state_dir);
	free(paths->socket);
	*paths = (struct config_paths){ 0 };
}
