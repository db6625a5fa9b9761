/* SPDX-License-Identifier: MIT */
/*
 * What a workspace's settings are called, may be, and are by default.
 */

#include "agent/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/guard.h"
#include "base/fd.h"
#include "base/jsonscan.h"
#include "base/jsontext.h"
#include "base/secret.h"
#include "base/util.h"

#define SECONDS 1000
#define MINUTES (60 * SECONDS)
#define HOURS (60 * MINUTES)
#define DAYS (24LL * HOURS)
#define KIB 1024LL
#define MIB (1024 * KIB)

static int check_credential(const char *text, char **ret, struct error *err);
static int check_agent_card(const char *text, char **ret, struct error *err);

static const char *const reactions[] = {
	[WORKSPACE_NOTIFY] = "notify",
	[WORKSPACE_EXIT] = "exit",
	NULL,
};
_Static_assert(sizeof(enum workspace_reaction) == sizeof(unsigned), "a choice is an unsigned");

#define AT(member) offsetof(struct workspace_settings, member)

static const struct setting workspace_settings[] = {
	{ .name = "platform_url",
	  .offset = AT(platform.url),
	  .type = SETTING_TEXT,
	  .check = platform_check_url,
	  .help = "where the platform is: https://host[:port][/path]" },
	{ .name = "workspace_id",
	  .offset = AT(id),
	  .type = SETTING_UUID,
	  .flags = SETTING_OWN,
	  .help = "the workspace's id on the platform, a UUID" },
	{ .name = "org_id",
	  .offset = AT(platform.org_id),
	  .type = SETTING_TEXT,
	  .check = platform_check_header,
	  .help = "organisation, for a platform that serves several (X-Molecule-Org-Id)" },
	{ .name = "origin",
	  .offset = AT(platform.origin),
	  .type = SETTING_TEXT,
	  .check = platform_check_origin,
	  .help = "Origin header, for a platform behind a gateway that wants one" },
	{ .name = "ca_file",
	  .offset = AT(platform.ca_file),
	  .type = SETTING_TEXT,
	  .check = platform_check_path,
	  .help = "PEM file of the authorities to trust instead of the system's" },
	{ .name = "proxy",
	  .offset = AT(platform.proxy),
	  .type = SETTING_TEXT,
	  .check = platform_check_proxy,
	  .help = "proxy on the way to the platform; http_proxy and its like are not read" },
	{ .name = "allow_http",
	  .offset = AT(platform.allow_http),
	  .type = SETTING_BOOL,
	  .initial = "no",
	  .help = "let the token travel unencrypted to a platform that is not this host" },
	{ .name = "requests_per_minute",
	  .offset = AT(platform.requests_per_minute),
	  .type = SETTING_COUNT,
	  .min = 0,
	  .max = 100000,
	  .initial = "0",
	  .help = "most requests a minute to this platform; 0: as many as it says it takes" },
	{ .name = "token_file",
	  .offset = AT(token_file),
	  .type = SETTING_TEXT,
	  .flags = SETTING_OWN,
	  .check = platform_check_path,
	  .help = "file that holds the token, readable by the daemon's user only" },
	{ .name = "token_credential",
	  .offset = AT(token_credential),
	  .type = SETTING_TEXT,
	  .flags = SETTING_OWN,
	  .check = check_credential,
	  .help = "systemd credential that holds the token" },
	{ .name = "agent_card",
	  .offset = AT(agent_card),
	  .type = SETTING_TEXT,
	  .flags = SETTING_LINES,
	  .check = check_agent_card,
	  .help = "what the agent says about itself: a JSON object, or the path of one" },
	{ .name = "reported_url",
	  .offset = AT(reported_url),
	  .type = SETTING_TEXT,
	  .flags = SETTING_OWN,
	  .check = platform_check_url,
	  .help = "where the platform can reach the agent, if it can; else it is polled for" },
	{ .name = "heartbeat_interval",
	  .offset = AT(heartbeat_interval_ms),
	  .type = SETTING_DURATION,
	  .min = 1 * SECONDS,
	  .max = 10 * MINUTES,
	  .initial = "30s",
	  .help = "how often to tell the platform that the agent is alive" },
	{ .name = "state_poll_interval",
	  .offset = AT(state_poll_interval_ms),
	  .type = SETTING_DURATION,
	  .min = 1 * SECONDS,
	  .max = 1 * HOURS,
	  .initial = "30s",
	  .help = "how often to ask whether the workspace is paused or deleted" },
	{ .name = "secrets_refresh_interval",
	  .offset = AT(secrets_refresh_interval_ms),
	  .type = SETTING_DURATION,
	  .flags = SETTING_ZERO,
	  .min = 1 * SECONDS,
	  .max = 1 * DAYS,
	  .initial = "5min",
	  .help = "how often to fetch the secrets again; 0: only when asked for" },
	{ .name = "secrets_max_stale",
	  .offset = AT(secrets_max_stale_ms),
	  .type = SETTING_DURATION,
	  .max = 30 * DAYS,
	  .initial = "1h",
	  .help = "how long to give out secrets from memory while the platform is away" },
	{ .name = "url_cache_ttl",
	  .offset = AT(url_cache_ttl_ms),
	  .type = SETTING_DURATION,
	  .max = 1 * DAYS,
	  .initial = "5min",
	  .help = "how long to remember where a peer is" },
	{ .name = "peer_networks",
	  .offset = AT(peer_networks),
	  .type = SETTING_LIST,
	  .flags = SETTING_LINES,
	  .check = guard_check_network,
	  .help = "networks of this host or site where peers may be called directly" },
	{ .name = "on_pause",
	  .offset = AT(on_pause),
	  .type = SETTING_CHOICE,
	  .choices = reactions,
	  .initial = "notify",
	  .help = "when the workspace is paused: notify, or exit with status 10" },
	{ .name = "on_delete",
	  .offset = AT(on_delete),
	  .type = SETTING_CHOICE,
	  .choices = reactions,
	  .initial = "notify",
	  .help = "when the workspace is deleted: notify, or exit with status 11" },
};

