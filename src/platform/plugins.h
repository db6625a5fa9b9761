/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plugins on the platform: fetching one, as it comes, and telling that one was
 * installed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/platform.h"

/* The platform itself may take five minutes to fetch one, before it answers at all. */
#define PLUGINS_DOWNLOAD_TIMEOUT_MS (10 * 60 * 1000)
#define PLUGINS_DOWNLOAD_MAX ((uint64_t)100 << 20) /* as the platform has it */
#define PLUGINS_NAME_MAX 128                       /* likewise, of names */
#define PLUGINS_SOURCE_MAX 512                     /* "github://owner/repo#ref" */

struct plugins_download;

struct plugins_download_events {
	/*
	 * As http_body_fn: 0, -EAGAIN and then plugins_download_resume(), or -ECANCELED
	 * when the download was stopped in here. What came of a refused archive is for
	 * who reads it to say.
	 */
	int (*on_bytes)(struct plugins_download *download, const char *bytes, size_t len);
	/*
	 * Once. err NULL: what came is all of it. reply: what it is evidence of; NULL
	 * when it is evidence of nothing.
	 */
	void (*on_done)(struct plugins_download *download, const struct platform_reply *reply,
			const struct error *err);
};

struct plugins_download {
	struct platform_call call;
	const struct plugins_download_events *events; /* borrowed */
	uint64_t received;
	int64_t total; /* bytes, as announced; -1: not known (yet) */
	char source[PLUGINS_SOURCE_MAX +
		    1]; /* as the platform calls it; "" before the first byte */
	char what[PLUGINS_NAME_MAX + 32];
	struct loop *loop;       /* borrowed; NULL: never started */
	struct loop_work refuse; /* what is no archive */
	struct error refused;
};

/* Everything is borrowed until plugins_download_start() returns. */
struct plugins_ask {
	const char *id, *token; /* the workspace */
	const char *name;
	const char *source; /* or NULL: the platform's own plugin of that name */
	size_t max;         /* bytes; 0: PLUGINS_DOWNLOAD_MAX */
	int64_t timeout_ms; /* 0: PLUGINS_DOWNLOAD_TIMEOUT_MS */
};

/* download is zeroed, or has ended. Goes over the connections that calls to peers have. */
int plugins_download_start(struct plugins_download *download, struct platform *platform,
			   const struct plugins_download_events *events,
			   const struct plugins_ask *ask, struct error *err);
void plugins_download_resume(struct plugins_download *download);
void plugins_download_stop(struct plugins_download *download); /* takes a zeroed one */

/*
 * Telling the platform what was installed, which it shows to its users. The older
 * platform takes such a report for an order to install into a container, and
 * answers 503; a newer one has a place for it. Neither matters to the plugin.
 */
struct plugins_report;

enum plugins_reported {
	PLUGINS_RECORDED,
	PLUGINS_NOT_RECORDED, /* this platform has no place for it */
	PLUGINS_UNREPORTED,   /* it did not get there */
};

typedef void (*plugins_report_fn)(struct plugins_report *report, enum plugins_reported outcome,
				  const struct platform_reply *reply);

struct plugins_report {
	struct platform_call call;
	struct platform *platform; /* borrowed */
	plugins_report_fn on_done;
	char id[40];
	char *token; /* owned; secret memory */
	char *order; /* owned: what the older platform is told */
};

struct plugins_installed {
	const char *id, *token;                       /* the workspace */
	const char *name, *source, *version, *digest; /* of the plugin; each but name may be NULL */
};

int plugins_report_start(struct plugins_report *report, struct platform *platform,
			 const struct plugins_installed *installed, plugins_report_fn on_done,
			 struct error *err);
void plugins_report_stop(struct plugins_report *report); /* takes a zeroed one */
