/* SPDX-License-Identifier: MIT */
/*
 * The steps of an installation. Each ends in one callback, which begins the next
 * one or gives up.
 */

#include "agent/plugin-install.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/plugin-place.h"
#include "agent/plugin-switch.h"
#include "base/jsontext.h"
#include "base/log.h"

#define UNPACK_GRACE_MS (5 * 60 * 1000) /* for the disk, when all has come */

static void install_activate(struct plugin_install *install);

/* After a switch that has failed: what is on disk counts. */
static void find_out(struct plugin_install *install)
{
	char now[PLUGIN_VERSION_SIZE];

	install->unsure = plugin_place_current(install->dirfd, install->name, now) < 0;
	install->switched = !install->unsure && strcmp(now, install->record.dir) == 0;
}

/* Nobody refers to it, unless it counts. What nobody can tell the next start will. */
static void drop_version(struct plugin_install *install)
{
	char path[PLUGIN_PATH_SIZE];

	if (install->version_fd < 0)
		return;

	(void)close(install->version_fd);
	install->version_fd = -1;
	if (!install->switched && !install->unsure)
		plugin_pool_discard(install->pool, install->dirfd,
				    plugin_place_path(path, install->name, install->record.dir));
}

/* err NULL: it is there. The installation may be gone when this returns. */
static void install_end(struct plugin_install *install, const struct error *err)
{
	struct error copy = err ? *err : (struct error){ 0 };

	plugins_download_stop(&install->download);
	plugin_helper_stop(&install->helper);
	setup_stop(&install->setup);
	if (!err)
		install->switched = true;
	else if (install->activating)
		find_out(install);
	install->activating = false;
	drop_version(install);
	install->events->on_end(install, err ? &copy : NULL);
}

static void set_phase(struct plugin_install *install, enum plugin_phase phase)
{
	install->phase = phase;
	install->events->on_progress(install);
}

/* --- what the helper says while it unpacks --- */

static void note_warning(struct plugin_install *install, const char *text)
{
	struct buffer *warnings = &install->warnings;
	size_t begin = buffer_len(warnings);
	char shown[200];

	(void)error_show(shown, sizeof(shown), text, strlen(text));
	log_warning("plugin %s: %s", install->name, shown);
	if (begin)
		(void)buffer_append_char(warnings, ',');
	(void)json_write_string(warnings, text, strlen(text));
	if (warnings->failed)
		buffer_truncate(warnings, begin);
}

static struct plugin_install *install_of(struct plugin_helper *helper)
{
	return container_of(helper, struct plugin_install, helper);
}

static void unpack_on_word(struct plugin_helper *helper, const char *word,
			   struct json_object *value)
{
	struct plugin_install *install = install_of(helper);

	if (strcmp(word, "progress") == 0) {
		(void)json_get_int64(value, "files", &install->files);
		install->events->on_progress(install);
	} else if (strcmp(word, "warning") == 0 && json_object_is_type(value, json_type_string)) {
		note_warning(install, json_object_get_string(value));
	}
}

static int read_digest(const struct json_object *done, const char *name,
		       char dst[static PLUGIN_DIGEST_LEN + 1])
{
	const char *text = json_get_string(done, name);

	return text ? plugin_check_digest(text, dst, NULL) : -EBADMSG;
}

static int copy_text(const struct json_object *done, const char *name, char **dst)
{
	const char *text = json_get_string(done, name);

	*dst = text && text[0] ? strdup(text) : NULL;
	return text && text[0] && !*dst ? -ENOMEM : 0;
}

static int read_done(struct plugin_install *install, const struct json_object *done)
{
	struct plugin_record *record = &install->record;
	int r;

	r = read_digest(done, "digest", record->digest);
	if (r == 0)
		r = read_digest(done, "manifest", record->manifest);
	if (r == 0 && (!json_get_int64(done, "files", &record->files) ||
		       !json_get_int64(done, "bytes", &record->bytes)))
		r = -EBADMSG;
	if (r == 0)
		r = copy_text(done, "version", &record->version);
	if (r == 0)
		r = copy_text(done, "description", &record->description);
	if (r < 0)
		return r;

	(void)json_get_bool(done, "has_setup", &record->setup.has);
	install->files = record->files;
	(void)format_time(record->installed_at, wall_now_ms());
	return 0;
}

/* The helper has compared them, too; but it is here that something comes of it. */
static int check_done(const struct plugin_install *install, const struct json_object *done,
		      struct error *err)
{
	const char *name = json_get_string(done, "name");

	if (install->digest[0] && strcmp(install->digest, install->record.digest) != 0)
		return error_set(err, ERROR_INTEGRITY, EBADMSG,
				 "plugin %s has the SHA-256 %s, not %s: nothing was installed",
				 install->name, install->record.digest, install->digest);

	if (!name || strcmp(name, install->name) != 0)
		return error_set(err, ERROR_INTEGRITY, EBADMSG,
				 "what came for plugin %s is called otherwise: nothing was "
				 "installed",
				 install->name);

	return 0;
}

