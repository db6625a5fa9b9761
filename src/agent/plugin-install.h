/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One installation, from the download to the switch.
 *
 * What comes from the platform goes through a pipe to the helper, which unpacks
 * it into a new version's directory and says what it was. Only when its name and
 * its digest are what they should be, and all of it is on disk, does its
 * setup.sh run, if it may; and only then is the plugin switched to the new
 * version. Until that moment nothing has changed, and stopping the installation
 * leaves nothing behind.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/membership.h"
#include "agent/plugin-helper.h"
#include "agent/plugin-pool.h"
#include "agent/plugin.h"
#include "agent/setup.h"
#include "base/buffer.h"
#include "base/error.h"
#include "platform/plugins.h"

#define PLUGIN_WARNINGS_MAX ((size_t)16 << 10) /* bytes; a person reads a dozen */
#define PLUGIN_SOURCE_MAX 512

struct plugin_install;

struct plugin_install_events {
	/* Bytes, files or the phase are others. Must not free it. */
	void (*on_progress)(struct plugin_install *install);
	/* The platform refuses us in a way that says more about us. Must not free it. */
	void (*on_doubt)(struct plugin_install *install);
	/* Once; err is NULL when all went well. The plugin is the new version if switched says so,
	 * be it that this may not last. May free it. */
	void (*on_end)(struct plugin_install *install, const struct error *err);
};

/* Everything is copied. */
struct plugin_install_ask {
	const char *name;
	const char *source; /* or NULL: the platform's own of that name */
	const char *digest; /* of the tarball, or "": whatever comes */
	const char *before; /* the version that is there now, or "" */
	bool run_setup;     /* if there is one */
	bool need_setup;    /* and if it fails, nothing is installed */
};

struct plugin_install {
	const struct membership *member; /* borrowed */
	struct plugin_pool *pool;        /* borrowed */
	int dirfd;                       /* borrowed: of the workspace's plugins */
	const struct plugin_install_events *events;
	void *data;
	char name[PLUGIN_NAME_MAX + 1];
	char digest[PLUGIN_DIGEST_LEN + 1];
	char *source; /* or NULL */
	bool run_setup, need_setup;

	enum plugin_phase phase;
	int64_t bytes, total; /* of the download; total -1: not known */
	int64_t files;        /* unpacked */

	struct plugin_record record; /* of what is installed, as far as it is known */
	struct buffer warnings;      /* JSON strings with commas between them */
	char *setup_log;             /* the path of what its setup.sh said, or NULL */
	char *setup_why;             /* why that has failed, or NULL */

	int version_fd;  /* owned; -1: none yet */
	bool activating; /* at any moment it may be the new version that counts */
	bool switched;   /* it is */
	bool unsure;     /* the switch has failed, and nobody can tell what counts now */
	struct plugins_download download;
	struct plugin_helper helper;
	struct setup setup;
};

/* dirfd is borrowed as long as it lives. Begins when it is started. */
int plugin_install_new(const struct membership *member, struct plugin_pool *pool, int dirfd,
		       const struct plugin_install_events *events, void *data,
		       struct plugin_install **ret, struct error *err);
int plugin_install_start(struct plugin_install *install, const struct plugin_install_ask *ask,
			 struct error *err);
/* Whether it can still be given up without anything having changed. */
bool plugin_install_is_open(const struct plugin_install *install);
/* Stops it. Takes NULL. */
void plugin_install_free(struct plugin_install *install);
