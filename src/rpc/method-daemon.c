/* SPDX-License-Identifier: MIT */
/*
 * daemon.*: the daemon itself.
 */

#include <errno.h>
#include <unistd.h>

#include "rpc/call.h"
#include "rpc/method.h"
#include "rpc/status.h"
#include "rpc/writer.h"

#define PROTOCOL 1
#define METRICS_MAX                                                                  \
	((size_t)64 << 20) /* fifty thousand workspaces have some hundred bytes each \
			    */
#define CHANGES_MAX ((size_t)1 << 20)

/* What a client can find out by calling is not listed; what it cannot, is. */
static const char *const features[] = { "batch", "headers", "cancel", "events" };

static int daemon_info(struct call *call, struct error *err)
{
	const struct hub_host *host = &call->hub->host;
	struct buffer *out = call_result(call);

	writer_open(out, NULL, '{');
	writer_text(out, "name", "molecule-agentd");
	writer_text(out, "version", host->version);
	writer_int(out, "pid", getpid());
	writer_time(out, "started_at", host->started_wall_ms);
	writer_int(out, "protocol", PROTOCOL);
	writer_open(out, "features", '[');
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		writer_text(out, NULL, features[i]);
	writer_close(out, ']');
	writer_close(out, '}');
	return 0;
}

static const char *state_of(const struct hub *hub)
{
	if (hub->stopping)
		return "stopping";

	return agent_has_warnings(&hub->host.agent->context) ? "degraded" : "running";
}

static int daemon_status(struct call *call, struct error *err)
{
	const struct hub *hub = call->hub;
	struct buffer *out = call_result(call);

	writer_open(out, NULL, '{');
	writer_text(out, "state", state_of(hub));
	writer_int(out, "connections", hub->n_connections);
	status_write_workspaces(out, "workspaces", hub->host.agent);
	status_write_warnings(out, "warnings", hub->host.agent);
	writer_close(out, '}');
	return 0;
}

static int daemon_metrics(struct call *call, struct error *err)
{
	AUTO(buffer_fini) struct buffer text = BUFFER_INIT(METRICS_MAX);
	struct buffer *out;

	hub_write_metrics(call->hub, &text);
	if (text.failed)
		return error_set(err, ERROR_INTERNAL, -text.failed, "no memory for the metrics");

	out = call_result(call);
	(void)buffer_append_text(out, "{\"text\":");
	(void)json_write_string(out, buffer_at(&text), buffer_len(&text));
	(void)buffer_append_char(out, '}');
	return 0;
}

static int daemon_reload(struct call *call, struct error *err)
{
	AUTO(buffer_fini) struct buffer changed = BUFFER_INIT(CHANGES_MAX);
	const struct hub_host *host = &call->hub->host;
	struct buffer *out;
	int r;

	if (!host->reload)
		return error_set(err, ERROR_UNAVAILABLE, ENOSYS, "there is nothing to reload");

	r = host->reload(host->data, &changed, err);
	if (r < 0)
		return r;

	out = call_result(call);
	writer_open(out, NULL, '{');
	if (buffer_len(&changed))
		writer_raw(out, "changed", buffer_at(&changed), buffer_len(&changed));
	else
		writer_raw(out, "changed", "[]", 2);
	writer_bool(out, "unchanged", buffer_len(&changed) <= 2);
	writer_close(out, '}');
	return 0;
}

const struct method methods_daemon[] = {
	{ "daemon.info", POLICY_READ, daemon_info, "say who answers here", NO_FIELDS,
	  FIELDS({ "name", FIELD_STRING, .help = "molecule-agentd" },
		 { "version", FIELD_STRING, .help = "of the daemon" },
		 { "pid", FIELD_INTEGER, .help = "its process" },
		 { "started_at", FIELD_TIME, .help = "when it was started" },
		 { "protocol", FIELD_INTEGER, .help = "1: what this page describes" },
		 { "features", FIELD_STRINGS, .help = "what it can beyond its methods" }) },
	{ "daemon.status", POLICY_READ, daemon_status, "say how everything is", NO_FIELDS,
	  FIELDS({ "state", FIELD_STRING, .help = "starting, running, degraded or stopping" },
		 { "connections", FIELD_INTEGER, .help = "open ones, this one included" },
		 { "workspaces", FIELD_OBJECTS, .help = "each as workspace.status" },
		 { "warnings", FIELD_OBJECTS, .help = "code, severity, text, workspace, since" }) },
	{ "daemon.metrics", POLICY_READ, daemon_metrics, "say what was counted", NO_FIELDS,
	  FIELDS({ "text", FIELD_STRING, .help = "OpenMetrics" }) },
	{ "daemon.reload", POLICY_ADMIN, daemon_reload,
	  "read the configuration anew; a wrong one changes nothing", NO_FIELDS,
	  FIELDS({ "changed", FIELD_STRINGS, .help = "what is no longer as it was" },
		 { "unchanged", FIELD_BOOLEAN, .help = "whether that is nothing" }) },
	{ 0 },
};