const struct setting_table workspace_settings_table = {
	workspace_settings,
	ARRAY_LEN(workspace_settings),
};

static const char *const run_setups[] = {
	[PLUGIN_SETUP_ASK] = "ask",
	[PLUGIN_SETUP_ALWAYS] = "always",
	[PLUGIN_SETUP_NEVER] = "never",
	NULL,
};
_Static_assert(sizeof(enum plugin_run_setup) == sizeof(unsigned), "a choice is an unsigned");

#undef AT
#define AT(member) offsetof(struct plugin_settings, member)

static const struct setting plugin_settings[] = {
	{ .name = "run_setup",
	  .offset = AT(run_setup),
	  .type = SETTING_CHOICE,
	  .choices = run_setups,
	  .initial = "ask",
	  .help = "whether to run a plugin's setup.sh: ask (if the request says so), always, never" },
	{ .name = "setup_timeout",
	  .offset = AT(setup_timeout_ms),
	  .type = SETTING_DURATION,
	  .min = 1 * SECONDS,
	  .max = 1 * HOURS,
	  .initial = "2min",
	  .help = "how long a setup.sh may take" },
	{ .name = "download_timeout",
	  .offset = AT(download_timeout_ms),
	  .type = SETTING_DURATION,
	  .min = 1 * SECONDS,
	  .max = 1 * DAYS,
	  .initial = "10min",
	  .help = "how long the download of a plugin may take" },
	{ .name = "max_packed",
	  .offset = AT(max_packed),
	  .type = SETTING_SIZE,
	  .min = 4 * KIB,
	  .max = 4096 * MIB,
	  .initial = "100M",
	  .help = "size of a plugin's archive" },
	{ .name = "max_unpacked",
	  .offset = AT(max_unpacked),
	  .type = SETTING_SIZE,
	  .min = 4 * KIB,
	  .max = 16384 * MIB,
	  .initial = "512M",
	  .help = "size of all files in it" },
	{ .name = "max_files",
	  .offset = AT(max_files),
	  .type = SETTING_COUNT,
	  .min = 1,
	  .max = 1000000,
	  .initial = "20000",
	  .help = "how many files and directories there may be in it" },
};

const struct setting_table plugin_settings_table = {
	plugin_settings,
	ARRAY_LEN(plugin_settings),
};

static bool is_name(const char *text, size_t max)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._-";
	size_t len = strspn(text, letters);

	return len && len <= max && !text[len] && !strchr("._-", text[0]);
}

/* systemd puts it in a file of that name. */
static int check_credential(const char *text, char **ret, struct error *err)
{
	if (!is_name(text, 255))
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "write a credential's name: letters, digits, '.', '_' and '-'");

	*ret = strdup(text);
	return *ret ? 0 : error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the settings");
}

static int check_agent_card(const char *text, char **ret, struct error *err)
{
	struct json_text card;
	size_t len = strlen(text);
	int r;

	if (len > AGENT_CARD_MAX)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "write at most %d bytes",
				 AGENT_CARD_MAX);

	r = json_check(text, len, JSON_DEPTH_MAX, JSON_VALUES_MAX, err);
	if (r < 0) {
		error_prefix(err, "write a JSON object, or the path of a file that holds one");
		if (err)
			err->kind = ERROR_INVALID_PARAMS;
		return r;
	}

	card = json_text_from(text, len);
	if (json_text_kind(card) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "write a JSON object, such as {\"name\": \"laptop\"}, not %s",
				 json_kind_name(json_text_kind(card)));

	*ret = strndup(card.at, card.len);
	return *ret ? 0 : error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the settings");
}

