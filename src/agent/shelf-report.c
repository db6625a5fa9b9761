/* SPDX-License-Identifier: MIT */
/*
 * Telling the platform what was installed. Nobody waits for that, and nothing
 * depends on it: most platforms have no place for it.
 */

#include "agent/shelf-private.h"
#include "base/log.h"
#include "platform/plugins.h"

/* One at a time would lose some; more than these at a time is nobody's need. */
#define REPORTS_MAX 8

struct shelf_report {
	struct list node;    /* in the shelf's */
	struct shelf *shelf; /* borrowed */
	struct plugins_report report;
};

static void report_free(struct shelf_report *report)
{
	list_remove(&report->node);
	report->shelf->n_reports--;
	plugins_report_stop(&report->report);
	free(report);
}

static void report_on_done(struct plugins_report *done, enum plugins_reported outcome,
			   const struct platform_reply *reply)
{
	struct shelf_report *report = container_of(done, struct shelf_report, report);
	struct shelf *shelf = report->shelf;
	const char *name = shelf->member->settings->name;

	if (outcome == PLUGINS_UNREPORTED)
		log_event(LOG_INFO, name, "plugin_unreported", NULL,
			  "the platform was not told of a plugin: %s",
			  reply ? reply->err.text : "no memory");
	if (outcome == PLUGINS_NOT_RECORDED && !shelf->told_unrecorded) {
		shelf->told_unrecorded = true;
		log_event(LOG_DEBUG, name, "plugin_unrecorded", NULL,
			  "the platform does not record what is installed here (%d)",
			  reply ? reply->status : 0);
	}
	report_free(report);
}

void shelf_report(struct shelf *shelf, const struct plugin *plugin)
{
	const struct membership *member = shelf->member;
	const struct plugins_installed installed = {
		.id = member->settings->id,
		.token = member->token->text,
		.name = plugin->name,
		.source = plugin->current.source,
		.version = plugin->current.version,
		.digest = plugin->current.digest,
	};
	struct shelf_report *report;
	struct error err = { 0 };

	/* A token may have been lost meanwhile. */
	if (!member->token->text || shelf->n_reports >= REPORTS_MAX)
		return;

	report = calloc(1, sizeof(*report));
	if (!report)
		return;

	list_init(&report->node);
	report->shelf = shelf;
	if (plugins_report_start(&report->report, member->platform, &installed, report_on_done,
				 &err) < 0) {
		log_event(LOG_INFO, member->settings->name, "plugin_unreported", NULL, "%s",
			  err.text);
		free(report);
		return;
	}

	list_append(&shelf->reports, &report->node);
	shelf->n_reports++;
}

void shelf_reports_free(struct shelf *shelf)
{
	while (!list_empty(&shelf->reports))
		report_free(list_entry(shelf->reports.next, struct shelf_report, node));
}
