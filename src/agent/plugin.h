/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One plugin as it is on disk:
 *
 *   STATE/workspaces/ID@PLATFORM/plugins/NAME/
 *       current -> versions/VERSION       what counts; switched by one rename
 *       versions/VERSION/tree/...         the plugin itself
 *       versions/VERSION/files            what is in it, with digests
 *       versions/VERSION/record.json      what follows here
 *
 * A version is whole before current points to it, and is never written to
 * afterwards. The record of the current one says which one was there before:
 * that is what a rollback goes to. Any other version is rubbish.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/list.h"
#include "base/parse.h"

/* [A-Za-z0-9][A-Za-z0-9._-]*, as the helper has it: real ones have a dozen letters. */
#define PLUGIN_NAME_MAX 64
#define PLUGIN_DIGEST_LEN 64                 /* hex digits of a SHA-256 */
#define PLUGIN_RECORD_MAX ((size_t)24 << 10) /* as the helper has it */
#define PLUGIN_VERSION_SIZE 28               /* "20261120T123456Z-0a1b2c3d4e" and a NUL */

/* What came of its setup.sh. */
struct plugin_setup {
	bool has, ran, ok;
	int exit; /* of one that ran; 128 + the number of the signal that ended it */
};

/* One version; texts are owned. */
struct plugin_record {
	char dir[PLUGIN_VERSION_SIZE];        /* its directory in versions/ */
	char before[PLUGIN_VERSION_SIZE];     /* that of the version before; "": none */
	char digest[PLUGIN_DIGEST_LEN + 1];   /* of the tarball */
	char manifest[PLUGIN_DIGEST_LEN + 1]; /* of the files in it */
	char installed_at[TIME_TEXT_SIZE];
	char *version;     /* what its plugin.yaml says, or NULL */
	char *description; /* likewise */
	char *source;      /* "local://NAME", "github://owner/repo#ref"; or NULL */
	int64_t files, bytes;
	struct plugin_setup setup;
};

struct plugin {
	struct list node; /* sorted by name */
	char name[PLUGIN_NAME_MAX + 1];
	struct plugin_record current;
	struct plugin_record before; /* dir is "": there is none */
};

/* How far an installation is. */
enum plugin_phase {
	PLUGIN_DOWNLOAD, /* and unpacks what has come */
	PLUGIN_UNPACK,   /* all has come */
	PLUGIN_VERIFY,   /* and is made to last */
	PLUGIN_SETUP,
	PLUGIN_DONE,
	PLUGIN_FAILED,
};

const char *plugin_phase_name(enum plugin_phase phase);

bool plugin_name_is_good(const char *name);
/* ERROR_INVALID_PARAMS that says what a name is. */
int plugin_check_name(const char *name, struct error *err);
/* 64 hex digits of either case, to lower case; else ERROR_INVALID_PARAMS. */
int plugin_check_digest(const char *text, char dst[static PLUGIN_DIGEST_LEN + 1],
			struct error *err);

/* A name for a new version's directory: the time, and something random. */
int plugin_version_name(char dst[static PLUGIN_VERSION_SIZE], int64_t wall_ms);
bool plugin_version_is_good(const char *dir);

/* record is zeroed, or was filled. */
void plugin_record_fini(struct plugin_record *record);
/* What plugin_record_read() reads. */
int plugin_record_write(const struct plugin_record *record, const char *name, struct buffer *out);
/* record is zeroed. -EBADMSG when that is no record, -ENOMEM. */
int plugin_record_read(const struct json_object *object, const char *dir,
		       struct plugin_record *record);

/* NULL without memory. */
struct plugin *plugin_new(const char *name);
void plugin_free(struct plugin *plugin);
