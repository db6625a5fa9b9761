/* SPDX-License-Identifier: MIT */
#include "base/parse.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "lib/test.h"

#define NOW INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */
#define MAX_MS INT64_C(3600000)

TEST(whole_numbers_are_read_in_their_range)
{
	int64_t value = 0;

	CHECK_INT(parse_int64("0", 0, 10, &value), 0);
	CHECK_INT(parse_int64("-9223372036854775808", INT64_MIN, INT64_MAX, &value), 0);
	CHECK(value == INT64_MIN);
	CHECK_INT(parse_int64("9223372036854775807", INT64_MIN, INT64_MAX, &value), 0);
	CHECK(value == INT64_MAX);
	CHECK_INT(parse_int64("11", 0, 10, &value), -ERANGE);
	CHECK_INT(parse_int64("-1", 0, 10, &value), -ERANGE);
	CHECK_INT(parse_int64("9223372036854775808", INT64_MIN, INT64_MAX, &value), -ERANGE);
	CHECK_INT(parse_int64("-9223372036854775809", INT64_MIN, INT64_MAX, &value), -ERANGE);
	CHECK_INT(parse_int64("99999999999999999999999", 0, 10, &value), -ERANGE);
	CHECK(value == INT64_MAX);
}

TEST(what_is_not_a_whole_number_is_refused)
{
	static const char *const bad[] = { "",   "-",   "+1", " 1",  "1 ", "1.0", "1e3", "0x10",
					   "01", "--1", "1-", "-01", "٣",  "1,0", "abc", "1\n" };
	int64_t value = 42;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(parse_int64(bad[i], INT64_MIN, INT64_MAX, &value), -EINVAL);
	CHECK_INT(value, 42);
}

TEST(words_for_yes_and_no)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };
	bool value;

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		CHECK_INT(parse_bool(yes[i], &value), 0);
		CHECK(value);
		CHECK_INT(parse_bool(no[i], &value), 0);
		CHECK(!value);
	}
	CHECK_INT(parse_bool("", &value), -EINVAL);
	CHECK_INT(parse_bool("2", &value), -EINVAL);
	CHECK_INT(parse_bool("yes ", &value), -EINVAL);
}

TEST(durations_are_sums_of_units)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "0", 0 },           { "0s", 0 },
		{ "500ms", 500 },     { "30s", 30000 },
		{ "5min", 300000 },   { "2h", 7200000 },
		{ "1d", 86400000 },   { "1min 30s", 90000 },
		{ "1min30s", 90000 }, { "1h  1ms", 3600001 },
		{ "007s", 7000 },
	};
	int64_t ms;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CHECK_INT(parse_duration_ms(good[i].text, &ms), 0);
		CHECK_INT(ms, good[i].ms);
	}
}

TEST(durations_without_a_unit_or_with_a_wrong_one_are_refused)
{
	static const char *const bad[] = { "",     "30",   "s",    "5m",   "5 min", "1.5s",
					   "-1s",  " 30s", "30s ", "00",   "1y",    "30S",
					   "30s,", "1e3s", "NaNs", "30ss", "1s 2" };
	int64_t ms = 42;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(parse_duration_ms(bad[i], &ms), -EINVAL);
	CHECK_INT(parse_duration_ms("106751991168d", &ms), -ERANGE);
	CHECK_INT(parse_duration_ms("99999999999999999999ms", &ms), -ERANGE);
	CHECK_INT(parse_duration_ms("9223372036854775807ms 1ms", &ms), -ERANGE);
	CHECK_INT(parse_duration_ms("99999999999999999999ms x", &ms), -EINVAL);
	CHECK_INT(ms, 42);
}

TEST(sizes_are_powers_of_1024)
{
	uint64_t size = 0;

	CHECK_INT(parse_size("4096", &size), 0);
	CHECK_INT(size, 4096);
	CHECK_INT(parse_size("64K", &size), 0);
	CHECK_INT(size, 65536);
	CHECK_INT(parse_size("2G", &size), 0);
	CHECK_INT(size, INT64_C(2) << 30);
	CHECK_INT(parse_size("18446744073709551615", &size), 0);
	CHECK(size == UINT64_MAX);
	CHECK_INT(parse_size("18446744073709551616", &size), -ERANGE);
	CHECK_INT(parse_size("18014398509481984K", &size), -ERANGE);
	CHECK_INT(parse_size("64k", &size), -EINVAL);
	CHECK_INT(parse_size("64KB", &size), -EINVAL);
	CHECK_INT(parse_size("K", &size), -EINVAL);
	CHECK_INT(parse_size("-1", &size), -EINVAL);
	CHECK_INT(parse_size("", &size), -EINVAL);
}

