/* SPDX-License-Identifier: MIT */
/*
 * plugins.*: what is installed on this host for a workspace.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/shelf.h"
#include "agent/workspace.h"
#include "rpc/call.h"
#include "rpc/method.h"
#include "rpc/writer.h"

enum {
	INSTALL_WORKSPACE,
	INSTALL_NAME,
	INSTALL_SOURCE,
	INSTALL_SHA256,
	INSTALL_RUN_SETUP,
	INSTALL_REPORT,
	INSTALL_REQUIRE_SETUP
};
enum {
	PLUGIN_WORKSPACE,
	PLUGIN_NAME
};

static const char *asker(const struct call *call, char dst[static SHELF_BY_MAX])
{
	(void)snprintf(dst, SHELF_BY_MAX, "uid %u (pid %d)", call->caller->uid, call->caller->pid);
	return dst;
}

static int read_name(const struct call *call, char dst[static PLUGIN_NAME_MAX + 1],
		     struct error *err)
{
	int r = call_text(call, PLUGIN_NAME, dst, PLUGIN_NAME_MAX + 1, err);

	return r < 0 || !arg_given(&call->args[PLUGIN_NAME]) ? r : plugin_check_name(dst, err);
}

typedef int (*shelf_fn)(struct shelf *shelf, const char *name, const char *by,
			struct waiter *waiter, struct error *err);

/* Asks the shelf for something about the plugin that is named, if one is; then resume. */
static int ask(struct call *call, shelf_fn fn, call_resume_fn resume, struct error *err)
{
	struct shelf *shelf = workspace_shelf(call->workspace, err);
	char name[PLUGIN_NAME_MAX + 1], by[SHELF_BY_MAX];
	struct waiter *waiter;
	int r;

	if (!shelf)
		return -ENOMEM;

	r = read_name(call, name, err);
	if (r < 0)
		return r;

	(void)asker(call, by);
	waiter = call_park(&call, resume, err);
	if (!waiter)
		return -ENOMEM;

	r = fn(shelf, name, by, waiter, err);
	return r < 0 ? r : CALL_PARKED;
}

/* --- installing --- */

/* One that was to run and could not has failed, too: then there is a reason. */
static void write_setup(struct buffer *out, const struct plugin_install *install,
			const struct plugin_setup *setup)
{
	writer_open(out, "setup", '{');
	writer_bool(out, "ran", setup->ran);
	if (setup->ran || install->setup_why)
		writer_bool(out, "ok", setup->ok);
	else
		writer_text(out, "ok", NULL);
	if (setup->ran)
		writer_int(out, "exit", setup->exit);
	else
		writer_text(out, "exit", NULL);
	writer_text(out, "why", install->setup_why);
	writer_text(out, "log", install->setup_log);
	writer_close(out, '}');
}

static void write_path(struct buffer *out, const struct shelf *shelf, const char *name)
{
	char *path = shelf_path(shelf, name);

	if (!path)
		out->failed = -ENOMEM;
	writer_text(out, "path", path);
	free(path);
}

static int installed(struct call *call, const struct error *failed, struct error *err)
{
	const struct shelf *shelf = call->workspace->shelf;
	const struct shelf_outcome *outcome = shelf_outcome(shelf);
	const struct plugin_record *record;
	struct buffer *out;

	if (failed)
		return error_copy(err, failed);

	record = &outcome->plugin->current;
	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_text(out, "name", outcome->plugin->name);
	writer_text(out, "version", record->version);
	write_path(out, shelf, outcome->plugin->name);
	writer_text(out, "digest", record->digest);
	writer_text(out, "manifest", record->manifest);
	writer_text(out, "source", record->source);
	writer_int(out, "files", record->files);
	writer_int(out, "bytes", record->bytes);
	write_setup(out, outcome->install, &record->setup);
	writer_open(out, "warnings", '[');
	(void)buffer_append(out, buffer_at(&outcome->install->warnings),
			    buffer_len(&outcome->install->warnings));
	writer_close(out, ']');
	writer_close(out, '}');
	return 0;
}

/* What the request says, as far as the configuration lets it. */
static int read_setup(const struct call *call, struct shelf_ask *ask, struct error *err)
{
	enum plugin_run_setup rule = call->workspace->context->plugins.run_setup;
	const struct arg *run = &call->args[INSTALL_RUN_SETUP];
	bool wants;

	ask->need_setup = call->args[INSTALL_REQUIRE_SETUP].boolean;
	wants = arg_given(run) ? run->boolean : ask->need_setup || rule == PLUGIN_SETUP_ALWAYS;
	if (ask->need_setup && !wants)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "run_setup is false and require_setup is true: choose");

	if (wants && rule == PLUGIN_SETUP_NEVER)
		return error_set(err, ERROR_FORBIDDEN, EPERM,
				 "agentd.conf says run_setup = never: no setup.sh is run here");

	ask->run_setup = wants;
	return 0;
}

