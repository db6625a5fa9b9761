/* SPDX-License-Identifier: MIT */
/*
 * Loading: files are taken apart first, all of them, and then applied in order
 * of precedence, so that [defaults] holds for every workspace wherever it
 * stands. Where each workspace came from is remembered until the end, when it
 * shows whether two of them are one.
 */

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config-apply.h"
#include "config-source.h"

/* A workspace, and where it was said. */
struct found {
	struct workspace_settings settings;
	const char *path; /* borrowed from a source */
	unsigned line;
	size_t order;
};

struct loader {
	const struct config_paths *paths;
	struct config *config; /* owned until it is given away */
	struct config_source **sources;
	size_t n_sources;
	struct found *found;
	size_t n_found;
	struct error *err;
};

static int no_memory(struct loader *loader)
{
	return error_set(loader->err, ERROR_INTERNAL, ENOMEM, "no memory for the configuration");
}

static void loader_fini_auto(struct loader *loader)
{
	for (size_t i = 0; i < loader->n_found; i++)
		workspace_settings_fini(&loader->found[i].settings);
	free(loader->found);
	for (size_t i = 0; i < loader->n_sources; i++)
		config_source_free(loader->sources[i]);
	free(loader->sources);
	config_free(loader->config);
}

static int begin(struct loader *loader)
{
	int r;

	loader->config = calloc(1, sizeof(*loader->config));
	if (!loader->config)
		return no_memory(loader);

	for (const struct config_section_kind *kind = config_sections; kind->name; kind++) {
		setting_for_each(setting, kind->table)
		{
			r = config_reset(loader->paths, setting,
					 (char *)loader->config + kind->offset, loader->err);
			if (r < 0)
				return r;
		}
	}

	return 0;
}

static const struct config_section_kind workspace_kind = { "workspace", &workspace_settings_table,
							   0 };

/* The line to blame: where the key was written, else where the workspace begins. */
static unsigned line_of(const struct config_section *section, const char *key)
{
	for (size_t i = 0; section && key && i < section->n_items; i++)
		if (strcmp(section->items[i].name, key) == 0)
			return section->items[i].line;

	return section ? section->line : 1;
}

static int fill_workspace(struct loader *loader, const struct config_source *source,
			  const struct config_section *section, const char *name,
			  struct workspace_settings *settings)
{
	const char *key = NULL;
	int r;

	r = workspace_settings_set_name(settings, name, loader->err);
	if (r < 0)
		return config_fail(source->path, line_of(section, NULL), r, loader->err);

	if (section)
		r = config_apply(loader->paths, source, section, &workspace_kind, settings,
				 loader->err);
	if (r < 0)
		return r;

	r = workspace_settings_check(settings, &key, loader->err);
	if (r < 0)
		return config_fail(source->path, line_of(section, key), r, loader->err);

	return 0;
}

/* section may be NULL: a workspace's file that says nothing. */
static int add_workspace(struct loader *loader, const struct config_source *source,
			 const struct config_section *section, const char *name, bool joined)
{
	struct found *found, *grown = loader->found;

	/* Doubles at powers of two. */
	if (!(loader->n_found & (loader->n_found - 1)))
		grown = reallocarray(loader->found, loader->n_found ? 2 * loader->n_found : 1,
				     sizeof(*grown));
	if (!grown)
		return no_memory(loader);

	loader->found = grown;
	found = &grown[loader->n_found];
	*found = (struct found){ .path = source->path,
				 .line = line_of(section, NULL),
				 .order = loader->n_found };
	if (workspace_settings_copy(&found->settings, &loader->config->agent.defaults) < 0)
		return no_memory(loader);

	loader->n_found++;
	found->settings.joined = joined;
	return fill_workspace(loader, source, section, name, &found->settings);
}

static int keep_source(struct loader *loader, struct config_source *source)
{
	struct config_source **grown = loader->sources;

	if (!(loader->n_sources & (loader->n_sources - 1)))
		grown = reallocarray(grown, loader->n_sources ? 2 * loader->n_sources : 1,
				     sizeof(*grown));
	if (!grown) {
		config_source_free(source);
		return no_memory(loader);
	}

	loader->sources = grown;
	grown[loader->n_sources++] = source;
	return 0;
}

static int read_source(struct loader *loader, const char *path)
{
	struct config_source *source = NULL;
	int r;

	r = config_source_read(path, &source, loader->err);
	if (r < 0)
		return r;

	return keep_source(loader, source);
}

/* "workspace NAME": the name, or NULL for another section. */
static const char *name_in(const struct config_section *section)
{
	static const char word[] = "workspace";
	const char *rest;

	if (strncmp(section->name, word, strlen(word)) != 0)
		return NULL;

	rest = section->name + strlen(word);
	if (*rest && !strchr(" \t", *rest))
		return NULL;

	return rest + strspn(rest, " \t");
}

