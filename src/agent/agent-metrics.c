/* SPDX-License-Identifier: MIT */
/*
 * The numbers of all workspaces and platforms, as OpenMetrics. Each workspace has
 * four series, whether it is online and beats, so that ten thousand of them fit
 * into an answer; the rest is added up.
 */

#include <stdio.h>

#include "agent/agent.h"
#include "agent/plugin-pool.h"
#include "agent/switchboard.h"
#include "base/secret.h"
#include "io/store.h"

static void sample(struct buffer *out, const char *family, enum metric_type type,
		   const struct workspace *workspace, const char *label, const char *value,
		   double number)
{
	const char *const labels[] = { "workspace", workspace->settings.name, label, value, NULL };

	metrics_sample(out, family, type, labels, number);
}

static void write_states(const struct agent *agent, struct buffer *out)
{
	metrics_family(out, "molecule_workspace_state", METRIC_GAUGE, NULL,
		       "1 for the state that a workspace is in.");
	list_for_each (node, &agent->workspaces) {
		const struct workspace *workspace = list_entry(node, struct workspace, node);

		sample(out, "molecule_workspace_state", METRIC_GAUGE, workspace, "state",
		       lifecycle_state_name(workspace->state), 1);
	}
}

static void write_heartbeats(const struct agent *agent, struct buffer *out)
{
	metrics_family(out, "molecule_heartbeats", METRIC_COUNTER, NULL,
		       "Heartbeats by result; late: begun more than a second after they were due.");
	list_for_each (node, &agent->workspaces) {
		const struct workspace *workspace = list_entry(node, struct workspace, node);
		const struct heartbeat *heartbeat = &workspace->heartbeat;

		sample(out, "molecule_heartbeats", METRIC_COUNTER, workspace, "result", "ok",
		       (double)heartbeat->ok);
		sample(out, "molecule_heartbeats", METRIC_COUNTER, workspace, "result", "failed",
		       (double)heartbeat->failed);
		sample(out, "molecule_heartbeats", METRIC_COUNTER, workspace, "result", "late",
		       (double)heartbeat->late);
	}
}

static void total(struct buffer *out, const char *family, const char *result, uint64_t count)
{
	const char *const labels[] = { "result", result, NULL };

	metrics_sample(out, family, METRIC_COUNTER, labels, (double)count);
}

static void write_results(struct buffer *out, const char *family, const char *help, uint64_t ok,
			  uint64_t failed)
{
	metrics_family(out, family, METRIC_COUNTER, NULL, help);
	total(out, family, "ok", ok);
	total(out, family, "failed", failed);
}

/* Whose they were matters less than that there are some: the log and workspace.status say it. */
static void write_counts(const struct agent_counts *counts, struct buffer *out)
{
	write_results(out, "molecule_state_polls", "State polls of all workspaces, by result.",
		      counts->polls.ok, counts->polls.failed);
	write_results(out, "molecule_secret_fetches",
		      "Fetches of secrets, of all workspaces, by result.", counts->secrets.ok,
		      counts->secrets.failed);
	write_results(out, "molecule_peer_fetches",
		      "Fetches of the peer list, of all workspaces, by result.", counts->peers.ok,
		      counts->peers.failed);
	metrics_family(out, "molecule_registers", METRIC_COUNTER, NULL,
		       "Registers that were tried, of all workspaces.");
	metrics_sample(out, "molecule_registers", METRIC_COUNTER, NULL, (double)counts->registers);
}

/* Those of workspaces that have delegated something: of most there is nothing to say. */
static void each_outbox(const struct agent *agent, struct buffer *out,
			void (*write)(struct buffer *out, const struct workspace *workspace,
				      const struct outbox *outbox))
{
	list_for_each (node, &agent->workspaces) {
		const struct workspace *workspace = list_entry(node, struct workspace, node);

		if (workspace->outbox)
			write(out, workspace, workspace->outbox);
	}
}

static void write_open_delegations(struct buffer *out, const struct workspace *workspace,
				   const struct outbox *outbox)
{
	for (int status = 0; status <= DELEGATE_STATUS_LAST; status++)
		if (!delegate_status_is_final((enum delegate_status)status))
			sample(out, "molecule_delegations_open", METRIC_GAUGE, workspace, "status",
			       delegate_status_name((enum delegate_status)status),
			       (double)outbox->n_open[status]);
}

static void write_ended_delegations(struct buffer *out, const struct workspace *workspace,
				    const struct outbox *outbox)
{
	const char *family = "molecule_delegations_ended";

	sample(out, family, METRIC_COUNTER, workspace, "status", "completed",
	       (double)outbox->n_completed);
	sample(out, family, METRIC_COUNTER, workspace, "status", "failed",
	       (double)outbox->n_failed);
	sample(out, family, METRIC_COUNTER, workspace, "status", "unknown", (double)outbox->n_lost);
}

static void write_delegation_sends(struct buffer *out, const struct workspace *workspace,
				   const struct outbox *outbox)
{
	const char *family = "molecule_delegation_sends";

	sample(out, family, METRIC_COUNTER, workspace, "result", "ok", (double)outbox->n_sent);
	sample(out, family, METRIC_COUNTER, workspace, "result", "failed",
	       (double)outbox->n_send_failures);
}

