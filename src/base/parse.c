/* SPDX-License-Identifier: MIT */
/*
 * Readers of small texts. None of them asks the locale, and none can overflow:
 * what does not fit is -ERANGE.
 */

#include "base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define MS_PER_DAY INT64_C(86400000)
#define TIME_FIRST_MS INT64_C(-62167219200000) /* 0000-01-01: the years that four digits hold */
#define TIME_LAST_MS INT64_C(253402300799999)  /* 9999-12-31 */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits at *at up to end; at least one. Stops at the end of them; -ERANGE past 64 bits. */
static int take_digits(const char **at, const char *end, uint64_t *ret)
{
	bool too_large = false;
	uint64_t value = 0;

	if (*at == end || !is_digit(**at))
		return -EINVAL;

	for (; *at < end && is_digit(**at); (*at)++)
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
		    __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value))
			too_large = true;

	*ret = value;
	return too_large ? -ERANGE : 0;
}

int parse_int64(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	const char *at = text + (text[0] == '-'), *digits = at, *end = at + strlen(at);
	uint64_t value;
	int64_t result;
	int r;

	r = take_digits(&at, end, &value);
	if (r == -EINVAL || at != end || (digits[0] == '0' && digits[1]))
		return -EINVAL;
	if (r < 0)
		return r;

	if (digits == text) {
		if (value > INT64_MAX)
			return -ERANGE;
		result = (int64_t)value;
	} else {
		if (value > (uint64_t)INT64_MAX + 1)
			return -ERANGE;
		result = value ? -(int64_t)(value - 1) - 1 : 0;
	}

	if (result < min || result > max)
		return -ERANGE;

	*ret = result;
	return 0;
}

int parse_bool(const char *text, bool *ret)
{
	static const char *const words[][2] = {
		{ "no", "yes" },
		{ "false", "true" },
		{ "off", "on" },
		{ "0", "1" },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		for (size_t value = 0; value < 2; value++)
			if (strcmp(text, words[i][value]) == 0) {
				*ret = value;
				return 0;
			}

	return -EINVAL;
}

static const struct duration_unit {
	const char *name;
	int64_t ms;
} duration_units[] = {
	{ "d", MS_PER_DAY }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 }, { "ms", 1 },
};

/* The unit at *at, which is the whole run of letters there. */
static int take_unit(const char **at, int64_t *ret_ms)
{
	size_t len = 0;

	while ((*at)[len] >= 'a' && (*at)[len] <= 'z')
		len++;

	for (size_t i = 0; i < ARRAY_LEN(duration_units); i++)
		if (strlen(duration_units[i].name) == len &&
		    memcmp(*at, duration_units[i].name, len) == 0) {
			*at += len;
			*ret_ms = duration_units[i].ms;
			return 0;
		}

	return -EINVAL;
}

int parse_duration_ms(const char *text, int64_t *ret_ms)
{
	const char *end = text + strlen(text);
	bool too_large = false;
	int64_t sum = 0;

	if (strcmp(text, "0") == 0) {
		*ret_ms = 0;
		return 0;
	}

	do {
		uint64_t n;
		int64_t part;
		int r;

		r = take_digits(&text, end, &n);
		if (r == -EINVAL || take_unit(&text, &part) < 0)
			return -EINVAL;
		if (r < 0 || __builtin_mul_overflow(n, part, &part) ||
		    __builtin_add_overflow(sum, part, &sum))
			too_large = true;

		/* Between two parts, not behind the last one. */
		while (text[0] == ' ' && text[1])
			text++;
	} while (text < end);

	if (too_large)
		return -ERANGE;

	*ret_ms = sum;
	return 0;
}

int parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *end = text + strlen(text), *unit;
	uint64_t value;
	int r;

	r = take_digits(&text, end, &value);
	if (r == -EINVAL)
		return r;

	if (text < end) {
		unit = memchr(units, *text, strlen(units));
		if (!unit || text + 1 != end)
			return -EINVAL;
		if (__builtin_mul_overflow(value, UINT64_C(1) << (10 * (unit - units + 1)), &value))
			r = -ERANGE;
	}
	if (r < 0)
		return r;

	*ret = value;
	return 0;
}

