/* SPDX-License-Identifier: MIT */
/*
 * Settings by table. Each type has one way in (setting_set) and one way out
 * (setting_print), and they are inverse.
 */

#include "base/setting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define SETTING_NAME_MAX 48
#define LIST_ITEMS_MAX 16 /* sockets: nobody needs more, and a mistake is found sooner */
#define BLANKS " \t\r\n"

static void *at(const struct setting *setting, void *object)
{
	return (char *)object + setting->offset;
}

static const void *at_const(const struct setting *setting, const void *object)
{
	return (const char *)object + setting->offset;
}

static void list_free(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}
DEFINE_AUTO(char **, list_free);

/* The largest unit that says it exactly. */
static int print_duration(struct buffer *out, int64_t ms)
{
	static const struct {
		int64_t ms;
		const char *name;
	} units[] = { { 86400000, "d" }, { 3600000, "h" }, { 60000, "min" }, { 1000, "s" } };

	if (ms == 0)
		return buffer_append_text(out, "0s");

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (ms % units[i].ms == 0)
			return buffer_printf(out, "%" PRId64 "%s", ms / units[i].ms, units[i].name);

	return buffer_printf(out, "%" PRId64 "ms", ms);
}

static int print_size(struct buffer *out, uint64_t size)
{
	static const char units[] = "\0KMG";
	size_t unit = 0;

	while (size && size % 1024 == 0 && unit < 3) {
		size /= 1024;
		unit++;
	}
	if (!unit)
		return buffer_printf(out, "%" PRIu64, size);

	return buffer_printf(out, "%" PRIu64 "%c", size, units[unit]);
}

static void print_number(const struct setting *setting, struct buffer *out, int64_t number)
{
	if (setting->type == SETTING_DURATION)
		(void)print_duration(out, number);
	else if (setting->type == SETTING_SIZE)
		(void)print_size(out, (uint64_t)number);
	else
		(void)buffer_printf(out, "%" PRId64, number);
}

/* What a person should have written. */
static void describe(const struct setting *setting, struct buffer *out)
{
	switch (setting->type) {
	case SETTING_BOOL:
		(void)buffer_append_text(out, "write yes or no");
		return;
	case SETTING_COUNT:
	case SETTING_SIZE:
	case SETTING_DURATION:
		(void)buffer_printf(out, "write %s%s from ",
				    setting->flags & SETTING_ZERO ? "0 or " : "",
				    setting->type == SETTING_DURATION ? "a duration"
				    : setting->type == SETTING_SIZE   ? "a size"
								      : "a number");
		print_number(setting, out, setting->min);
		(void)buffer_append_text(out, " to ");
		print_number(setting, out, setting->max);
		return;
	case SETTING_CHOICE:
		(void)buffer_append_text(out, "write ");
		for (size_t i = 0; setting->choices[i]; i++)
			(void)buffer_printf(out, "%s%s",
					    i ? (setting->choices[i + 1] ? ", " : " or ") : "",
					    setting->choices[i]);
		return;
	case SETTING_UUID:
		(void)buffer_append_text(out, "write a UUID, such as "
					      "3f2c1a8e-5b7d-4c7e-9a55-0d7f7f7a1c22");
		return;
	case SETTING_TEXT:
	case SETTING_LIST:
		(void)buffer_append_text(out, "write something else");
		return;
	}
}

/* The value is shown: it is a number, a word or an id, and no secret looks like that. */
static int refuse(const struct setting *setting, const char *text, struct error *err)
{
	AUTO(buffer_fini) struct buffer should = BUFFER_INIT(256);
	char shown[40];

	describe(setting, &should);
	return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "%s is \"%s\": %.*s", setting->name,
			 error_quote(shown, sizeof(shown), text, strlen(text)),
			 (int)buffer_len(&should), buffer_len(&should) ? buffer_at(&should) : "");
}

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the settings");
}

static int read_number(const struct setting *setting, const char *text, int64_t *ret)
{
	uint64_t size;
	int64_t number;
	int r;

	if (setting->type == SETTING_DURATION) {
		r = parse_duration_ms(text, &number);
	} else if (setting->type == SETTING_SIZE) {
		r = parse_size(text, &size);
		number = r < 0 || size > INT64_MAX ? -1 : (int64_t)size;
	} else {
		r = parse_int64(text, 0, UINT32_MAX, &number);
	}
	if (r < 0)
		return r;

	if ((number < setting->min || number > setting->max) &&
	    !(number == 0 && setting->flags & SETTING_ZERO))
		return -ERANGE;

	*ret = number;
	return 0;
}

static int set_number(const struct setting *setting, void *object, const char *text,
		      struct error *err)
{
	int64_t number;
	int r;

	r = read_number(setting, text, &number);
	if (r < 0)
		return refuse(setting, text, err);