TEST(uuids_are_lowered)
{
	char id[UUID_LEN + 1] = "untouched";

	CHECK_INT(parse_uuid("01234567-89AB-cdef-0123-456789ABCDEF", id), 0);
	CHECK_TEXT(id, "01234567-89ab-cdef-0123-456789abcdef");
}

TEST(what_is_no_uuid_is_refused)
{
	static const char *const bad[] = {
		"",
		"01234567-89ab-cdef-0123-456789abcde",
		"01234567-89ab-cdef-0123-456789abcdef0",
		"0123456789abcdef0123456789abcdef",
		"{1234567-89ab-cdef-0123-456789abcde}",
		"01234567-89ab-cdef-0123-456789abcdeg",
		"01234567089ab-cdef-0123-456789abcdef",
		"01234567-89ab-cdef-0123-456789abcd/.",
	};
	char id[UUID_LEN + 1] = "untouched";

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(parse_uuid(bad[i], id), -EINVAL);
	CHECK_TEXT(id, "untouched");
}

TEST(tokens_are_visible_ascii_of_a_sane_length)
{
	char text[600];

	memset(text, 't', sizeof(text));
	CHECK_INT(parse_token(text, 8), 0);
	CHECK_INT(parse_token(text, 512), 0);
	CHECK_INT(parse_token(text, 7), -EINVAL);
	CHECK_INT(parse_token(text, 513), -EINVAL);
	CHECK_INT(parse_token("", 0), -EINVAL);
	CHECK_INT(parse_token("token with space", 16), -EINVAL);
	CHECK_INT(parse_token("token\nnewline", 13), -EINVAL);
	CHECK_INT(parse_token("token\0nul.....", 14), -EINVAL);
	CHECK_INT(parse_token("t\xc3\xb6kentoken", 11), -EINVAL);
	CHECK_INT(parse_token("ROTATE_TO_REVEAL_TOKEN", 22), -EINVAL);
	CHECK_INT(parse_token("<ROTATE_TO_REVEAL_TOKEN>", 24), -EINVAL);
	CHECK_INT(parse_token("ROTATE_TO_REVEAL", 16), 0);
}

static int64_t retry_after(const char *text)
{
	int64_t ms = -1;
	int r = parse_retry_after(text, strlen(text), NOW, MAX_MS, &ms);

	return r < 0 ? r : ms;
}

TEST(retry_after_in_seconds_is_capped)
{
	CHECK_INT(retry_after("0"), 0);
	CHECK_INT(retry_after("1"), 1000);
	CHECK_INT(retry_after(" 120\t"), 120000);
	CHECK_INT(retry_after("007"), 7000);
	CHECK_INT(retry_after("3601"), MAX_MS);
	CHECK_INT(retry_after("9223372036854775807"), MAX_MS);
	CHECK_INT(retry_after("99999999999999999999999999999999999999999"), MAX_MS);
}