int parse_uuid(const char *text, char dst[static UUID_LEN + 1])
{
	char lower[UUID_LEN + 1];
	size_t i;

	for (i = 0; i < UUID_LEN && text[i]; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		char c = text[i];

		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		if (dash ? c != '-' : !is_digit(c) && !(c >= 'a' && c <= 'f'))
			return -EINVAL;
		lower[i] = c;
	}
	if (i < UUID_LEN || text[i])
		return -EINVAL;

	lower[UUID_LEN] = '\0';
	memcpy(dst, lower, sizeof(lower));
	return 0;
}

int parse_token(const char *text, size_t len)
{
	static const char marker[] = "ROTATE_TO_REVEAL_TOKEN";

	if (len < 8 || len > 512)
		return -EINVAL;

	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return -EINVAL;

	return memmem(text, len, marker, strlen(marker)) ? -EINVAL : 0;
}

/* A cursor over a date: each step takes what it names, or marks the date as bad. */
struct date {
	const char *at, *end;
	bool bad;
	int year, month, day, hour, minute, second;
};

static void date_expect(struct date *date, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(date->end - date->at) < len || memcmp(date->at, text, len) != 0)
		date->bad = true;
	else
		date->at += len;
}

/* Exactly n digits, up to a limit. */
static int date_number(struct date *date, int n, int min, int max)
{
	int value = 0;

	if (date->end - date->at < n)
		date->bad = true;

	for (int i = 0; i < n && !date->bad; i++, date->at++) {
		if (!is_digit(*date->at))
			date->bad = true;
		value = value * 10 + (*date->at - '0');
	}
	if (value < min || value > max)
		date->bad = true;

	return date->bad ? min : value;
}

/* One of the names; its place among them. */
static int date_name(struct date *date, const char *const names[], int n)
{
	for (int i = 0; i < n; i++) {
		size_t len = strlen(names[i]);

		if ((size_t)(date->end - date->at) >= len && memcmp(date->at, names[i], len) == 0) {
			date->at += len;
			return i;
		}
	}

	date->bad = true;
	return 0;
}

static void date_month(struct date *date)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

	date->month = date_name(date, months, 12) + 1;
}