/* Unless it is needed, a plugin is there all the same. */
static void install_was_not_set_up(struct plugin_install *install, const char *why)
{
	struct error err = { 0 };

	install->record.setup.ok = false;
	install->setup_why = strdup(why);
	if (!install->need_setup) {
		install_activate(install);
		return;
	}

	(void)error_set(&err, ERROR_PLATFORM, 0, "plugin %s was not installed: %s", install->name,
			why);
	install_end(install, &err);
}

static void setup_on_end(struct setup *setup, const struct setup_result *result)
{
	struct plugin_install *install = container_of(setup, struct plugin_install, setup);
	struct plugin_setup *outcome = &install->record.setup;

	/* One that could not be confined never ran. */
	outcome->ran = result->exit >= 0;
	outcome->ok = result->ok;
	outcome->exit = result->exit;
	install->setup_log = result->log[0] ? strdup(result->log) : NULL;
	if (result->ok)
		install_activate(install);
	else
		install_was_not_set_up(install, result->why);
}

static int start_setup(struct plugin_install *install, struct error *err)
{
	AUTO(fd_close) int tree = -1;
	struct setup_ask ask = {
		.name = install->name,
		.work = install->version_fd,
		.timeout_ms = install->member->context->plugins.setup_timeout_ms,
	};
	int r;

	r = plugin_place_tree(install->version_fd, install->name, &tree, err);
	if (r < 0)
		return r;

	ask.tree = tree;
	setup_init(&install->setup, setup_on_end);
	return setup_start(&install->setup, install->pool->reaper, &ask, err);
}

static void install_set_up(struct plugin_install *install)
{
	struct error err = { 0 };

	if (start_setup(install, &err) < 0)
		install_was_not_set_up(install, err.text);
	else
		set_phase(install, PLUGIN_SETUP);
}

static void unpack_on_end(struct plugin_helper *helper, struct json_object *done,
			  const struct error *err)
{
	struct plugin_install *install = install_of(helper);
	struct error failed = err ? *err : (struct error){ 0 };
	int r = err ? -EIO : 0;

	if (r == 0) {
		r = read_done(install, done);
		if (r < 0)
			(void)error_set(&failed, ERROR_INTERNAL, -r,
					"cannot tell what was unpacked for plugin %s: %m",
					install->name);
	}
	if (r == 0)
		r = check_done(install, done, &failed);
	if (r < 0) {
		install_end(install, &failed);
		return;
	}

	if (install->run_setup && install->record.setup.has)
		install_set_up(install);
	else
		install_activate(install);
}

/* --- the switch --- */

static void activate_on_end(struct plugin_helper *helper, struct json_object *done,
			    const struct error *err)
{
	install_end(install_of(helper), err);
}

static int activate(struct plugin_install *install, struct error *err)
{
	static const struct plugin_helper_events events = { .on_end = activate_on_end };
	char what[PLUGIN_NAME_MAX + 40];
	const struct plugin_switch to = {
		.what = what,
		.name = install->name,
		.record = &install->record,
		.dirfd = install->dirfd,
		.sync = install->record.setup.ran,
	};
	int r;

	(void)snprintf(what, sizeof(what), "switch to the new version of plugin %s", install->name);
	plugin_helper_init(&install->helper, &events);
	r = plugin_switch_start(&to, &install->helper, install->pool->reaper, err);
	if (r < 0)
		return r;

	install->activating = true;
	return 0;
}

static void install_activate(struct plugin_install *install)
{
	struct error err = { 0 };

	if (activate(install, &err) < 0) {
		install_end(install, &err);
		return;
	}

	set_phase(install, PLUGIN_VERIFY);
}

/* --- the download --- */

/* As the platform calls it, else as it was asked for. */
static void note_source(struct plugin_install *install)
{
	const char *source = install->download.source;

	free(install->record.source);
	install->record.source = strdup(source[0]         ? source
					: install->source ? install->source
							  : install->name);
}

/* What the helper does not take now comes again when it has room. */
static int download_on_bytes(struct plugins_download *download, const char *bytes, size_t len)
{
	struct plugin_install *install = container_of(download, struct plugin_install, download);
	int r = plugin_helper_write(&install->helper, bytes, len);
	struct error err;

	if (r == -EAGAIN)
		return r;

	/* It has seen enough, and is about to say why. */
	if (r == -EPIPE) {
		plugins_download_stop(download);
		return -ECANCELED;
	}

	if (r < 0) {
		(void)error_set(&err, ERROR_INTERNAL, -r, "cannot unpack plugin %s: %m",
				install->name);
		install_end(install, &err);
		return -ECANCELED;
	}

	install->bytes += (int64_t)len;
	install->total = download->total;
	install->events->on_progress(install);
	return 0;
}

static bool is_doubtful(const struct platform_reply *reply)
{
	return reply && (reply->verdict == PLATFORM_UNAUTHORIZED ||
			 reply->verdict == PLATFORM_DELETED || reply->verdict == PLATFORM_STRAY);
}