	if (setting->type == SETTING_DURATION)
		*(int64_t *)at(setting, object) = number;
	else if (setting->type == SETTING_SIZE)
		*(uint64_t *)at(setting, object) = (uint64_t)number;
	else
		*(uint32_t *)at(setting, object) = (uint32_t)number;
	return 0;
}

static int set_choice(const struct setting *setting, void *object, const char *text,
		      struct error *err)
{
	for (unsigned i = 0; setting->choices[i]; i++) {
		if (strcmp(setting->choices[i], text) != 0)
			continue;

		*(unsigned *)at(setting, object) = i;
		return 0;
	}

	return refuse(setting, text, err);
}

/* One text, or one item of a list: as its check wants it kept. */
static int check_text(const struct setting *setting, const char *text, char **ret,
		      struct error *err)
{
	int r;

	if (!(setting->flags & SETTING_LINES) && strlen(text) > SETTING_TEXT_MAX)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "%s: write at most %d bytes",
				 setting->name, SETTING_TEXT_MAX);

	if (!setting->check) {
		*ret = strdup(text);
		return *ret ? 0 : no_memory(err);
	}

	r = setting->check(text, ret, err);
	if (r < 0)
		error_prefix(err, "%s", setting->name);
	return r;
}

static int set_text(const struct setting *setting, void *object, const char *text,
		    struct error *err)
{
	char **slot = at(setting, object);
	char *kept = NULL;
	int r;

	r = check_text(setting, text, &kept, err);
	if (r < 0)
		return r;

	free(*slot);
	*slot = kept;
	return 0;
}

static int set_list(const struct setting *setting, void *object, const char *text,
		    struct error *err)
{
	AUTO(list_free) char **list = NULL;
	char ***slot = at(setting, object);
	size_t n = 0;
	int r;

	list = calloc(LIST_ITEMS_MAX + 1, sizeof(*list));
	if (!list)
		return no_memory(err);

	for (const char *p = text + strspn(text, BLANKS); *p; p += strspn(p, BLANKS)) {
		size_t len = strcspn(p, BLANKS);
		AUTO(free) char *item = strndup(p, len);

		if (!item)
			return no_memory(err);

		if (n == LIST_ITEMS_MAX)
			return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
					 "%s: write at most %d of them", setting->name,
					 LIST_ITEMS_MAX);

		r = check_text(setting, item, &list[n], err);
		if (r < 0)
			return r;

		n++;
		p += len;
	}

	list_free(*slot);
	*slot = TAKE(list);
	return 0;
}

int setting_set(const struct setting *setting, void *object, const char *text, struct error *err)
{
	char uuid[UUID_LEN + 1];

	if (!text[strspn(text, BLANKS)])
		return setting_reset(setting, object, err);

	switch (setting->type) {
	case SETTING_BOOL:
		if (parse_bool(text, at(setting, object)) < 0)
			return refuse(setting, text, err);
		return 0;
	case SETTING_COUNT:
	case SETTING_SIZE:
	case SETTING_DURATION:
		return set_number(setting, object, text, err);
	case SETTING_CHOICE:
		return set_choice(setting, object, text, err);
	case SETTING_UUID:
		if (parse_uuid(text, uuid) < 0)
			return refuse(setting, text, err);
		memcpy(at(setting, object), uuid, sizeof(uuid));
		return 0;
	case SETTING_TEXT:
		return set_text(setting, object, text, err);
	case SETTING_LIST:
		return set_list(setting, object, text, err);
	}

	abort();
}

int setting_reset(const struct setting *setting, void *object, struct error *err)
{
	if (setting->initial)
		return setting_set(setting, object, setting->initial, err);

	setting_clear(setting, object);
	return 0;
}

static int print_list(char *const *list, struct buffer *out)
{
	int r = 0;

	for (char *const *item = list; item && *item; item++)
		r = buffer_printf(out, "%s%s", item == list ? "" : " ", *item);

	return r;
}

int setting_print(const struct setting *setting, const void *object, struct buffer *out)
{
	const void *slot = at_const(setting, object);
	const char *text;

	switch (setting->type) {
	case SETTING_BOOL:
		return buffer_append_text(out, *(const bool *)slot ? "yes" : "no");
	case SETTING_COUNT:
		return buffer_printf(out, "%" PRIu32, *(const uint32_t *)slot);
	case SETTING_SIZE:
		return print_size(out, *(const uint64_t *)slot);
	case SETTING_DURATION:
		return print_duration(out, *(const int64_t *)slot);
	case SETTING_CHOICE:
		return buffer_append_text(out, setting->choices[*(const unsigned *)slot]);
	case SETTING_UUID:
		return buffer_append_text(out, slot);
	case SETTING_TEXT:
		text = *(char *const *)slot;
		return text ? buffer_append_text(out, text) : 0;
	case SETTING_LIST:
		return print_list(*(char **const *)slot, out);
	}

	abort();
}

static bool text_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool list_equal(char *const *a, char *const *b)
{
	if (!a || !b)
		return a == b;

	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;

	return !*a && !*b;
}

