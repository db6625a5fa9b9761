/* SPDX-License-Identifier: MIT */
#include "base/metrics.h"

#include <locale.h>
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "lib/test.h"

static char *text_of(struct buffer *buffer)
{
	char *text = buffer_take_text(buffer);

	CHECK(text);
	return text;
}

TEST(a_family_says_type_unit_and_help)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1000);
	AUTO(free) char *text = NULL;

	metrics_family(&out, "rpc_seconds", METRIC_HISTOGRAM, "seconds", "Time, as in \"1 s\"\n\\");
	metrics_family(&out, "rpc_calls", METRIC_COUNTER, NULL, "Calls");
	text = text_of(&out);
	CHECK_TEXT(text, "# TYPE rpc_seconds histogram\n"
			 "# UNIT rpc_seconds seconds\n"
			 "# HELP rpc_seconds Time, as in \\\"1 s\\\"\\n\\\\\n"
			 "# TYPE rpc_calls counter\n"
			 "# HELP rpc_calls Calls\n");
}

TEST(samples_have_the_suffix_of_their_type)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1000);
	AUTO(free) char *text = NULL;

	metrics_sample(&out, "calls", METRIC_COUNTER, NULL, 3);
	metrics_sample(&out, "depth", METRIC_GAUGE, (const char *[]){ NULL }, -0.5);
	metrics_sample(&out, "build", METRIC_INFO, (const char *[]){ "version", "0.1", NULL }, 0);
	metrics_end(&out);
	text = text_of(&out);
	CHECK_TEXT(text, "calls_total 3\n"
			 "depth -0.5\n"
			 "build_info{version=\"0.1\"} 1\n"
			 "# EOF\n");
}

TEST(label_values_are_escaped)
{
	const char *const labels[] = { "a", "x\"y\\z\nw", "b", "", NULL };
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(1000);
	AUTO(free) char *text = NULL;

	metrics_sample(&out, "m", METRIC_GAUGE, labels, 1);
	text = text_of(&out);
	CHECK_TEXT(text, "m{a=\"x\\\"y\\\\z\\nw\",b=\"\"} 1\n");
}

TEST(histograms_are_cumulative_and_end_in_infinity)
{
	const char *const labels[] = { "method", "x", NULL };
	struct histogram histogram = { 0 };
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(10000);
	AUTO(free) char *text = NULL;

	histogram_observe(&histogram, 0.0001); /* on the edge: in the bucket */
	histogram_observe(&histogram, 0.0002);
	histogram_observe(&histogram, 7);
	histogram_observe(&histogram, 1e9);
	metrics_histogram(&out, "t", labels, &histogram);
	text = text_of(&out);
	CHECK(strstr(text, "t_bucket{method=\"x\",le=\"0.0001\"} 1\n") == text);
	CHECK(strstr(text, "t_bucket{method=\"x\",le=\"0.00025\"} 2\n"));
	CHECK(strstr(text, "t_bucket{method=\"x\",le=\"5.0\"} 2\n"));
	CHECK(strstr(text, "t_bucket{method=\"x\",le=\"10.0\"} 3\n"));
	CHECK(strstr(text, "t_bucket{method=\"x\",le=\"+Inf\"} 4\n"
			   "t_count{method=\"x\"} 4\n"
			   "t_sum{method=\"x\"} 1000000007.0003\n"));
}

TEST(a_clock_that_goes_backwards_does_not_lower_a_sum)
{
	struct histogram histogram = { 0 };

	histogram_observe(&histogram, 1);
	histogram_observe(&histogram, -5);
	histogram_observe(&histogram, NAN);
	CHECK(histogram.sum_s == 1);
	CHECK_INT(histogram.counts[0], 2);
}

TEST(numbers_are_short_and_read_back_the_same)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 42, "42" },
		{ -7, "-7" },
		{ 0.1, "0.1" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 1e300, "1e+300" },
		{ 9007199254740991.0, "9007199254740991" },
		{ 5e-324, "4.94065645841247e-324" },
		{ INFINITY, "+Inf" },
		{ -INFINITY, "-Inf" },
		{ NAN, "NaN" },
	};
	char text[NUMBER_TEXT_SIZE];
	double back;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_TEXT(number_format(text, cases[i].value), cases[i].text);
		if (isfinite(cases[i].value)) {
			CHECK_INT(number_parse(text, &back), 0);
			CHECK(back == cases[i].value);
		}
	}
	CHECK(number_parse("1e400", &back) < 0);
}

TEST(the_locale_has_no_say)
{
	char text[NUMBER_TEXT_SIZE];
	double back;

	/* Any of them has a comma; without them there is nothing to show. */
	if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8") &&
	    !setlocale(LC_ALL, "de_DE"))
		return;

	CHECK_TEXT(localeconv()->decimal_point, ",");
	CHECK_TEXT(number_format(text, 1.5), "1.5");
	CHECK_INT(number_parse("1.5", &back), 0);
	CHECK(back == 1.5);
	CHECK_TEXT(localeconv()->decimal_point, ",");
}

TEST(a_full_buffer_is_told_by_the_buffer)
{
	struct histogram histogram = { 0 };
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(100);

	metrics_histogram(&out, "t", NULL, &histogram);
	CHECK(out.failed < 0);
}