static void download_on_done(struct plugins_download *download, const struct platform_reply *reply,
			     const struct error *err)
{
	struct plugin_install *install = container_of(download, struct plugin_install, download);
	struct error failed = err ? *err : (struct error){ 0 };

	if (is_doubtful(reply))
		install->events->on_doubt(install);
	if (err) {
		install_end(install, &failed);
		return;
	}

	note_source(install);
	plugin_helper_end_input(&install->helper);
	set_phase(install, PLUGIN_UNPACK);
}

static const struct plugins_download_events download_events = { download_on_bytes,
								download_on_done };

static void unpack_on_room(struct plugin_helper *helper)
{
	plugins_download_resume(&install_of(helper)->download);
}

/* --- the whole --- */

int plugin_install_new(const struct membership *member, struct plugin_pool *pool, int dirfd,
		       const struct plugin_install_events *events, void *data,
		       struct plugin_install **ret, struct error *err)
{
	struct plugin_install *install = calloc(1, sizeof(*install));

	if (!install)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to install a plugin");

	*install = (struct plugin_install){
		.member = member,
		.pool = pool,
		.dirfd = dirfd,
		.events = events,
		.data = data,
		.total = -1,
		.version_fd = -1,
		.warnings = BUFFER_INIT(PLUGIN_WARNINGS_MAX),
	};
	*ret = install;
	return 0;
}

/* The limits as texts, for the helper's command line. */
struct limits {
	char packed[24], unpacked[24], files[24];
};

static struct limits limits_of(const struct plugin_settings *settings)
{
	struct limits limits;

	(void)snprintf(limits.packed, sizeof(limits.packed), "%" PRIu64, settings->max_packed);
	(void)snprintf(limits.unpacked, sizeof(limits.unpacked), "%" PRIu64,
		       settings->max_unpacked);
	(void)snprintf(limits.files, sizeof(limits.files), "%" PRIu32, settings->max_files);
	return limits;
}

static int start_unpacking(struct plugin_install *install, struct error *err)
{
	static const struct plugin_helper_events events = {
		.on_word = unpack_on_word,
		.on_end = unpack_on_end,
		.on_room = unpack_on_room,
	};
	const struct plugin_settings *settings = &install->member->context->plugins;
	struct limits limits = limits_of(settings);
	char what[96];
	const char *args[] = {
		"unpack",        "--name",
		install->name,   "--max-packed",
		limits.packed,   "--max-unpacked",
		limits.unpacked, "--max-files",
		limits.files,    install->digest[0] ? "--sha256" : NULL,
		install->digest, NULL,
	};
	struct plugin_helper_ask ask = {
		.what = what,
		.args = args,
		.dirfd = install->version_fd,
		.input = true,
		.timeout_ms = settings->download_timeout_ms + UNPACK_GRACE_MS,
	};

	(void)snprintf(what, sizeof(what), "unpack plugin %s", install->name);
	plugin_helper_init(&install->helper, &events);
	return plugin_helper_start(&install->helper, install->pool->reaper, &ask, err);
}

static int start_download(struct plugin_install *install, struct error *err)
{
	const struct membership *member = install->member;
	const struct plugin_settings *settings = &member->context->plugins;
	const struct plugins_ask ask = {
		.id = member->settings->id,
		.token = member->token->text,
		.name = install->name,
		.source = install->source,
		.max = settings->max_packed,
		.timeout_ms = settings->download_timeout_ms,
	};

	return plugins_download_start(&install->download, member->platform, &download_events, &ask,
				      err);
}

static int fill(struct plugin_install *install, const struct plugin_install_ask *ask,
		struct error *err)
{
	struct plugin_record *record = &install->record;

	(void)snprintf(install->name, sizeof(install->name), "%s", ask->name);
	(void)snprintf(install->digest, sizeof(install->digest), "%s", ask->digest);
	(void)snprintf(record->before, sizeof(record->before), "%s", ask->before);
	install->run_setup = ask->run_setup;
	install->need_setup = ask->need_setup;
	install->source = ask->source ? strdup(ask->source) : NULL;
	if (ask->source && !install->source)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to install plugin %s",
				 ask->name);

	if (plugin_version_name(record->dir, wall_now_ms()) < 0)
		return error_set(err, ERROR_INTERNAL, EIO, "cannot name a new version of plugin %s",
				 ask->name);

	return 0;
}

int plugin_install_start(struct plugin_install *install, const struct plugin_install_ask *ask,
			 struct error *err)
{
	int r;

	r = fill(install, ask, err);
	if (r == 0)
		r = plugin_place_make(install->dirfd, install->name, install->record.dir,
				      &install->version_fd, err);
	if (r == 0)
		r = start_unpacking(install, err);
	if (r == 0)
		r = start_download(install, err);
	return r;
}

bool plugin_install_is_open(const struct plugin_install *install)
{
	return !install->activating;
}

void plugin_install_free(struct plugin_install *install)
{
	if (!install)
		return;

	plugins_download_stop(&install->download);
	plugin_helper_stop(&install->helper);
	setup_stop(&install->setup);
	/* Who was about to switch may still do it, for all that it was killed. */
	install->unsure |= install->activating;
	drop_version(install);
	plugin_record_fini(&install->record);
	buffer_fini(&install->warnings);
	free(install->setup_log);
	free(install->setup_why);
	free(install->source);
	free(install);
}
