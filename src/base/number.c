/* SPDX-License-Identifier: MIT */
/*
 * printf() and strtod() under the C locale.
 */

#include "base/number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static locale_t c_locale;

static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* (locale_t)0 without memory: uselocale() then changes nothing. */
static locale_t use_c_locale(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, make_c_locale);
	return uselocale(c_locale);
}

static double read_back(const char *text)
{
	return strtod(text, NULL);
}

char *number_format(char dst[static NUMBER_TEXT_SIZE], double value)
{
	locale_t before;

	if (isnan(value) || isinf(value)) {
		(void)snprintf(dst, NUMBER_TEXT_SIZE, "%s",
			       isnan(value) ? "NaN" : (value > 0 ? "+Inf" : "-Inf"));
		return dst;
	}

	/* 2^53: up to there every integer is itself. */
	if (fabs(value) < 9007199254740992.0 && value == trunc(value)) {
		(void)snprintf(dst, NUMBER_TEXT_SIZE, "%lld", (long long)value);
		return dst;
	}

	before = use_c_locale();
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(dst, NUMBER_TEXT_SIZE, "%.*g", digits, value);
		if (read_back(dst) == value)
			break;
	}
	(void)uselocale(before);
	return dst;
}

int number_parse(const char *text, double *ret)
{
	locale_t before = use_c_locale();
	double value = read_back(text);

	(void)uselocale(before);
	if (isinf(value))
		return -ERANGE;

	*ret = value;
	return 0;
}
