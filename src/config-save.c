/* SPDX-License-Identifier: MIT */
/*
 * Saying the configuration: as a whole, for people; one workspace, so that it
 * can be loaded again; and what differs between two of them.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define PIECE_MAX 120 /* bytes of a value in one line; inih takes 197 with the key */

/* A value of several lines goes on in indented ones, as in a file. */
static void print_value(const struct setting *setting, const void *object, struct buffer *out)
{
	AUTO(buffer_fini) struct buffer value = BUFFER_INIT(AGENT_CARD_MAX);
	const char *p;

	(void)setting_print(setting, object, &value);
	if (value.failed || !buffer_len(&value))
		return;

	(void)buffer_printf(out, "%s = ", setting->name);
	p = buffer_at(&value);
	for (size_t i = 0; i < buffer_len(&value); i++) {
		(void)buffer_append_char(out, p[i]);
		if (p[i] == '\n')
			(void)buffer_append_text(out, "  ");
	}
	(void)buffer_append_char(out, '\n');
}

static void print_keys(const struct setting_table *table, const void *object, unsigned without,
		       struct buffer *out)
{
	setting_for_each(setting, table) if (!(setting->flags & without))
		print_value(setting, object, out);
	(void)buffer_append_char(out, '\n');
}

int config_dump(const struct config *config, struct buffer *out)
{
	for (const struct config_section_kind *kind = config_sections; kind->name; kind++) {
		(void)buffer_printf(out, "[%s]\n", kind->name);
		print_keys(kind->table, (const char *)config + kind->offset, SETTING_OWN, out);
	}

	for (size_t i = 0; i < config->agent.n_workspaces; i++) {
		const struct workspace_settings *settings = &config->agent.workspaces[i];

		(void)buffer_printf(out, "[workspace %s]\n", settings->name);
		print_keys(&workspace_settings_table, settings, 0, out);
	}

	return out->failed;
}

static void tell_workspace(const char *name, config_change_fn on_change, void *context)
{
	char section[WORKSPACE_NAME_MAX + sizeof("workspace ")];

	(void)snprintf(section, sizeof(section), "workspace %s", name);
	on_change(section, NULL, false, context);
}

/* Both are sorted by name: one walk through both. */
static void compare_workspaces(const struct agent_settings *a, const struct agent_settings *b,
			       config_change_fn on_change, void *context)
{
	size_t i = 0, j = 0;

	while (i < a->n_workspaces || j < b->n_workspaces) {
		const struct workspace_settings *x = i < a->n_workspaces ? &a->workspaces[i] : NULL;
		const struct workspace_settings *y = j < b->n_workspaces ? &b->workspaces[j] : NULL;
		int order = !x ? 1 : !y ? -1 : strcmp(x->name, y->name);

		if (order != 0 || !workspace_settings_equal(x, y))
			tell_workspace(order <= 0 ? x->name : y->name, on_change, context);
		i += order <= 0;
		j += order >= 0;
	}
}

void config_compare(const struct config *a, const struct config *b, config_change_fn on_change,
		    void *context)
{
	for (const struct config_section_kind *kind = config_sections; kind->name; kind++) {
		const char *x = (const char *)a + kind->offset, *y = (const char *)b + kind->offset;

		setting_for_each(setting, kind->table) if (!setting_equal(setting, x, y)) on_change(
			kind->name, setting->name, setting->flags & SETTING_RESTART, context);
	}

	compare_workspaces(&a->agent, &b->agent, on_change, context);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* inih strips blanks at both ends, and takes a ; behind a blank for a comment. */
static bool ini_can_carry(const char *value)
{
	size_t len = strlen(value);

	if (len && (is_blank(value[0]) || is_blank(value[len - 1])))
		return false;

	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f ||
		    (*p == ';' && (p == value || is_blank(p[-1]))))
			return false;

	return true;
}

/* What the loader would take for a line of its own that was indented by mistake. */
static bool looks_like_a_line(const char *text)
{
	size_t word = strspn(text, "abcdefghijklmnopqrstuvwxyz_");

	return strchr(";#[", *text) || (word && text[word + strspn(text + word, " \t")] == '=');
}

/* How much of a value fits in a line, so that the rest can go on in the next. */
static size_t piece_len(const char *value)
{
	size_t len = strlen(value);

	if (len <= PIECE_MAX)
		return len;

	for (len = PIECE_MAX; len > 0; len--) {
		const char *next = value + len;

		/* Blanks at the ends of lines are lost, and a character stays whole. */
		if (!is_blank(*next) && !is_blank(next[-1]) && (*next & 0xc0) != 0x80 &&
		    !looks_like_a_line(next))
			break;
	}
	return len;
}

