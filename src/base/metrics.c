/* SPDX-License-Identifier: MIT */
/*
 * OpenMetrics text. Appending to a buffer that has failed does nothing, so the
 * writers return nothing: whoever asked looks at the buffer once, at the end.
 */

#include "base/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "base/util.h"

static const struct {
	double upper_s;
	const char *text; /* canonical, so that series keep their names */
} buckets[HISTOGRAM_BUCKETS] = {
	{ 0.0001, "0.0001" }, { 0.00025, "0.00025" }, { 0.0005, "0.0005" }, { 0.001, "0.001" },
	{ 0.0025, "0.0025" }, { 0.005, "0.005" },     { 0.01, "0.01" },     { 0.025, "0.025" },
	{ 0.05, "0.05" },     { 0.1, "0.1" },         { 0.25, "0.25" },     { 0.5, "0.5" },
	{ 1.0, "1.0" },       { 2.5, "2.5" },         { 5.0, "5.0" },       { 10.0, "10.0" },
	{ 30.0, "30.0" },     { 60.0, "60.0" },       { 120.0, "120.0" },   { 300.0, "300.0" },
};

void histogram_observe(struct histogram *histogram, double seconds)
{
	size_t i = 0;

	/* A clock that went backwards must not make a sum that does. */
	if (isnan(seconds) || seconds < 0)
		seconds = 0;

	while (i < HISTOGRAM_BUCKETS && seconds > buckets[i].upper_s)
		i++;

	histogram->counts[i]++;
	histogram->sum_s += seconds;
}

static const char *type_name(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER:
		return "counter";
	case METRIC_GAUGE:
		return "gauge";
	case METRIC_HISTOGRAM:
		return "histogram";
	case METRIC_INFO:
		return "info";
	}
	return "unknown";
}

static const char *type_suffix(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER:
		return "_total";
	case METRIC_INFO:
		return "_info";
	case METRIC_GAUGE:
	case METRIC_HISTOGRAM:
		return "";
	}
	return "";
}

static void append_escaped(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\')
			(void)buffer_append_text(out, "\\\\");
		else if (*text == '"')
			(void)buffer_append_text(out, "\\\"");
		else if (*text == '\n')
			(void)buffer_append_text(out, "\\n");
		else
			(void)buffer_append_char(out, *text);
	}
}

void metrics_family(struct buffer *out, const char *name, enum metric_type type, const char *unit,
		    const char *help)
{
	(void)buffer_printf(out, "# TYPE %s %s\n", name, type_name(type));
	if (unit)
		(void)buffer_printf(out, "# UNIT %s %s\n", name, unit);
	(void)buffer_printf(out, "# HELP %s ", name);
	append_escaped(out, help);
	(void)buffer_append_char(out, '\n');
}

static void append_label(struct buffer *out, char before, const char *name, const char *value)
{
	(void)buffer_append_char(out, before);
	(void)buffer_append_text(out, name);
	(void)buffer_append_text(out, "=\"");
	append_escaped(out, value);
	(void)buffer_append_char(out, '"');
}

/* The name with its labels, and the space before the value. */
static void append_series(struct buffer *out, const char *name, const char *suffix,
			  const char *const labels[], const char *le)
{
	char before = '{';

	(void)buffer_append_text(out, name);
	(void)buffer_append_text(out, suffix);
	for (; labels && labels[0]; labels += 2, before = ',')
		append_label(out, before, labels[0], labels[1]);
	if (le) {
		append_label(out, before, "le", le);
		before = ',';
	}
	(void)buffer_append_text(out, before == '{' ? " " : "} ");
}

void metrics_sample(struct buffer *out, const char *name, enum metric_type type,
		    const char *const labels[], double value)
{
	char number[NUMBER_TEXT_SIZE];

	append_series(out, name, type_suffix(type), labels, NULL);
	(void)buffer_append_text(out, number_format(number, type == METRIC_INFO ? 1 : value));
	(void)buffer_append_char(out, '\n');
}

void metrics_histogram(struct buffer *out, const char *name, const char *const labels[],
		       const struct histogram *histogram)
{
	char number[NUMBER_TEXT_SIZE];
	uint64_t count = 0;

	for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++) {
		count += histogram->counts[i];
		append_series(out, name, "_bucket", labels,
			      i < HISTOGRAM_BUCKETS ? buckets[i].text : "+Inf");
		(void)buffer_printf(out, "%" PRIu64 "\n", count);
	}

	append_series(out, name, "_count", labels, NULL);
	(void)buffer_printf(out, "%" PRIu64 "\n", count);
	append_series(out, name, "_sum", labels, NULL);
	(void)buffer_append_text(out, number_format(number, histogram->sum_s));
	(void)buffer_append_char(out, '\n');
}

void metrics_end(struct buffer *out)
{
	(void)buffer_append_text(out, "# EOF\n");
}
