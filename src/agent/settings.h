/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a person says about the workspaces of this host. Filled by the
 * configuration, or by workspace.join; everything is owned. One table says what
 * can be said, so that both take the same and begin with the same.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/call-settings.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/setting.h"
#include "platform/settings.h"

#define WORKSPACE_NAME_MAX \
	64 /* [A-Za-z0-9][A-Za-z0-9._-]*: it is a file name and a metric's label */
#define AGENT_CARD_MAX 262144 /* bytes; those in use have a few thousand */

enum workspace_reaction {
	WORKSPACE_NOTIFY, /* stay and tell */
	WORKSPACE_EXIT,   /* the daemon leaves, with status 10 (paused) or 11 (deleted) */
};

struct workspace_settings {
	char name[WORKSPACE_NAME_MAX + 1];
	char id[UUID_LEN + 1]; /* lower case */
	bool joined;           /* by workspace.join: its file is in the state directory */
	struct platform_settings platform;
	char *token_file;       /* path, or NULL: the state directory only */
	char *token_credential; /* name of a systemd credential, or NULL */
	char *agent_card;       /* JSON text, checked, or NULL */
	char *reported_url;     /* http or https, or NULL: no inbound URL */
	char **peer_networks; /* that the guard allows beyond the public, ended by NULL; or NULL */
	int64_t heartbeat_interval_ms;
	int64_t state_poll_interval_ms;
	int64_t secrets_refresh_interval_ms; /* 0: on demand only */
	int64_t secrets_max_stale_ms;
	int64_t url_cache_ttl_ms;
	enum workspace_reaction on_pause;
	enum workspace_reaction on_delete;
};

/* Whether a plugin's setup.sh is run: code that the platform sent. */
enum plugin_run_setup {
	PLUGIN_SETUP_ASK, /* when whoever installs it says so */
	PLUGIN_SETUP_ALWAYS,
	PLUGIN_SETUP_NEVER, /* whoever says so */
};

/* What holds for the plugins of all workspaces. Nothing in it is owned. */
struct plugin_settings {
	enum plugin_run_setup run_setup;
	int64_t setup_timeout_ms;    /* 2 min: what the platform's own installer gives it */
	int64_t download_timeout_ms; /* 10 min: the platform itself may take five to fetch it */
	uint64_t max_packed;         /* 100 MiB: more it does not pack */
	uint64_t max_unpacked;       /* 512 MiB: five times as much */
	uint32_t max_files;          /* 20,000: real ones have thirty */
};

extern const struct setting_table plugin_settings_table;

struct agent_settings {
	struct workspace_settings *workspaces; /* sorted by name */
	size_t n_workspaces;
	struct workspace_settings defaults; /* what a workspace that is joined begins with */
	struct call_settings calls;
	struct plugin_settings plugins;
	int64_t stop_timeout_ms;
};

/*
 * What is kept of a workspace is kept under this: "ID@HOST". It stays the same
 * when the workspace gets another name here, and may be that of a file.
 */
#define WORKSPACE_PLACE_MAX 150 /* bytes of the host: a file name has 255 */
#define WORKSPACE_KEY_SIZE (UUID_LEN + 1 + WORKSPACE_PLACE_MAX + 1)

struct workspace_key {
	char text[WORKSPACE_KEY_SIZE];
};

struct workspace_key workspace_settings_key(const struct workspace_settings *settings);

/* Everything about a workspace but its name and whether it was joined. */
extern const struct setting_table workspace_settings_table;

/* settings is uninitialised; it gets what holds when nobody says anything. */
int workspace_settings_init(struct workspace_settings *settings);
void workspace_settings_fini(struct workspace_settings *settings);
/* dst is uninitialised; on failure it is left finished. */
int workspace_settings_copy(struct workspace_settings *dst, const struct workspace_settings *src);
bool workspace_settings_equal(const struct workspace_settings *a,
			      const struct workspace_settings *b);

/* ERROR_INVALID_PARAMS with a sentence that says what to write instead, as all below. */
int workspace_settings_set(struct workspace_settings *settings, const char *key, const char *text,
			   struct error *err);
int workspace_settings_set_name(struct workspace_settings *settings, const char *name,
				struct error *err);

/*
 * What only shows when all is said, the files included that it names. *ret_key
 * is the setting to change.
 */
int workspace_settings_check(const struct workspace_settings *settings, const char **ret_key,
			     struct error *err);

/* When they have been taken over: thousands of them would be kept twice. */
void agent_settings_drop_workspaces(struct agent_settings *settings);

/* settings is zeroed or initialised. */
void agent_settings_fini(struct agent_settings *settings);
