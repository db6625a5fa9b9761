/* SPDX-License-Identifier: MIT */
/*
 * The platform's answers about plugins. A download that fails is mostly not the
 * platform's fault, nor ours: it says whose, and its words are passed on.
 */

#include "platform/plugins.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/jsontext.h"
#include "base/secret.h"

#define PATH_MAX_LEN 2400 /* a name and a source, each byte of which may be escaped */
#define REPORT_MAX 8192   /* bytes of what is told */

/* The older platform fetches the plugin anew before it finds that it cannot install it. */
#define REPORT_TIMEOUT_MS 60000

/* --- downloads --- */

/* As RFC 3986 has it: what is not unreserved is escaped, "#" and "/" too. */
static void append_escaped(struct buffer *path, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c))
			(void)buffer_append_char(path, (char)c);
		else
			(void)buffer_printf(path, "%%%02X", c);
	}
}

/* What makes no archive whatever comes: a page from something in between, an error with a 200. */
static bool is_no_archive(const struct http_result *head)
{
	return strncasecmp(head->content_type, "text/", 5) == 0 ||
	       strncasecmp(head->content_type, "application/json", 16) == 0;
}

static void note_head(struct plugins_download *download, const struct http_result *head)
{
	const char *source = http_result_header(head, "X-Plugin-Source");

	download->total = head->length;
	if (source)
		(void)error_quote(download->source, sizeof(download->source), source,
				  strlen(source));
}

static int download_on_body(struct platform_call *call, const struct http_result *head,
			    const char *bytes, size_t len)
{
	struct plugins_download *download = container_of(call, struct plugins_download, call);
	char type[64];
	int r;

	if (!download->received) {
		note_head(download, head);
		if (is_no_archive(head)) {
			(void)error_set(&download->refused, ERROR_PLATFORM, 0,
					"cannot %s: the answer is no archive but %s; check "
					"platform_url, and what stands in between",
					download->what,
					error_quote(type, sizeof(type), head->content_type,
						    strlen(head->content_type)));
			platform_call_stop(call);
			loop_defer(download->loop, &download->refuse);
			return -ECANCELED;
		}
	}

	r = download->events->on_bytes(download, bytes, len);
	/* Careful: the download may be gone. */
	if (r == 0)
		download->received += len;
	return r;
}

static void download_on_refuse(struct loop_work *work)
{
	struct plugins_download *download = container_of(work, struct plugins_download, refuse);

	download->events->on_done(download, NULL, &download->refused);
}

/* The statuses that mean something else here than elsewhere. */
static enum error_kind kind_of(const struct platform_reply *reply)
{
	const char *words = json_get_string(reply->json, "error");

	switch (reply->json ? reply->status : 0) {
	case 400:
		return ERROR_INVALID_PARAMS;
	case 413:
		return ERROR_TOO_LARGE;
	case 422:
		return words && strstr(words, "integrity") ? ERROR_INTEGRITY : ERROR_INVALID_PARAMS;
	case 500:
	case 502:
	case 504:
		return ERROR_PLATFORM;
	default:
		return reply->err.kind;
	}
}

static void download_on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct plugins_download *download = container_of(call, struct plugins_download, call);
	struct error err = reply->err;

	if (reply->verdict == PLATFORM_OK) {
		download->events->on_done(download, reply, NULL);
		return;
	}

	err.kind = kind_of(reply);
	download->events->on_done(download, reply, &err);
	/* Careful: the download may be gone. */
}

int plugins_download_start(struct plugins_download *download, struct platform *platform,
			   const struct plugins_download_events *events,
			   const struct plugins_ask *ask, struct error *err)
{
	AUTO(buffer_fini) struct buffer path = BUFFER_INIT(PATH_MAX_LEN);
	struct platform_spec spec = {
		.class = PLATFORM_CALL,
		.method = "GET",
		.what = download->what,
		.id = ask->id,
		.token = ask->token,
		.max_body = ask->max ? ask->max : PLUGINS_DOWNLOAD_MAX,
		.timeout_ms = ask->timeout_ms ? ask->timeout_ms : PLUGINS_DOWNLOAD_TIMEOUT_MS,
		.on_body = download_on_body,
	};

	*download = (struct plugins_download){
		.events = events,
		.loop = platform->loop,
		.total = -1,
	};
	loop_work_init(&download->refuse, download_on_refuse);
	platform_call_init(&download->call, download_on_reply);
	(void)snprintf(download->what, sizeof(download->what), "download plugin %s", ask->name);

	(void)buffer_printf(&path, "/workspaces/%s/plugins/", ask->id);
	append_escaped(&path, ask->name);
	(void)buffer_append_text(&path, "/download");
	if (ask->source) {
		(void)buffer_append_text(&path, "?source=");
		append_escaped(&path, ask->source);
	}
	(void)buffer_append_char(&path, '\0');
	if (path.failed)
		return error_set(err, ERROR_INVALID_PARAMS, -path.failed,
				 "cannot %s: its name or source is too long", download->what);

	spec.path = buffer_at(&path);
	return platform_call_start(&download->call, platform, &spec, err);
}