TEST(retry_after_that_is_no_number_and_no_date_is_refused)
{
	static const char *const bad[] = { "",      " ",    "-1",  "+1",       "1.5",  "1e400",
					   "1e2",   "NaN",  "inf", "Infinity", "0x10", "1 2",
					   "1,000", "soon", "1s",  "٣" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(retry_after(bad[i]), -EINVAL);
}

TEST(retry_after_reads_all_three_forms_of_date)
{
	CHECK_INT(retry_after("Sun, 06 Nov 1994 08:50:37 GMT"), 60000);
	CHECK_INT(retry_after("Sunday, 06-Nov-94 08:50:37 GMT"), 60000);
	CHECK_INT(retry_after("Sun Nov  6 08:50:37 1994"), 60000);
	CHECK_INT(retry_after("Sun Nov 06 08:50:37 1994"), 60000);
	CHECK_INT(retry_after("Sun, 06 Nov 1994 08:49:36 GMT"), 0);
	CHECK_INT(retry_after("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
	CHECK_INT(retry_after("Fri, 31 Dec 9999 23:59:60 GMT"), MAX_MS);
	CHECK_INT(retry_after("Thu, 29 Feb 1996 00:00:00 GMT"), MAX_MS);
}

TEST(a_year_of_two_digits_is_at_most_fifty_ahead)
{
	static const char past[] = "Monday, 01-Jan-61 00:00:00 GMT";
	static const char ahead[] = "Monday, 01-Jan-60 00:00:00 GMT";
	int64_t ms;

	/* It is 1994: 44 is 50 years ahead, 45 would be 51. */
	CHECK_INT(retry_after("Sunday, 06-Nov-44 08:49:37 GMT"), MAX_MS);
	CHECK_INT(retry_after("Sunday, 06-Nov-45 08:49:37 GMT"), 0);
	CHECK_INT(retry_after("Sunday, 06-Nov-95 08:49:37 GMT"), MAX_MS);

	/* It is 2010: now the other century is the one behind. */
	CHECK_INT(parse_retry_after(past, strlen(past), 1275000000, MAX_MS, &ms), 0);
	CHECK_INT(ms, 0);
	CHECK_INT(parse_retry_after(ahead, strlen(ahead), 1275000000, MAX_MS, &ms), 0);
	CHECK_INT(ms, MAX_MS);
}

TEST(dates_that_do_not_exist_are_refused)
{
	static const char *const bad[] = {
		"Thu, 29 Feb 1995 00:00:00 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 06 Nov 1994 08:49:37 CET",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Son, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMTx",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT",
		"Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sun Nov  0 08:49:37 1994",
		"Sun Nov 6 08:49:37 1994",
		"Sun, ",
		"Sun",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(retry_after(bad[i]), -EINVAL);
}

TEST(a_wall_clock_gone_mad_does_no_harm)
{
	static const char date[] = "Sunday, 06-Nov-94 08:49:37 GMT";
	static const int64_t clocks[] = { INT64_MIN, INT64_MAX, 0, -1 };
	int64_t ms;

	for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
		CHECK_INT(parse_retry_after(date, strlen(date), clocks[i], MAX_MS, &ms), 0);
		CHECK(ms >= 0 && ms <= MAX_MS);
	}
}

TEST(times_are_written_as_rfc_3339)
{
	char text[TIME_TEXT_SIZE];

	CHECK_TEXT(format_time(text, 0), "1970-01-01T00:00:00.000Z");
	CHECK_TEXT(format_time(text, NOW * 1000 + 7), "1994-11-06T08:49:37.007Z");
	CHECK_TEXT(format_time(text, -1), "1969-12-31T23:59:59.999Z");
	CHECK_TEXT(format_time(text, INT64_C(951782400000)), "2000-02-29T00:00:00.000Z");
	CHECK_TEXT(format_time(text, INT64_MAX), "9999-12-31T23:59:59.999Z");
	CHECK_TEXT(format_time(text, INT64_MIN), "0000-01-01T00:00:00.000Z");
}

TEST(every_day_is_written_as_the_c_library_has_it)
{
	char ours[TIME_TEXT_SIZE], theirs[64];

	for (int64_t day = -800000; day < 2900000; day += 17) {
		time_t t = (time_t)day * 86400 + 12345;
		struct tm tm;

		CHECK(gmtime_r(&t, &tm));
		if (tm.tm_year + 1900 < 0 || tm.tm_year + 1900 > 9999)
			continue;
		CHECK(strftime(theirs, sizeof(theirs), "-%m-%dT%H:%M:%S.000Z", &tm) > 0);
		CHECK_TEXT(format_time(ours, (int64_t)t * 1000) + 4, theirs);
	}
}

TEST(durations_are_written_for_people_and_read_back)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "0s" },           { -5, "0s" },
		{ 1, "1ms" },          { 999, "999ms" },
		{ 1000, "1s" },        { 1500, "1s 500ms" },
		{ 90000, "1min 30s" }, { 3600000, "1h" },
		{ 3601000, "1h" },     { 5400000, "1h 30min" },
		{ 86400000, "1d" },    { 100000000, "1d 3h" },
	};
	char text[32];
	int64_t ms;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_TEXT(format_duration(text, sizeof(text), cases[i].ms), cases[i].text);
		CHECK_INT(parse_duration_ms(text, &ms), 0);
		CHECK(ms <= MAX(cases[i].ms, INT64_C(0)));
	}
	CHECK_TEXT(format_duration(text, 5, 90000), "1min");
	(void)format_duration(text, sizeof(text), INT64_MAX);
}
