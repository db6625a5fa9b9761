/* SPDX-License-Identifier: MIT */
/*
 * What a section says, put into the struct that its table describes.
 */

#include "config-apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct target {
	const struct config_paths *paths;
	const struct config_section_kind *kind;
	void *object;
};

/* What holds when nobody says anything; a user's own daemon has other places. */
static const char *initial_text(const struct config_paths *paths, const struct setting *setting)
{
	if (strcmp(setting->name, "state_dir") == 0 && paths->state_dir)
		return paths->state_dir;
	if (strcmp(setting->name, "socket") == 0 && paths->user)
		return paths->socket;
	if (strcmp(setting->name, "socket_group") == 0 && paths->user)
		return NULL;

	return setting->initial;
}

int config_reset(const struct config_paths *paths, const struct setting *setting, void *object,
		 struct error *err)
{
	const char *text = initial_text(paths, setting);

	setting_clear(setting, object);
	return text ? setting_set(setting, object, text, err) : 0;
}

static bool looks_like_a_token(const char *key)
{
	size_t len = strlen(key);

	return strcmp(key, "token") == 0 || (len > 6 && strcmp(key + len - 6, "_token") == 0);
}

static int unknown_key(const struct setting_table *table, const char *key, struct error *err)
{
	const struct setting *near = setting_nearest(table, key);
	char shown[40];

	error_quote(shown, sizeof(shown), key, strlen(key));
	if (looks_like_a_token(key))
		return error_set(
			err, ERROR_CONFIG, EINVAL,
			"a token does not belong in a file that others may read: put it in "
			"a file of its own (chmod 600) and write token_file = /PATH, or "
			"write token_credential = NAME for a systemd credential");

	if (near)
		return error_set(err, ERROR_CONFIG, EINVAL, "unknown key \"%s\": did you mean %s?",
				 shown, near->name);

	for (const struct config_section_kind *kind = config_sections; kind->name; kind++)
		if (setting_find(kind->table, key))
			return error_set(
				err, ERROR_CONFIG, EINVAL,
				"\"%s\" does not belong here: write it in [%s]%s", shown,
				kind->name,
				kind->table == &workspace_settings_table ? " or a workspace" : "");

	return error_set(err, ERROR_CONFIG, EINVAL,
			 "unknown key \"%s\": see agentd.conf(5) for those there are", shown);
}

static const struct config_item *earlier(const struct config_section *section,
					 const struct config_item *item)
{
	for (const struct config_item *p = section->items; p < item; p++)
		if (strcmp(p->name, item->name) == 0)
			return p;

	return NULL;
}

/*
 * Lines that continue a value: a list and JSON take the line's end for a blank;
 * of all else - a path, a URL - they are simply the next piece.
 */
static void join_lines(const struct setting *setting, char *value)
{
	char *to = value;

	if (setting->flags & SETTING_LINES)
		return;

	for (const char *from = value; *from; from++)
		if (*from != '\n')
			*to++ = *from;
	*to = '\0';
}

/* A card may be in a file of its own; a relative path begins where this file is. */
static int set_card_file(const struct setting *setting, void *object, const char *from,
			 const char *name, struct error *err)
{
	const char *slash = name[0] == '/' ? NULL : strrchr(from, '/');
	AUTO(free) char *path = NULL, *card = NULL;
	size_t len;
	int r;

	if (asprintf(&path, "%.*s%s", slash ? (int)(slash - from) + 1 : 0, from, name) < 0) {
		path = NULL;
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the configuration");
	}

	r = config_read_text(path, AGENT_CARD_MAX, &card, &len, err);
	if (r < 0) {
		error_prefix(err, "%s", setting->name);
		return r;
	}

	if (memchr(card, '\0', len))
		return error_set(err, ERROR_CONFIG, EINVAL,
				 "%s: %s is no JSON: there is a NUL in it", setting->name, path);

	r = setting_set(setting, object, card, err);
	if (r < 0)
		error_prefix(err, "%s", path);
	return r;
}

static bool is_card_file(const struct setting *setting, const char *value)
{
	size_t len = strlen(value);

	return strcmp(setting->name, "agent_card") == 0 && value[0] != '{' &&
	       !strchr(value, '\n') &&
	       (value[0] == '/' || (len > 5 && strcmp(value + len - 5, ".json") == 0));
}

/* Further values of a list are added to the first; those of an earlier file are replaced. */
static int set_list(const struct config_section *section, const struct config_item *item,
		    const struct setting *setting, void *object, struct error *err)
{
	AUTO(buffer_fini) struct buffer all = BUFFER_INIT(CONFIG_FILE_MAX);
	AUTO(free) char *text = NULL;

	for (const struct config_item *p = section->items; p <= item; p++)
		if (strcmp(p->name, item->name) == 0)
			(void)buffer_printf(&all, "%s ", p->value);

	text = all.failed ? NULL : buffer_take_text(&all);
	if (!text)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the configuration");

	return setting_set(setting, object, text, err);
}

static int apply_item(const struct target *target, const struct config_source *source,
		      const struct config_section *section, const struct config_item *item,
		      struct error *err)
{
	const struct setting *setting = setting_find(target->kind->table, item->name);
	const struct config_item *first = earlier(section, item);

	if (!setting)
		return unknown_key(target->kind->table, item->name, err);

	if (first && setting->type != SETTING_LIST)
		return error_set(err, ERROR_CONFIG, EINVAL,
				 "%s is given twice (first in line %u): remove one", item->name,
				 first->line);

	if (setting->flags & SETTING_OWN && strcmp(target->kind->name, "defaults") == 0)
		return error_set(err, ERROR_CONFIG, EINVAL,
				 "%s belongs to one workspace: it cannot be a default", item->name);

	join_lines(setting, item->value);
	if (!item->value[strspn(item->value, " \t\n")])
		return setting->type == SETTING_LIST && first
			       ? 0
			       : config_reset(target->paths, setting, target->object, err);

	if (setting->type == SETTING_LIST)
		return set_list(section, item, setting, target->object, err);

	if (is_card_file(setting, item->value))
		return set_card_file(setting, target->object, source->path, item->value, err);

	return setting_set(setting, target->object, item->value, err);
}

int config_apply(const struct config_paths *paths, const struct config_source *source,
		 const struct config_section *section, const struct config_section_kind *kind,
		 void *object, struct error *err)
{
	const struct target target = { paths, kind, object };
	int r;

	for (size_t i = 0; i < section->n_items; i++) {
		const struct config_item *item = &section->items[i];

		r = apply_item(&target, source, section, item, err);
		if (r < 0)
			return config_fail(source->path, item->line, r, err);
	}

	return 0;
}
