/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a person says about the workspaces of this host. Filled by the
 * configuration, or by workspace.join; everything is owned.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"
#include "platform/settings.h"

#define WORKSPACE_NAME_MAX \
	64 /* [A-Za-z0-9][A-Za-z0-9._-]*: it is a file name and a metric's label */

enum workspace_reaction {
	WORKSPACE_NOTIFY, /* stay and tell */
	WORKSPACE_EXIT,   /* the daemon leaves, with status 10 (paused) or 11 (deleted) */
};

struct workspace_settings {
	char name[WORKSPACE_NAME_MAX + 1];
	char id[UUID_LEN + 1]; /* lower case */
	struct platform_settings platform;
	char *token_file;       /* path, or NULL: the state directory only */
	char *token_credential; /* name of a systemd credential, or NULL */
	char *agent_card;       /* JSON text, checked, or NULL */
	char *reported_url;     /* http or https, or NULL: no inbound URL */
	int64_t heartbeat_interval_ms;
	int64_t state_poll_interval_ms;
	int64_t secrets_refresh_interval_ms; /* 0: on demand only */
	int64_t secrets_max_stale_ms;
	int64_t url_cache_ttl_ms;
	enum workspace_reaction on_pause;
	enum workspace_reaction on_delete;
	bool joined; /* by workspace.join: its file is in the state directory */
};

struct agent_settings {
	struct workspace_settings *workspaces; /* sorted by name */
	size_t n_workspaces;
	int64_t stop_timeout_ms;
};

void workspace_settings_fini(struct workspace_settings *settings);
int workspace_settings_copy(struct workspace_settings *dst, const struct workspace_settings *src);
bool workspace_settings_equal(const struct workspace_settings *a,
			      const struct workspace_settings *b);
void agent_settings_fini(struct agent_settings *settings);
