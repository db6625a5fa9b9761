/* SPDX-License-Identifier: MIT */
/*
 * The numbers of the whole daemon, ours first.
 */

#include "rpc/hub.h"

#include "base/log.h"
#include "base/metrics.h"

static void write_gauge(struct buffer *out, const char *name, const char *unit, double value,
			const char *help)
{
	metrics_family(out, name, METRIC_GAUGE, unit, help);
	metrics_sample(out, name, METRIC_GAUGE, NULL, value);
}

static void write_counter(struct buffer *out, const char *name, uint64_t value, const char *help)
{
	metrics_family(out, name, METRIC_COUNTER, NULL, help);
	metrics_sample(out, name, METRIC_COUNTER, NULL, (double)value);
}

static void write_process(const struct hub *hub, struct buffer *out)
{
	const char *const version[] = { "version", hub->host.version, NULL };

	metrics_family(out, "molecule_build", METRIC_INFO, NULL, "What runs");
	metrics_sample(out, "molecule_build", METRIC_INFO, version, 1);
	write_gauge(out, "process_start_time_seconds", "seconds",
		    (double)hub->host.started_wall_ms / 1e3, "When the daemon was started");
	write_counter(out, "molecule_log_lost", log_lost(), "Log records that were lost");
}

static void write_loop(const struct loop *loop, struct buffer *out)
{
	metrics_family(out, "molecule_loop_turn_seconds", METRIC_HISTOGRAM, "seconds",
		       "Time spent in a turn of the event loop");
	metrics_histogram(out, "molecule_loop_turn_seconds", NULL, &loop->turns);
	write_counter(out, "molecule_loop_slow_turns", loop->n_slow_turns,
		      "Turns longer than 50 ms");
}

void hub_write_metrics(const struct hub *hub, struct buffer *out)
{
	write_process(hub, out);
	write_loop(hub->host.loop, out);
	write_gauge(out, "molecule_rpc_connections", NULL, hub->n_connections, "Connections now");
	write_gauge(out, "molecule_rpc_calls_waiting", NULL, hub->n_in_flight,
		    "Calls that wait for something");
	stats_write(&hub->stats, &hub->schema, out);
	agent_write_metrics(hub->host.agent, out);
	metrics_end(out);
}