static int apply_main_section(struct loader *loader, const struct config_source *source,
			      const struct config_section *section)
{
	const char *name = name_in(section);
	char shown[40];
	int r;

	for (const struct config_section_kind *kind = config_sections; kind->name; kind++)
		if (strcmp(kind->name, section->name) == 0)
			return config_apply(loader->paths, source, section, kind,
					    (char *)loader->config + kind->offset, loader->err);

	if (name && *name)
		return 0; /* when all defaults are known */

	if (name)
		r = error_set(loader->err, ERROR_CONFIG, EINVAL,
			      "in this file a workspace has its name in the section: write "
			      "[workspace NAME]");
	else
		r = error_set(
			loader->err, ERROR_CONFIG, EINVAL,
			"unknown section [%s]: there are [daemon], [rpc], [calls], [plugins], "
			"[defaults] and [workspace NAME]",
			error_quote(shown, sizeof(shown), section->name, strlen(section->name)));
	return config_fail(source->path, section->line, r, loader->err);
}

/* [daemon], [rpc], [calls], [plugins], [defaults] of the sources so far; workspaces must wait. */
static int apply_main(struct loader *loader)
{
	int r;

	for (size_t i = 0; i < loader->n_sources; i++) {
		const struct config_source *source = loader->sources[i];

		for (size_t j = 0; j < source->n_sections; j++) {
			r = apply_main_section(loader, source, &source->sections[j]);
			if (r < 0)
				return r;
		}
	}

	return 0;
}

static int add_workspaces_within(struct loader *loader)
{
	int r;

	for (size_t i = 0; i < loader->n_sources; i++) {
		const struct config_source *source = loader->sources[i];

		for (size_t j = 0; j < source->n_sections; j++) {
			const char *name = name_in(&source->sections[j]);

			r = name ? add_workspace(loader, source, &source->sections[j], name, false)
				 : 0;
			if (r < 0)
				return r;
		}
	}

	return 0;
}

/* A workspace's own file: at most one section, and its name is the file's. */
static int add_workspace_file(struct loader *loader, const struct config_source *source,
			      const char *name, bool joined)
{
	int r;

	for (size_t i = 0; i < source->n_sections; i++) {
		if (strcmp(source->sections[i].name, "workspace") == 0)
			continue;

		r = error_set(loader->err, ERROR_CONFIG, EINVAL,
			      "a workspace's file has one section, [workspace], and its name is "
			      "the file's: put anything else in agentd.conf");
		return config_fail(source->path, source->sections[i].line, r, loader->err);
	}

	return add_workspace(loader, source, source->n_sections ? source->sections : NULL, name,
			     joined);
}

static int is_ours(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_named(struct loader *loader, const char *dir, char *name, bool workspaces,
		      bool joined)
{
	AUTO(free) char *path = NULL;
	int r;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return no_memory(loader);
	}

	r = read_source(loader, path);
	if (r < 0 || !workspaces)
		return r;

	name[strlen(name) - strlen(".conf")] = '\0';
	return add_workspace_file(loader, loader->sources[loader->n_sources - 1], name, joined);
}