int workspace_settings_init(struct workspace_settings *settings)
{
	int r;

	*settings = (struct workspace_settings){ 0 };
	r = settings_reset(&workspace_settings_table, settings, NULL);
	if (r < 0)
		workspace_settings_fini(settings);
	return r;
}

void workspace_settings_fini(struct workspace_settings *settings)
{
	if (!settings)
		return;

	settings_clear(&workspace_settings_table, settings);
	*settings = (struct workspace_settings){ 0 };
}

int workspace_settings_copy(struct workspace_settings *dst, const struct workspace_settings *src)
{
	int r;

	*dst = (struct workspace_settings){ .joined = src->joined };
	memcpy(dst->name, src->name, sizeof(dst->name));
	r = settings_copy(&workspace_settings_table, dst, src);
	if (r < 0)
		workspace_settings_fini(dst);
	return r;
}

bool workspace_settings_equal(const struct workspace_settings *a,
			      const struct workspace_settings *b)
{
	return strcmp(a->name, b->name) == 0 && a->joined == b->joined &&
	       settings_equal(&workspace_settings_table, a, b);
}

struct workspace_key workspace_settings_key(const struct workspace_settings *settings)
{
	const char *place = strstr(settings->platform.url, "://");
	struct workspace_key key;

	place = place ? place + 3 : settings->platform.url;
	(void)snprintf(key.text, sizeof(key.text), "%s@%.*s", settings->id, WORKSPACE_PLACE_MAX,
		       place);
	for (char *p = key.text; *p; p++)
		if (*p == '/')
			*p = '_';
	return key;
}

int workspace_settings_set(struct workspace_settings *settings, const char *key, const char *text,
			   struct error *err)
{
	const struct setting *setting = setting_find(&workspace_settings_table, key);

	if (!setting)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "a workspace has no \"%s\"",
				 key);

	return setting_set(setting, settings, text, err);
}

int workspace_settings_set_name(struct workspace_settings *settings, const char *name,
				struct error *err)
{
	char shown[40];

	if (!is_name(name, WORKSPACE_NAME_MAX))
		return error_set(
			err, ERROR_INVALID_PARAMS, EINVAL,
			"\"%s\" is no name for a workspace: write letters, digits, '.', '_' "
			"and '-', at most %d, the first a letter or digit",
			error_quote(shown, sizeof(shown), name, strlen(name)), WORKSPACE_NAME_MAX);

	memcpy(settings->name, name, strlen(name) + 1);
	return 0;
}

/* A token others can read is a token others have read. systemd may let us in by a list. */
static bool is_private(const char *path, const struct stat *st)
{
	AUTO(secret_free) char *token = NULL;

	return !(st->st_mode & (S_IRWXG | S_IRWXO)) ||
	       file_read_private(AT_FDCWD, path, 1024, &token, NULL, NULL) == 0;
}

/* One that is not there yet may come: the daemon looks again when it needs it. */
static int check_token_file(const char *path, struct error *err)
{
	struct stat st;

	if (lstat(path, &st) < 0 && errno == ENOENT)
		return 0;

	if (lstat(path, &st) < 0)
		return error_set(err, ERROR_INVALID_PARAMS, errno,
				 "token_file: cannot look at %s: %m", path);

	if (!S_ISREG(st.st_mode))
		return error_set(
			err, ERROR_INVALID_PARAMS, EINVAL,
			"token_file: %s is no regular file: write the path of the file itself",
			path);

	if (!is_private(path, &st))
		return error_set(
			err, ERROR_INVALID_PARAMS, EPERM,
			"token_file: %s is open to others (mode %03o): run chmod 600 on it", path,
			st.st_mode & 0777u);

	return 0;
}

int workspace_settings_check(const struct workspace_settings *settings, const char **ret_key,
			     struct error *err)
{
	int r;

	r = platform_settings_check(&settings->platform, ret_key, err);
	if (r < 0)
		return r;

	*ret_key = "workspace_id";
	if (!settings->id[0])
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "workspace_id is missing: write workspace_id = UUID, the id that "
				 "the platform gave the workspace");

	*ret_key = "token_credential";
	if (settings->token_file && settings->token_credential)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL,
				 "token_credential and token_file are both given: keep one");

	*ret_key = "token_file";
	if (settings->token_file) {
		r = check_token_file(settings->token_file, err);
		if (r < 0)
			return r;
	}

	*ret_key = NULL;
	return 0;
}

void agent_settings_drop_workspaces(struct agent_settings *settings)
{
	for (size_t i = 0; i < settings->n_workspaces; i++)
		workspace_settings_fini(&settings->workspaces[i]);
	free(settings->workspaces);
	settings->workspaces = NULL;
	settings->n_workspaces = 0;
}

void agent_settings_fini(struct agent_settings *settings)
{
	if (!settings)
		return;

	agent_settings_drop_workspaces(settings);
	workspace_settings_fini(&settings->defaults);
	*settings = (struct agent_settings){ 0 };
}
