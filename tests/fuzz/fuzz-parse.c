/* SPDX-License-Identifier: MIT */
/*
 * The bytes, after one that chooses, as one of the small texts: what is read is
 * in its range, what is refused leaves nothing, and what is written for people
 * can be read back.
 */

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/parse.h"
#include "fuzz.h"

#define UNTOUCHED INT64_C(-4242)

static void check_result(int r, bool touched)
{
	REQUIRE(r == 0 || r == -EINVAL || r == -ERANGE);
	REQUIRE(r == 0 || !touched);
}

static void fuzz_int64(const char *text)
{
	int64_t value = UNTOUCHED;
	char again[32];
	int r;

	r = parse_int64(text, -1000, INT64_MAX, &value);
	check_result(r, value != UNTOUCHED);
	if (r < 0)
		return;

	REQUIRE(value >= -1000);
	(void)snprintf(again, sizeof(again), "%lld", (long long)value);
	REQUIRE(strcmp(text, again) == 0 || strcmp(text, "-0") == 0);
}

static void fuzz_duration(const char *text)
{
	int64_t ms = UNTOUCHED, again;
	char shown[64];
	int r;

	r = parse_duration_ms(text, &ms);
	check_result(r, ms != UNTOUCHED);
	if (r < 0)
		return;

	/* Two units are shown: less than was said, and by less than a part in 24. */
	REQUIRE(ms >= 0);
	REQUIRE(parse_duration_ms(format_duration(shown, sizeof(shown), ms), &again) == 0);
	REQUIRE(again <= ms && ms - again <= ms / 24);
	REQUIRE(strlen(format_duration(shown, 3, ms)) < 3);
}

static void fuzz_size(const char *text)
{
	uint64_t size = (uint64_t)UNTOUCHED;
	int r;

	r = parse_size(text, &size);
	check_result(r, size != (uint64_t)UNTOUCHED);
}

static void fuzz_words(const char *text, size_t len)
{
	char id[UUID_LEN + 1] = "", again[UUID_LEN + 1];
	bool truth;

	(void)parse_bool(text, &truth);
	if (parse_uuid(text, id) == 0)
		REQUIRE(parse_uuid(id, again) == 0 && strcmp(id, again) == 0);
	else
		REQUIRE(!id[0]);
	if (parse_token(text, len) == 0)
		REQUIRE(strlen(text) == len && len <= 512);
}

static void fuzz_retry_after(const char *text, size_t len)
{
	static const int64_t clocks[] = { 0, 1795000000, INT64_MIN, INT64_MAX };
	static const int64_t limits[] = { 0, 1, 3600000, INT64_MAX };

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		int64_t ms = UNTOUCHED;
		int r = parse_retry_after(text, len, clocks[i], limits[i], &ms);

		check_result(r, ms != UNTOUCHED);
		REQUIRE(r < 0 || (ms >= 0 && ms <= limits[i]));
	}
}

static void fuzz_values(const char *bytes, size_t len)
{
	char time_text[TIME_TEXT_SIZE], number_text[NUMBER_TEXT_SIZE];
	double number, again;
	int64_t ms;

	if (len < sizeof(ms))
		return;

	memcpy(&ms, bytes, sizeof(ms));
	REQUIRE(strlen(format_time(time_text, ms)) == TIME_TEXT_SIZE - 1);

	memcpy(&number, bytes, sizeof(number));
	(void)number_format(number_text, number);
	if (number_parse(number_text, &again) == 0 && number == number)
		REQUIRE(again == number);
}

static void fuzz_quote(const char *text, size_t len)
{
	char quoted[64];

	(void)error_quote(quoted, sizeof(quoted), text, len);
	REQUIRE(strlen(quoted) < sizeof(quoted));
	require_shown(quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const char *rest = (const char *)bytes + 1;
	char *text;

	if (!len)
		return 0;

	len--;
	text = strndup(rest, len);
	REQUIRE(text);
	switch (bytes[0] % 8) {
	case 0:
		fuzz_int64(text);
		break;
	case 1:
		fuzz_duration(text);
		break;
	case 2:
		fuzz_size(text);
		break;
	case 3:
		fuzz_words(text, strlen(text));
		break;
	case 4:
	case 5:
		fuzz_retry_after(rest, len);
		break;
	case 6:
		fuzz_values(rest, len);
		break;
	default:
		fuzz_quote(rest, len);
		break;
	}

	free(text);
	return 0;
}
