/* SPDX-License-Identifier: MIT */
/*
 * What a plugin and its versions are called, and their records as JSON.
 */

#include "agent/plugin.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/jsontext.h"
#include "base/unique.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define HEX "0123456789abcdef"

bool plugin_name_is_good(const char *name)
{
	size_t len = strspn(name, LETTERS "._-");

	return len && len <= PLUGIN_NAME_MAX && !name[len] && !strchr("._-", name[0]);
}

int plugin_check_name(const char *name, struct error *err)
{
	char shown[40];

	if (plugin_name_is_good(name))
		return 0;

	return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
			 "\"%s\" is no name for a plugin: write letters, digits, '.', '_' and '-', "
			 "at most %d, the first a letter or digit",
			 error_quote(shown, sizeof(shown), name, strlen(name)), PLUGIN_NAME_MAX);
}

int plugin_check_digest(const char *text, char dst[static PLUGIN_DIGEST_LEN + 1], struct error *err)
{
	if (strlen(text) != PLUGIN_DIGEST_LEN || strspn(text, HEX "ABCDEF") != PLUGIN_DIGEST_LEN)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "sha256 must be that of the plugin's tarball: %d hex digits",
				 PLUGIN_DIGEST_LEN);

	for (size_t i = 0; i <= PLUGIN_DIGEST_LEN; i++)
		dst[i] = (char)tolower((unsigned char)text[i]);
	return 0;
}

int plugin_version_name(char dst[static PLUGIN_VERSION_SIZE], int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	char when[16], random[UNIQUE_KEY_LEN + 1];
	struct tm utc;
	int r;

	if (!gmtime_r(&seconds, &utc) || strftime(when, sizeof(when), "%Y%m%dT%H%M%S", &utc) != 15)
		return -ERANGE;

	r = unique_key(random);
	if (r < 0)
		return r;

	(void)snprintf(dst, PLUGIN_VERSION_SIZE, "%sZ-%.10s", when, random);
	return 0;
}

/* It becomes part of a path. */
bool plugin_version_is_good(const char *dir)
{
	size_t len = strspn(dir, LETTERS ".-");

	return len && len < PLUGIN_VERSION_SIZE && !dir[len] && dir[0] != '.';
}

void plugin_record_fini(struct plugin_record *record)
{
	free(record->version);
	free(record->description);
	free(record->source);
	*record = (struct plugin_record){ 0 };
}

static int copy_text(char **dst, const char *src)
{
	*dst = src ? strdup(src) : NULL;
	return src && !*dst ? -ENOMEM : 0;
}

static void write_text(struct buffer *out, const char *name, const char *text)
{
	(void)buffer_printf(out, ",\"%s\":", name);
	if (text && text[0])
		(void)json_write_string(out, text, strlen(text));
	else
		(void)buffer_append_text(out, "null");
}

static void write_bool(struct buffer *out, const char *name, bool value)
{
	(void)buffer_printf(out, "\"%s\":%s", name, value ? "true" : "false");
}

int plugin_record_write(const struct plugin_record *record, const char *name, struct buffer *out)
{
	const struct plugin_setup *setup = &record->setup;

	(void)buffer_printf(out, "{\"name\":\"%s\"", name);
	write_text(out, "version", record->version);
	write_text(out, "description", record->description);
	write_text(out, "source", record->source);
	write_text(out, "digest", record->digest);
	write_text(out, "manifest", record->manifest);
	(void)buffer_printf(out, ",\"files\":%lld,\"bytes\":%lld", (long long)record->files,
			    (long long)record->bytes);
	write_text(out, "installed_at", record->installed_at);
	write_text(out, "previous", record->before);
	(void)buffer_append_text(out, ",\"setup\":{");
	write_bool(out, "has", setup->has);
	(void)buffer_append_char(out, ',');
	write_bool(out, "ran", setup->ran);
	(void)buffer_append_char(out, ',');
	write_bool(out, "ok", setup->ok);
	(void)buffer_printf(out, ",\"exit\":%d}}\n", setup->exit);
	return out->failed;
}

/* A text of a length that is known beforehand; others are as if they were not there. */
static void read_fixed(const struct json_object *object, const char *name, char *dst,
		       size_t dst_size)
{
	const char *text = json_get_string(object, name);

	if (text && strlen(text) < dst_size)
		memcpy(dst, text, strlen(text) + 1);
}

static void read_digest(const struct json_object *object, const char *name,
			char dst[static PLUGIN_DIGEST_LEN + 1])
{
	const char *text = json_get_string(object, name);

	if (text && plugin_check_digest(text, dst, NULL) < 0)
		dst[0] = '\0';
}

static void read_setup(const struct json_object *object, struct plugin_setup *setup)
{
	const struct json_object *member = json_get_object(object, "setup");
	int64_t status = 0;

	if (!member)
		return;

	(void)json_get_bool(member, "has", &setup->has);
	(void)json_get_bool(member, "ran", &setup->ran);
	(void)json_get_bool(member, "ok", &setup->ok);
	if (json_get_int64(member, "exit", &status))
		setup->exit = (int)status;
}

int plugin_record_read(const struct json_object *object, const char *dir,
		       struct plugin_record *record)
{
	struct plugin_record found = { 0 };

	if (!object || !plugin_version_is_good(dir))
		return -EBADMSG;

	memcpy(found.dir, dir, strlen(dir) + 1);
	read_fixed(object, "previous", found.before, sizeof(found.before));
	if (found.before[0] && !plugin_version_is_good(found.before))
		return -EBADMSG;

	read_digest(object, "digest", found.digest);
	read_digest(object, "manifest", found.manifest);
	if (!found.digest[0])
		return -EBADMSG;

	read_fixed(object, "installed_at", found.installed_at, sizeof(found.installed_at));
	(void)json_get_int64(object, "files", &found.files);
	(void)json_get_int64(object, "bytes", &found.bytes);
	read_setup(object, &found.setup);
	if (copy_text(&found.version, json_get_string(object, "version")) < 0 ||
	    copy_text(&found.description, json_get_string(object, "description")) < 0 ||
	    copy_text(&found.source, json_get_string(object, "source")) < 0) {
		plugin_record_fini(&found);
		return -ENOMEM;
	}

	*record = found;
	return 0;
}

const char *plugin_phase_name(enum plugin_phase phase)
{
	switch (phase) {
	case PLUGIN_DOWNLOAD:
		return "download";
	case PLUGIN_UNPACK:
		return "unpack";
	case PLUGIN_VERIFY:
		return "verify";
	case PLUGIN_SETUP:
		return "setup";
	case PLUGIN_DONE:
		return "done";
	case PLUGIN_FAILED:
		return "failed";
	}
	return "";
}

struct plugin *plugin_new(const char *name)
{
	struct plugin *plugin = calloc(1, sizeof(*plugin));

	if (!plugin)
		return NULL;

	list_init(&plugin->node);
	memcpy(plugin->name, name, MIN(strlen(name), (size_t)PLUGIN_NAME_MAX));
	return plugin;
}

void plugin_free(struct plugin *plugin)
{
	if (!plugin)
		return;

	list_remove(&plugin->node);
	plugin_record_fini(&plugin->current);
	plugin_record_fini(&plugin->before);
	free(plugin);
}