static int append_value(struct buffer *out, const struct setting *setting, const char *value,
			struct error *err)
{
	size_t len;

	if (!ini_can_carry(value))
		return error_set(
			err, ERROR_INVALID_PARAMS, EINVAL,
			"%s cannot be kept: it has control characters, a blank at an end, or "
			"a ; behind a blank",
			setting->name);

	(void)buffer_printf(out, "%s =", setting->name);
	do {
		len = piece_len(value);
		if (value[len] && !len)
			return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
					 "%s cannot be kept: it is too long for one line",
					 setting->name);

		(void)buffer_append_char(out, ' ');
		(void)buffer_append(out, value, len);
		(void)buffer_append_char(out, '\n');
		value += len;
	} while (*value);

	return 0;
}

static const char *card_name(char dst[static WORKSPACE_NAME_MAX + 16], const char *name)
{
	(void)snprintf(dst, WORKSPACE_NAME_MAX + 16, "%s.card.json", name);
	return dst;
}

static int append_setting(struct buffer *out, const struct setting *setting,
			  const struct workspace_settings *settings, struct error *err)
{
	AUTO(buffer_fini) struct buffer value = BUFFER_INIT(AGENT_CARD_MAX + 1);
	AUTO(free) char *text = NULL;
	char card[WORKSPACE_NAME_MAX + 16];

	/* A card has lines and strings that an INI file would break. */
	if (strcmp(setting->name, "agent_card") == 0 && settings->agent_card)
		return append_value(out, setting, card_name(card, settings->name), err);

	(void)setting_print(setting, settings, &value);
	text = value.failed ? NULL : buffer_take_text(&value);
	if (!text)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to keep a workspace");

	return append_value(out, setting, text, err);
}

static int append_workspace(struct buffer *out, const struct workspace_settings *settings,
			    const struct workspace_settings *defaults, struct error *err)
{
	int r;

	(void)buffer_append_text(out,
				 "# Written by molecule-agentd when this workspace was joined.\n"
				 "# What is not said here is as in [defaults] of agentd.conf.\n"
				 "[workspace]\n");

	setting_for_each(setting, &workspace_settings_table)
	{
		if (setting_equal(setting, settings, defaults))
			continue;

		r = append_setting(out, setting, settings, err);
		if (r < 0)
			return r;
	}

	if (out->failed)
		return error_set(err, ERROR_INTERNAL, -out->failed,
				 "no memory to keep a workspace");

	return 0;
}

/* Everything that could make the saved file one that does not load. */
static int check(const struct workspace_settings *settings, struct error *err)
{
	struct workspace_settings named = { 0 };
	const char *key;
	int r;

	r = workspace_settings_set_name(&named, settings->name, err);
	if (r < 0)
		return r;

	return workspace_settings_check(settings, &key, err);
}

int config_save_workspace(int state_dirfd, const struct workspace_settings *settings,
			  const struct workspace_settings *defaults, struct error *err)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(CONFIG_FILE_MAX);
	AUTO(fd_close) int dirfd = -1;
	char name[WORKSPACE_NAME_MAX + 16], card[WORKSPACE_NAME_MAX + 16];
	int r;

	r = check(settings, err);
	if (r < 0)
		return r;

	r = append_workspace(&out, settings, defaults, err);
	if (r < 0)
		return r;

	r = dir_open_private(state_dirfd, "workspaces.d", 0700, &dirfd, err);
	if (r < 0)
		return r;

	/* The card first: killed in between, the worst is a card that nobody names. */
	if (settings->agent_card)
		r = file_replace(dirfd, card_name(card, settings->name), settings->agent_card,
				 strlen(settings->agent_card), 0600, err);
	if (r < 0)
		return r;

	(void)snprintf(name, sizeof(name), "%s.conf", settings->name);
	r = file_replace(dirfd, name, buffer_at(&out), buffer_len(&out), 0600, err);
	if (r < 0 || settings->agent_card)
		return r;

	return file_remove(dirfd, card_name(card, settings->name), err);
}

int config_forget_workspace(int state_dirfd, const char *name, struct error *err)
{
	struct workspace_settings named = { 0 };
	AUTO(fd_close) int dirfd = -1;
	char file[WORKSPACE_NAME_MAX + 16];
	int r;

	r = workspace_settings_set_name(&named, name, err);
	if (r < 0)
		return r;

	r = dir_open_private(state_dirfd, "workspaces.d", 0700, &dirfd, err);
	if (r < 0)
		return r;

	(void)snprintf(file, sizeof(file), "%s.conf", name);
	r = file_remove(dirfd, file, err);
	if (r < 0)
		return r;

	return file_remove(dirfd, card_name(file, name), err);
}
