/* SPDX-License-Identifier: MIT */
/*
 * The local socket's numbers as OpenMetrics.
 */

#include "rpc/stats.h"

#define PREFIX "molecule_rpc_"

static void write_kinds(struct buffer *out, const char *method,
			const uint64_t counts[static ERROR_KIND_LAST + 1])
{
	for (int kind = 0; kind <= ERROR_KIND_LAST; kind++) {
		const char *result = kind ? error_name((enum error_kind)kind) : "ok";
		const char *const labels[] = { "method", method, "result", result, NULL };

		if (counts[kind])
			metrics_sample(out, PREFIX "calls", METRIC_COUNTER, labels,
				       (double)counts[kind]);
	}
}

static void write_counter(struct buffer *out, const char *name, const char *unit, uint64_t value,
			  const char *help)
{
	metrics_family(out, name, METRIC_COUNTER, unit, help);
	metrics_sample(out, name, METRIC_COUNTER, NULL, (double)value);
}

static void write_refused(const struct stats *stats, struct buffer *out)
{
	static const char *const of_all[] = { "limit", "all", NULL };
	static const char *const of_uid[] = { "limit", "uid", NULL };

	metrics_family(out, PREFIX "refused_connections", METRIC_COUNTER, NULL,
		       "Connections over a limit");
	metrics_sample(out, PREFIX "refused_connections", METRIC_COUNTER, of_all,
		       (double)stats->n_over_limit);
	metrics_sample(out, PREFIX "refused_connections", METRIC_COUNTER, of_uid,
		       (double)stats->n_over_uid_limit);
}

void stats_write(const struct stats *stats, const struct schema *schema, struct buffer *out)
{
	metrics_family(out, PREFIX "calls", METRIC_COUNTER, NULL, "Calls by method and result");
	for (size_t i = 0; i < schema->n; i++)
		write_kinds(out, schema->list[i]->name, stats->calls[i]);
	write_kinds(out, "", stats->nonsense);

	metrics_family(out, PREFIX "latency_seconds", METRIC_HISTOGRAM, "seconds",
		       "From the turn that saw a request to its answer");
	metrics_histogram(out, PREFIX "latency_seconds", NULL, &stats->latency);

	write_counter(out, PREFIX "connections_accepted", NULL, stats->n_accepted,
		      "Connections taken");
	write_refused(stats, out);
	write_counter(out, PREFIX "partial_timeouts", NULL, stats->n_partial_timeouts,
		      "Connections closed within a message");
	write_counter(out, PREFIX "output_overflows", NULL, stats->n_output_overflows,
		      "Connections closed since nobody read");
	write_counter(out, PREFIX "event_overflows", NULL, stats->n_event_overflows,
		      "Subscriptions ended since nobody read");
	write_counter(out, PREFIX "events", NULL, stats->events, "Events sent to subscribers");
	write_counter(out, PREFIX "received_bytes", "bytes", stats->bytes_in, "Bytes of requests");
	write_counter(out, PREFIX "sent_bytes", "bytes", stats->bytes_out,
		      "Bytes of answers and events");
}