void plugins_download_resume(struct plugins_download *download)
{
	platform_call_resume(&download->call);
}

void plugins_download_stop(struct plugins_download *download)
{
	if (!download->loop)
		return;

	platform_call_stop(&download->call);
	loop_work_cancel(&download->refuse);
}

/* --- reports --- */

static void report_finish(struct plugins_report *report, enum plugins_reported outcome,
			  const struct platform_reply *reply)
{
	plugins_report_stop(report);
	report->on_done(report, outcome, reply);
	/* Careful: the report may be gone. */
}

static int report_send(struct plugins_report *report, const char *place, const char *body,
		       struct error *err)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/workspaces/%s/%s", report->id, place);
	return platform_call_start(&report->call, report->platform,
				   &(struct platform_spec){
					   .class = PLATFORM_CALL,
					   .method = "POST",
					   .path = path,
					   .what = "report a plugin",
					   .id = report->id,
					   .token = report->token,
					   .body = body,
					   .body_len = strlen(body),
					   .timeout_ms = REPORT_TIMEOUT_MS,
				   },
				   err);
}

/* The older platform: a refusal of any kind says that it has no place for reports. */
static void order_on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct plugins_report *report = container_of(call, struct plugins_report, call);

	if (reply->verdict == PLATFORM_OK)
		report_finish(report, PLUGINS_RECORDED, reply);
	else if (reply->json && (reply->status == 503 || reply->verdict == PLATFORM_REJECTED ||
				 reply->verdict == PLATFORM_MISSING))
		report_finish(report, PLUGINS_NOT_RECORDED, reply);
	else
		report_finish(report, PLUGINS_UNREPORTED, reply);
}

static void report_on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct plugins_report *report = container_of(call, struct plugins_report, call);
	char *order;

	if (reply->verdict == PLATFORM_OK) {
		report_finish(report, PLUGINS_RECORDED, reply);
		return;
	}

	/* Not an answer about us: that route is not there. */
	if (reply->status != 404 || reply->verdict == PLATFORM_DELETED || !report->order) {
		report_finish(report,
			      reply->status == 404 ? PLUGINS_NOT_RECORDED : PLUGINS_UNREPORTED,
			      reply);
		return;
	}

	order = TAKE(report->order);
	platform_call_init(&report->call, order_on_reply);
	if (report_send(report, "plugins", order, NULL) < 0)
		report_finish(report, PLUGINS_UNREPORTED, NULL);
	free(order);
}

static void write_member(struct buffer *out, const char *name, const char *value)
{
	if (!value || !value[0])
		return;

	(void)buffer_printf(out, "%c\"%s\":", buffer_len(out) ? ',' : '{', name);
	(void)json_write_string(out, value, strlen(value));
}

/* Yields "{...}", or NULL without memory or any member. */
static char *take_object(struct buffer *out)
{
	if (!buffer_len(out) || buffer_append_char(out, '}') < 0)
		return NULL;

	return buffer_take_text(out);
}

static int report_fill(struct plugins_report *report, const struct plugins_installed *installed,
		       char **ret_body)
{
	AUTO(buffer_fini) struct buffer body = BUFFER_INIT(REPORT_MAX);
	AUTO(buffer_fini) struct buffer order = BUFFER_INIT(REPORT_MAX);
	const char *source = installed->source ? installed->source : installed->name;

	write_member(&body, "name", installed->name);
	write_member(&body, "source", source);
	write_member(&body, "version", installed->version);
	write_member(&body, "digest", installed->digest);
	/* Not the digest: to that platform a "sha256" is of plugin.yaml alone. */
	write_member(&order, "source", source);

	(void)snprintf(report->id, sizeof(report->id), "%s", installed->id);
	report->token = secret_dup(installed->token, strlen(installed->token));
	report->order = take_object(&order);
	*ret_body = take_object(&body);
	return report->token && report->order && *ret_body ? 0 : -ENOMEM;
}

int plugins_report_start(struct plugins_report *report, struct platform *platform,
			 const struct plugins_installed *installed, plugins_report_fn on_done,
			 struct error *err)
{
	AUTO(free) char *body = NULL;
	int r;

	*report = (struct plugins_report){ .platform = platform, .on_done = on_done };
	platform_call_init(&report->call, report_on_reply);
	if (report_fill(report, installed, &body) < 0) {
		plugins_report_stop(report);
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot report a plugin: %m");
	}

	r = report_send(report, "plugin-install-report", body, err);
	if (r < 0)
		plugins_report_stop(report);
	return r;
}

void plugins_report_stop(struct plugins_report *report)
{
	platform_call_stop(&report->call);
	secret_free(TAKE(report->token));
	free(TAKE(report->order));
}