static int read_ask(const struct call *call, struct shelf_ask *ask, char *name, char *source,
		    char *digest, struct error *err)
{
	char text[PLUGIN_DIGEST_LEN * 2]; /* room for what is too long to be told what it must be */
	int r;

	r = read_name(call, name, err);
	if (r == 0)
		r = call_text(call, INSTALL_SOURCE, source, PLUGIN_SOURCE_MAX + 1, err);
	if (r == 0)
		r = call_text(call, INSTALL_SHA256, text, sizeof(text), err);
	if (r == 0 && arg_given(&call->args[INSTALL_SHA256]))
		r = plugin_check_digest(text, digest, err);
	if (r == 0)
		r = read_setup(call, ask, err);
	if (r < 0)
		return r;

	ask->name = name;
	ask->source = source[0] ? source : NULL;
	ask->digest = digest;
	ask->report = !arg_given(&call->args[INSTALL_REPORT]) || call->args[INSTALL_REPORT].boolean;
	return 0;
}

static int plugins_install(struct call *call, struct error *err)
{
	char source[PLUGIN_SOURCE_MAX + 1] = "", digest[PLUGIN_DIGEST_LEN + 1] = "";
	char name[PLUGIN_NAME_MAX + 1] = "", by[SHELF_BY_MAX];
	struct shelf_ask wanted = { .by = asker(call, by) };
	struct waiter *waiter;
	struct shelf *shelf;
	int r;

	r = read_ask(call, &wanted, name, source, digest, err);
	if (r < 0)
		return r;

	waiter = call_park_asking(&call, installed, err);
	shelf = waiter ? workspace_shelf(call->workspace, err) : NULL;
	if (!shelf)
		return -EIO;

	r = shelf_install(shelf, &wanted, waiter, err);
	return r < 0 ? r : CALL_PARKED;
}

/* --- looking --- */

static void write_previous(struct buffer *out, const struct plugin_record *record)
{
	if (!record->dir[0]) {
		writer_raw(out, "previous", "null", 4);
		return;
	}

	writer_open(out, "previous", '{');
	writer_text(out, "version", record->version);
	writer_text(out, "digest", record->digest[0] ? record->digest : NULL);
	writer_text(out, "installed_at", record->installed_at[0] ? record->installed_at : NULL);
	writer_close(out, '}');
}

static void write_plugin(struct buffer *out, const struct shelf *shelf, const struct plugin *plugin)
{
	const struct plugin_record *record = &plugin->current;

	writer_open(out, NULL, '{');
	writer_text(out, "name", plugin->name);
	writer_text(out, "version", record->version);
	writer_text(out, "description", record->description);
	writer_text(out, "digest", record->digest[0] ? record->digest : NULL);
	writer_text(out, "manifest", record->manifest[0] ? record->manifest : NULL);
	writer_text(out, "source", record->source);
	writer_text(out, "installed_at", record->installed_at[0] ? record->installed_at : NULL);
	writer_int(out, "files", record->files);
	writer_int(out, "bytes", record->bytes);
	write_path(out, shelf, plugin->name);
	write_previous(out, &plugin->before);
	writer_close(out, '}');
}

static int listed(struct call *call, const struct error *failed, struct error *err)
{
	const struct shelf *shelf = call->workspace->shelf;
	struct buffer *out;

	if (failed)
		return error_copy(err, failed);

	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_open(out, "plugins", '[');
	list_for_each (node, &shelf->plugins)
		write_plugin(out, shelf, list_entry(node, struct plugin, node));
	writer_close(out, ']');
	writer_close(out, '}');
	return 0;
}

static int plugins_list(struct call *call, struct error *err)
{
	struct shelf *shelf = workspace_shelf(call->workspace, err);
	struct waiter *waiter;

	if (!shelf)
		return -ENOMEM;
	if (shelf_is_loaded(shelf))
		return listed(call, NULL, err);

	waiter = call_park(&call, listed, err);
	if (!waiter)
		return -ENOMEM;

	shelf_load(shelf, waiter);
	return CALL_PARKED;
}

static int verified(struct call *call, const struct error *failed, struct error *err)
{
	const struct shelf_outcome *outcome = shelf_outcome(call->workspace->shelf);
	struct buffer *out;

	if (failed)
		return error_copy(err, failed);

	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_bool(out, "ok", !buffer_len(outcome->drift) && !outcome->drift_cut);
	writer_open(out, "drift", '[');
	(void)buffer_append(out, buffer_at(outcome->drift), buffer_len(outcome->drift));
	writer_close(out, ']');
	writer_bool(out, "truncated", outcome->drift_cut);
	writer_close(out, '}');
	return 0;
}