static void write_delegation_polls(struct buffer *out, const struct workspace *workspace,
				   const struct outbox *outbox)
{
	const char *family = "molecule_delegation_polls";

	sample(out, family, METRIC_COUNTER, workspace, "result", "ok",
	       (double)(outbox->n_polls - outbox->n_poll_failures));
	sample(out, family, METRIC_COUNTER, workspace, "result", "failed",
	       (double)outbox->n_poll_failures);
}

static void write_delegations(const struct agent *agent, struct buffer *out)
{
	metrics_family(
		out, "molecule_delegations_open", METRIC_GAUGE, NULL,
		"Delegations that have not ended; pending: the platform does not have them.");
	each_outbox(agent, out, write_open_delegations);
	metrics_family(out, "molecule_delegations_ended", METRIC_COUNTER, NULL,
		       "Delegations that have ended.");
	each_outbox(agent, out, write_ended_delegations);
	metrics_family(out, "molecule_delegation_sends", METRIC_COUNTER, NULL,
		       "Tries to hand a delegation to the platform.");
	each_outbox(agent, out, write_delegation_sends);
	metrics_family(out, "molecule_delegation_polls", METRIC_COUNTER, NULL,
		       "Looks at what has become of delegations.");
	each_outbox(agent, out, write_delegation_polls);
}

/* One number of a platform. */
struct number {
	const char *family, *help;
	enum metric_type type;
	double (*read)(const struct platform *platform);
};

static double read_requests(const struct platform *platform)
{
	return (double)platform->stats.requests;
}

static double read_failures(const struct platform *platform)
{
	return (double)platform->stats.failures;
}

static double read_limited(const struct platform *platform)
{
	return (double)platform->stats.limited;
}

static double read_in_flight(const struct platform *platform)
{
	return platform->in_flight;
}

static double read_queued(const struct platform *platform)
{
	return platform->queued;
}

static const struct number numbers[] = {
	{ "molecule_platform_requests", "Requests to a platform.", METRIC_COUNTER, read_requests },
	{ "molecule_platform_failures", "Requests that found it down.", METRIC_COUNTER,
	  read_failures },
	{ "molecule_platform_limited", "Requests that met its rate limit.", METRIC_COUNTER,
	  read_limited },
	{ "molecule_platform_in_flight", "Requests under way.", METRIC_GAUGE, read_in_flight },
	{ "molecule_platform_queued", "Requests that wait for a connection or the budget.",
	  METRIC_GAUGE, read_queued },
};

static void write_number(const struct agent *agent, const struct number *number, struct buffer *out)
{
	metrics_family(out, number->family, number->type, NULL, number->help);
	list_for_each (node, &agent->platforms) {
		const struct platform *platform = list_entry(node, struct platform, node);
		const char *const labels[] = { "platform", platform->label, NULL };

		metrics_sample(out, number->family, number->type, labels, number->read(platform));
	}
}

static void write_latency(const struct agent *agent, struct buffer *out)
{
	const char *family = "molecule_platform_latency_seconds";

	metrics_family(out, family, METRIC_HISTOGRAM, "seconds",
		       "From sending a request to the end of the reply.");
	list_for_each (node, &agent->platforms) {
		const struct platform *platform = list_entry(node, struct platform, node);
		const char *const labels[] = { "platform", platform->label, NULL };

		metrics_histogram(out, family, labels, &platform->stats.latency);
	}
}

static void write_count(struct buffer *out, const char *family, uint64_t count, const char *help)
{
	metrics_family(out, family, METRIC_COUNTER, NULL, help);
	metrics_sample(out, family, METRIC_COUNTER, NULL, (double)count);
}

static void write_plugins(const struct plugin_stats *stats, struct buffer *out)
{
	const char *installs = "molecule_plugin_installs";
	const char *seconds = "molecule_plugin_install_seconds";

	metrics_family(out, installs, METRIC_COUNTER, NULL,
		       "Installations of plugins, by how they ended.");
	for (unsigned kind = ERROR_NONE; kind <= ERROR_KIND_LAST; kind++) {
		const char *result = kind == ERROR_NONE ? "ok" : error_name((enum error_kind)kind);
		const char *const labels[] = { "result", result, NULL };

		if (stats->installs[kind] || kind == ERROR_NONE)
			metrics_sample(out, installs, METRIC_COUNTER, labels,
				       (double)stats->installs[kind]);
	}

	metrics_family(out, seconds, METRIC_HISTOGRAM, "seconds",
		       "From the turn of an installation to its end.");
	metrics_histogram(out, seconds, NULL, &stats->install_seconds);
	write_count(out, "molecule_plugin_rollbacks", stats->rollbacks,
		    "Plugins that went back to the version before.");
	write_count(out, "molecule_plugin_removals", stats->removals, "Plugins that were removed.");
}

void agent_write_metrics(const struct agent *agent, struct buffer *out)
{
	const char *const none[] = { NULL };

	write_states(agent, out);
	write_heartbeats(agent, out);
	write_counts(&agent->context.counts, out);
	write_delegations(agent, out);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		write_number(agent, &numbers[i], out);
	write_latency(agent, out);
	if (agent->context.store)
		store_write_metrics(agent->context.store, out);
	switchboard_write_metrics(agent->context.switchboard, out);
	if (agent->context.pool)
		write_plugins(&agent->context.pool->stats, out);

	metrics_family(out, "molecule_secret_memory_bytes", METRIC_GAUGE, "bytes",
		       "Locked memory for tokens and secrets.");
	metrics_sample(out, "molecule_secret_memory_bytes", METRIC_GAUGE, none,
		       (double)secret_bytes());
}