/* The *.conf of a directory, which need not be there, in order of their names. */
static int read_directory(struct loader *loader, const char *dir, bool workspaces, bool joined)
{
	struct dirent **entries = NULL;
	int n, r = 0;

	n = scandir(dir, &entries, is_ours, by_bytes);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return error_set(loader->err, config_error_kind(errno), errno,
				 "cannot read the directory %s: %m", dir);

	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = read_named(loader, dir, entries[i]->d_name, workspaces, joined);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static int apply_environment(struct loader *loader)
{
	static const struct {
		const char *variable, *key;
	} known[] = {
		{ "MOLECULE_LOG_LEVEL", "log_level" },
		{ "MOLECULE_STATE_DIR", "state_dir" },
		{ "MOLECULE_SOCKET", "socket" },
	};
	int r;

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const char *value = getenv(known[i].variable);

		if (!value || !*value)
			continue;

		r = setting_set(setting_find(config_sections[0].table, known[i].key),
				loader->config, value, loader->err);
		if (r < 0) {
			error_prefix(loader->err, "in the environment, %s", known[i].variable);
			if (loader->err && loader->err->kind == ERROR_INVALID_PARAMS)
				loader->err->kind = ERROR_CONFIG;
			return r;
		}
	}

	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int order = strcmp(x->settings.name, y->settings.name);

	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int by_identity(const void *a, const void *b)
{
	const struct found *x = *(struct found *const *)a, *y = *(struct found *const *)b;
	int order = strcmp(x->settings.id, y->settings.id);

	if (!order)
		order = strcmp(x->settings.platform.url, y->settings.platform.url);
	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int check_names(struct loader *loader)
{
	int r;

	for (size_t i = 1; i < loader->n_found; i++) {
		const struct found *first = &loader->found[i - 1], *second = &loader->found[i];

		if (strcmp(first->settings.name, second->settings.name) != 0)
			continue;

		r = error_set(loader->err, ERROR_CONFIG, EEXIST,
			      "there is a workspace \"%s\" already (%s:%u): give this one another "
			      "name, or remove one of them",
			      second->settings.name, first->path, first->line);
		return config_fail(second->path, second->line, r, loader->err);
	}

	return 0;
}

static int check_identities(struct loader *loader)
{
	AUTO(free) struct found **sorted = calloc(loader->n_found + 1, sizeof(*sorted));
	int r;

	if (!sorted)
		return no_memory(loader);

	for (size_t i = 0; i < loader->n_found; i++)
		sorted[i] = &loader->found[i];
	qsort(sorted, loader->n_found, sizeof(*sorted), by_identity);

	for (size_t i = 1; i < loader->n_found; i++) {
		const struct found *first = sorted[i - 1], *second = sorted[i];

		if (strcmp(first->settings.id, second->settings.id) != 0 ||
		    strcmp(first->settings.platform.url, second->settings.platform.url) != 0)
			continue;

		r = error_set(loader->err, ERROR_CONFIG, EEXIST,
			      "this is the same workspace of the same platform as \"%s\" (%s:%u): "
			      "remove one of them",
			      first->settings.name, first->path, first->line);
		return config_fail(second->path, second->line, r, loader->err);
	}

	return 0;
}

static int finish(struct loader *loader)
{
	struct agent_settings *agent = &loader->config->agent;
	int r;

	if (loader->n_found)
		qsort(loader->found, loader->n_found, sizeof(*loader->found), by_name);

	r = check_names(loader);
	if (r < 0)
		return r;

	r = check_identities(loader);
	if (r < 0)
		return r;

	agent->workspaces = calloc(loader->n_found + 1, sizeof(*agent->workspaces));
	if (!agent->workspaces)
		return no_memory(loader);

	for (size_t i = 0; i < loader->n_found; i++)
		agent->workspaces[i] = loader->found[i].settings;
	agent->n_workspaces = loader->n_found;
	loader->n_found = 0;
	return 0;
}

static int read_main(struct loader *loader)
{
	AUTO(free) char *dropins = NULL;
	int r;

	r = read_source(loader, loader->paths->file);
	if (r == -ENOENT && !loader->paths->file_required) {
		if (loader->err)
			*loader->err = (struct error){ 0 };
		r = 0;
	}
	if (r < 0)
		return r;

	if (asprintf(&dropins, "%s.d", loader->paths->file) < 0) {
		dropins = NULL;
		return no_memory(loader);
	}

	return read_directory(loader, dropins, false, false);
}

static int check_sockets(struct loader *loader)
{
	if (loader->config->daemon.sockets)
		return 0;

	return error_set(loader->err, ERROR_CONFIG, EINVAL,
			 "there is no socket to listen on: set XDG_RUNTIME_DIR, or write socket = "
			 "/PATH in %s",
			 loader->paths->file);
}

static int read_workspaces(struct loader *loader)
{
	AUTO(free) char *joined = NULL;
	int r;

	r = add_workspaces_within(loader);
	if (r < 0)
		return r;

	r = read_directory(loader, loader->paths->workspaces_dir, true, false);
	if (r < 0)
		return r;

	if (asprintf(&joined, "%s/workspaces.d", loader->config->daemon.state_dir) < 0) {
		joined = NULL;
		return no_memory(loader);
	}

	return read_directory(loader, joined, true, true);
}

static int load(struct loader *loader)
{
	int r;

	r = begin(loader);
	if (r < 0)
		return r;

	r = read_main(loader);
	if (r < 0)
		return r;

	r = apply_main(loader);
	if (r < 0)
		return r;

	r = apply_environment(loader);
	if (r < 0)
		return r;

	r = check_sockets(loader);
	if (r < 0)
		return r;

	r = read_workspaces(loader);
	if (r < 0)
		return r;

	return finish(loader);
}

int config_load(const struct config_paths *paths, struct config **ret, struct error *err)
{
	AUTO(loader_fini) struct loader loader = { .paths = paths, .err = err };
	int r;

	r = load(&loader);
	if (r < 0)
		return r;

	*ret = TAKE(loader.config);
	return 0;
}

static int parse(struct loader *loader, const char *path, const char *name, const char *bytes,
		 size_t len)
{
	struct config_source *source = NULL;
	int r;

	r = begin(loader);
	if (r < 0)
		return r;

	r = config_source_parse(path, bytes, len, &source, loader->err);
	if (r < 0)
		return r;

	r = keep_source(loader, source);
	if (r < 0)
		return r;

	if (name)
		r = add_workspace_file(loader, source, name, false);
	else
		r = apply_main(loader);
	if (r == 0 && !name)
		r = add_workspaces_within(loader);
	if (r < 0)
		return r;

	return finish(loader);
}

int config_parse(const char *path, const char *name, const char *bytes, size_t len,
		 struct config **ret, struct error *err)
{
	static const struct config_paths paths = { 0 };
	AUTO(loader_fini) struct loader loader = { .paths = &paths, .err = err };
	int r;

	r = parse(&loader, path, name, bytes, len);
	if (r < 0)
		return r;

	*ret = TAKE(loader.config);
	return 0;
}

void config_free(struct config *config)
{
	if (!config)
		return;

	for (const struct config_section_kind *kind = config_sections; kind->name; kind++)
		settings_clear(kind->table, (char *)config + kind->offset);
	agent_settings_fini(&config->agent);
	free(config);
}