static void date_time(struct date *date)
{
	date->hour = date_number(date, 2, 0, 23);
	date_expect(date, ":");
	date->minute = date_number(date, 2, 0, 59);
	date_expect(date, ":");
	date->second = date_number(date, 2, 0, 60); /* a leap second */
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static void date_imf(struct date *date)
{
	static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

	(void)date_name(date, days, 7);
	date_expect(date, ", ");
	date->day = date_number(date, 2, 1, 31);
	date_expect(date, " ");
	date_month(date);
	date_expect(date, " ");
	date->year = date_number(date, 4, 0, 9999);
	date_expect(date, " ");
	date_time(date);
	date_expect(date, " GMT");
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static void date_rfc850(struct date *date)
{
	static const char *const days[] = { "Monday", "Tuesday",  "Wednesday", "Thursday",
					    "Friday", "Saturday", "Sunday" };

	(void)date_name(date, days, 7);
	date_expect(date, ", ");
	date->day = date_number(date, 2, 1, 31);
	date_expect(date, "-");
	date_month(date);
	date_expect(date, "-");
	date->year = date_number(date, 2, 0, 99);
	date_expect(date, " ");
	date_time(date);
	date_expect(date, " GMT");
}

/* Sun Nov  6 08:49:37 1994 */
static void date_asctime(struct date *date)
{
	static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

	(void)date_name(date, days, 7);
	date_expect(date, " ");
	date_month(date);
	date_expect(date, " ");
	if (date->at < date->end && *date->at == ' ') {
		date->at++;
		date->day = date_number(date, 1, 1, 9);
	} else {
		date->day = date_number(date, 2, 1, 31);
	}
	date_expect(date, " ");
	date_time(date);
	date_expect(date, " ");
	date->year = date_number(date, 4, 0, 9999);
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static int64_t days_from_date(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static void date_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t day_of_era = z - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted_month = (5 * day_of_year + 2) / 153;

	*ret_day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
	*ret_month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
	*ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* RFC 9110 5.6.7: two digits that would be more than 50 years ahead are in the past. */
static int full_year(int two_digits, int64_t now_s)
{
	int64_t first = TIME_FIRST_MS / 1000, last = TIME_LAST_MS / 1000;
	int64_t now = now_s < first ? first : MIN(now_s, last);
	int this_year, month, day, year;

	date_from_days(floor_div(now, MS_PER_DAY / 1000), &this_year, &month, &day);
	year = this_year / 100 * 100 + two_digits;
	if (year > this_year + 50)
		year -= 100;
	else if (year <= this_year - 50)
		year += 100;
	return year;
}

static bool day_exists(const struct date *date)
{
	int year, month, day;

	date_from_days(days_from_date(date->year, date->month, date->day), &year, &month, &day);
	return month == date->month;
}

static int parse_http_date(const char *text, size_t len, int64_t now_s, int64_t *ret_s)
{
	static void (*const forms[])(struct date *) = { date_imf, date_rfc850, date_asctime };

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct date date = { .at = text, .end = text + len };

		forms[i](&date);
		if (date.bad || date.at != date.end)
			continue;
		if (forms[i] == date_rfc850)
			date.year = full_year(date.year, now_s);
		if (!day_exists(&date))
			return -EINVAL;

		*ret_s = days_from_date(date.year, date.month, date.day) * 86400 +
			 date.hour * 3600 + date.minute * 60 + date.second;
		return 0;
	}

	return -EINVAL;
}

int parse_retry_after(const char *text, size_t len, int64_t now_s, int64_t max_ms, int64_t *ret_ms)
{
	const char *end = text + len;
	int64_t wait_ms, then_s;
	uint64_t seconds;
	int r;

	while (text < end && (*text == ' ' || *text == '\t'))
		text++;
	while (text < end && (end[-1] == ' ' || end[-1] == '\t'))
		end--;

	if (text < end && is_digit(*text)) {
		r = take_digits(&text, end, &seconds);
		if (text != end)
			return -EINVAL;
		if (r < 0 || __builtin_mul_overflow(seconds, 1000, &wait_ms))
			wait_ms = INT64_MAX;
	} else {
		r = parse_http_date(text, (size_t)(end - text), now_s, &then_s);
		if (r < 0)
			return r;
		if (then_s <= now_s)
			wait_ms = 0;
		else if (__builtin_sub_overflow(then_s, now_s, &wait_ms) ||
			 __builtin_mul_overflow(wait_ms, 1000, &wait_ms))
			wait_ms = INT64_MAX;
	}

	*ret_ms = MIN(wait_ms, max_ms);
	return 0;
}

/* Writes that many digits and what comes after them; returns where to go on. */
static char *put_digits(char *dst, int number, int digits, char after)
{
	for (int i = digits - 1; i >= 0; i--, number /= 10)
		dst[i] = (char)('0' + number % 10);
	dst[digits] = after;
	return dst + digits + 1;
}

/* Answers that are served a hundred thousand times a second have a time in them: no printf(). */
char *format_time(char dst[static TIME_TEXT_SIZE], int64_t unix_ms)
{
	int64_t ms = unix_ms < TIME_FIRST_MS ? TIME_FIRST_MS : MIN(unix_ms, TIME_LAST_MS);
	int64_t days = floor_div(ms, MS_PER_DAY);
	int of_day = (int)(ms - days * MS_PER_DAY);
	int year, month, day;
	char *p = dst;

	date_from_days(days, &year, &month, &day);
	p = put_digits(p, year, 4, '-');
	p = put_digits(p, month, 2, '-');
	p = put_digits(p, day, 2, 'T');
	p = put_digits(p, of_day / 3600000, 2, ':');
	p = put_digits(p, of_day / 60000 % 60, 2, ':');
	p = put_digits(p, of_day / 1000 % 60, 2, '.');
	p = put_digits(p, of_day % 1000, 3, 'Z');
	*p = '\0';
	return dst;
}

char *format_duration(char *dst, size_t dst_size, int64_t ms)
{
	int64_t left = MAX(ms, (int64_t)0);
	size_t i = 0;

	while (i < ARRAY_LEN(duration_units) && left < duration_units[i].ms)
		i++;

	if (i == ARRAY_LEN(duration_units)) {
		(void)snprintf(dst, dst_size, "0s");
		return dst;
	}

	if (i + 1 < ARRAY_LEN(duration_units) &&
	    left % duration_units[i].ms >= duration_units[i + 1].ms)
		(void)snprintf(dst, dst_size, "%lld%s %lld%s",
			       (long long)(left / duration_units[i].ms), duration_units[i].name,
			       (long long)(left % duration_units[i].ms / duration_units[i + 1].ms),
			       duration_units[i + 1].name);
	else
		(void)snprintf(dst, dst_size, "%lld%s", (long long)(left / duration_units[i].ms),
			       duration_units[i].name);

	return dst;
}