bool setting_equal(const struct setting *setting, const void *a, const void *b)
{
	const void *x = at_const(setting, a), *y = at_const(setting, b);

	switch (setting->type) {
	case SETTING_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case SETTING_COUNT:
		return *(const uint32_t *)x == *(const uint32_t *)y;
	case SETTING_SIZE:
		return *(const uint64_t *)x == *(const uint64_t *)y;
	case SETTING_DURATION:
		return *(const int64_t *)x == *(const int64_t *)y;
	case SETTING_CHOICE:
		return *(const unsigned *)x == *(const unsigned *)y;
	case SETTING_UUID:
		return strcmp(x, y) == 0;
	case SETTING_TEXT:
		return text_equal(*(char *const *)x, *(char *const *)y);
	case SETTING_LIST:
		return list_equal(*(char **const *)x, *(char **const *)y);
	}

	abort();
}

static char **list_dup(char *const *list)
{
	AUTO(list_free) char **copy = NULL;
	size_t n = 0;

	while (list[n])
		n++;

	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(list[i]);
		if (!copy[i])
			return NULL;
	}

	return TAKE(copy);
}

static size_t plain_size(const struct setting *setting)
{
	switch (setting->type) {
	case SETTING_BOOL:
		return sizeof(bool);
	case SETTING_COUNT:
		return sizeof(uint32_t);
	case SETTING_SIZE:
	case SETTING_DURATION:
		return sizeof(uint64_t);
	case SETTING_CHOICE:
		return sizeof(unsigned);
	case SETTING_UUID:
		return UUID_LEN + 1;
	case SETTING_TEXT:
	case SETTING_LIST:
		return 0; /* owned: not copied by bytes */
	}

	abort();
}

int setting_copy(const struct setting *setting, void *dst, const void *src)
{
	char *const *text = at_const(setting, src);
	char **const *list = at_const(setting, src);
	char *text_copy = NULL;
	char **list_copy = NULL;

	if (setting->type == SETTING_TEXT && *text) {
		text_copy = strdup(*text);
		if (!text_copy)
			return -ENOMEM;
	}
	if (setting->type == SETTING_LIST && *list) {
		list_copy = list_dup(*list);
		if (!list_copy)
			return -ENOMEM;
	}

	if (plain_size(setting)) {
		memmove(at(setting, dst), at_const(setting, src), plain_size(setting));
		return 0;
	}

	setting_clear(setting, dst);
	if (setting->type == SETTING_TEXT)
		*(char **)at(setting, dst) = text_copy;
	else
		*(char ***)at(setting, dst) = list_copy;
	return 0;
}

void setting_clear(const struct setting *setting, void *object)
{
	if (setting->type == SETTING_TEXT) {
		free(*(char **)at(setting, object));
		*(char **)at(setting, object) = NULL;
	} else if (setting->type == SETTING_LIST) {
		list_free(*(char ***)at(setting, object));
		*(char ***)at(setting, object) = NULL;
	} else {
		memset(at(setting, object), 0, plain_size(setting));
	}
}

int settings_reset(const struct setting_table *table, void *object, struct error *err)
{
	int r;

	setting_for_each(setting, table)
	{
		r = setting_reset(setting, object, err);
		if (r < 0)
			return r;
	}

	return 0;
}

bool settings_equal(const struct setting_table *table, const void *a, const void *b)
{
	setting_for_each(setting, table) if (!setting_equal(setting, a, b)) return false;

	return true;
}

int settings_copy(const struct setting_table *table, void *dst, const void *src)
{
	int r;

	setting_for_each(setting, table)
	{
		r = setting_copy(setting, dst, src);
		if (r < 0)
			return r;
	}

	return 0;
}

void settings_clear(const struct setting_table *table, void *object)
{
	setting_for_each(setting, table) setting_clear(setting, object);
}

const struct setting *setting_find(const struct setting_table *table, const char *name)
{
	setting_for_each(setting, table) if (strcmp(setting->name, name) == 0) return setting;

	return NULL;
}

/* Levenshtein's distance, one row at a time. Both are at most SETTING_NAME_MAX long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[SETTING_NAME_MAX + 1];
	size_t len = strlen(b);

	for (unsigned j = 0; j <= len; j++)
		row[j] = j;

	for (unsigned i = 0; a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < len; j++) {
			unsigned change = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			row[j + 1] = MIN(change, MIN(diagonal, row[j]) + 1);
		}
	}

	return row[len];
}

const struct setting *setting_nearest(const struct setting_table *table, const char *name)
{
	const struct setting *nearest = NULL;
	unsigned best = (unsigned)strlen(name) / 3 + 1;

	if (strlen(name) > SETTING_NAME_MAX)
		return NULL;

	setting_for_each(setting, table)
	{
		unsigned d = distance(name, setting->name);

		if (d <= best) {
			nearest = setting;
			best = d - (d > 0);
		}
	}

	return nearest;
}