static int verify(struct shelf *shelf, const char *name, const char *by, struct waiter *waiter,
		  struct error *err)
{
	return shelf_verify(shelf, name, waiter, err);
}

static int plugins_verify(struct call *call, struct error *err)
{
	return ask(call, verify, verified, err);
}

/* --- changing --- */

static int rolled_back(struct call *call, const struct error *failed, struct error *err)
{
	const struct shelf_outcome *outcome = shelf_outcome(call->workspace->shelf);
	struct buffer *out;

	if (failed)
		return error_copy(err, failed);

	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_text(out, "name", outcome->plugin->name);
	writer_text(out, "version", outcome->plugin->current.version);
	writer_text(out, "digest", outcome->plugin->current.digest);
	writer_close(out, '}');
	return 0;
}

static int removed(struct call *call, const struct error *failed, struct error *err)
{
	struct buffer *out;

	if (failed)
		return error_copy(err, failed);

	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_bool(out, "removed", true);
	writer_close(out, '}');
	return 0;
}

static int plugins_rollback(struct call *call, struct error *err)
{
	return ask(call, shelf_rollback, rolled_back, err);
}

static int plugins_remove(struct call *call, struct error *err)
{
	return ask(call, shelf_remove, removed, err);
}

#define THE_PLUGIN                                                       \
	{                                                                \
		"name", FIELD_STRING, FIELD_REQUIRED, .help = "its name" \
	}

const struct method methods_plugins[] = {
	{ "plugins.install", POLICY_ADMIN, plugins_install,
	  "fetch a plugin from the platform, and switch to it when all of it is there",
	  FIELDS(FIELD_THE_WORKSPACE, THE_PLUGIN,
		 { "source", FIELD_STRING,
		   .help = "\"local://NAME\", \"github://OWNER/REPO#REF\"; the platform's own" },
		 { "sha256", FIELD_STRING, .help = "what its tarball must have: 64 hex digits" },
		 { "run_setup", FIELD_BOOLEAN, .help = "run its setup.sh, if it has one" },
		 { "report", FIELD_BOOLEAN, .help = "tell the platform; true when left out" },
		 { "require_setup", FIELD_BOOLEAN,
		   .help = "install nothing when its setup.sh fails" }),
	  FIELDS({ "name", FIELD_STRING, .help = "its name" },
		 { "version", FIELD_STRING, FIELD_NULLABLE, .help = "what its plugin.yaml says" },
		 { "path", FIELD_STRING, .help = "where its files are, now and after an upgrade" },
		 { "digest", FIELD_STRING, .help = "SHA-256 of its tarball" },
		 { "manifest", FIELD_STRING, .help = "SHA-256 of its files, as the SDK makes it" },
		 { "source", FIELD_STRING, FIELD_NULLABLE, .help = "where it came from" },
		 { "files", FIELD_INTEGER, .help = "how many it has" },
		 { "bytes", FIELD_INTEGER, .help = "of all of them" },
		 { "setup", FIELD_OBJECT,
		   .help = "ran, ok, exit, why, log: what came of its setup.sh" },
		 { "warnings", FIELD_STRINGS, .help = "what was odd about it" }) },
	{ "plugins.list", POLICY_READ, plugins_list, "list what is installed",
	  FIELDS(FIELD_THE_WORKSPACE),
	  FIELDS({ "plugins", FIELD_OBJECTS,
		   .help = "name, version, description, digest, manifest, source, installed_at, "
			   "files, bytes, path, previous" }) },
	{ "plugins.verify", POLICY_READ, plugins_verify,
	  "look whether the files are still what was installed",
	  FIELDS(FIELD_THE_WORKSPACE,
		 { "name", FIELD_STRING, .help = "only this one; all when left out" }),
	  FIELDS({ "ok", FIELD_BOOLEAN, .help = "whether all of them are" },
		 { "drift", FIELD_OBJECTS, .help = "name, path, what: each file that is not" },
		 { "truncated", FIELD_BOOLEAN, .help = "whether there are more" }) },
	{ "plugins.rollback", POLICY_ADMIN, plugins_rollback,
	  "go back to the version that was there before", FIELDS(FIELD_THE_WORKSPACE, THE_PLUGIN),
	  FIELDS({ "name", FIELD_STRING, .help = "its name" },
		 { "version", FIELD_STRING, FIELD_NULLABLE, .help = "the one that is there now" },
		 { "digest", FIELD_STRING, .help = "of that version's tarball" }) },
	{ "plugins.remove", POLICY_ADMIN, plugins_remove, "take a plugin off this host",
	  FIELDS(FIELD_THE_WORKSPACE, THE_PLUGIN),
	  FIELDS({ "removed", FIELD_BOOLEAN, .help = "always true" }) },
	{ 0 },
};
