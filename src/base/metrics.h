/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Numbers for OpenMetrics (https://openmetrics.io, content type
 * application/openmetrics-text; version=1.0.0). Each module keeps its own
 * counters as plain fields and writes them out when asked; this is the writer,
 * and the one thing that needs state of its own: histograms.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* Buckets in seconds: 0.1 ms to 5 min, from a turn of the loop to an agent that thinks. */
#define HISTOGRAM_BUCKETS 20

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS + 1]; /* the last one is +Inf; not cumulative */
	double sum_s;
};

void histogram_observe(struct histogram *histogram, double seconds);

enum metric_type {
	METRIC_COUNTER, /* samples are written with the suffix _total */
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
	METRIC_INFO, /* written with the suffix _info and the value 1 */
};

/* "# TYPE", "# HELP", and "# UNIT" when unit is not NULL. Once a family, before its samples. */
void metrics_family(struct buffer *out, const char *name, enum metric_type type, const char *unit,
		    const char *help);

/* labels are pairs of name and value, ended by NULL, or NULL; values are escaped. */
void metrics_sample(struct buffer *out, const char *name, enum metric_type type,
		    const char *const labels[], double value);
void metrics_histogram(struct buffer *out, const char *name, const char *const labels[],
		       const struct histogram *histogram);

/* "# EOF". */
void metrics_end(struct buffer *out);
