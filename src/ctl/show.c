/* SPDX-License-Identifier: MIT */
/*
 * Making values readable, and safe to read.
 */

#include "ctl/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"
#include "base/utf8.h"

#define S ((int64_t)1000)
#define MIN_MS (60 * S)
#define HOUR (60 * MIN_MS)
#define DAY (24 * HOUR)

int64_t show_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void show_safe(struct buffer *out, const char *text, size_t len, bool lines)
{
	uint32_t c;

	while (len) {
		size_t used = utf8_next(text, len, &c);

		if (lines && (c == '\n' || c == '\t'))
			(void)buffer_append_char(out, (char)c);
		else if (c == '\n' || c == '\t' || c == '\r')
			(void)buffer_append_char(out, ' ');
		else if (c == 0xfffd || !utf8_is_safe(c))
			(void)buffer_append_text(out, "\xef\xbf\xbd");
		else
			(void)buffer_append(out, text, used);
		text += used;
		len -= used;
	}
}

void show_text(struct buffer *out, const char *text, size_t len)
{
	show_safe(out, text, len, false);
}

void show_raw(struct buffer *out, struct json_text string)
{
	size_t room_len;
	ssize_t n;
	char *room;

	if (json_text_kind(string) != JSON_STRING ||
	    buffer_reserve(out, string.len, &room, &room_len) < 0)
		return;

	n = json_text_decode(string, room, room_len);
	if (n > 0)
		buffer_commit(out, (size_t)n);
}

void show_words(struct buffer *out, struct json_text string, bool on_terminal)
{
	AUTO(buffer_fini) struct buffer raw = BUFFER_INIT(string.len);

	if (!on_terminal) {
		show_raw(out, string);
		return;
	}

	show_raw(&raw, string);
	if (raw.failed)
		out->failed = raw.failed;
	else if (buffer_len(&raw))
		show_safe(out, buffer_at(&raw), buffer_len(&raw), true);
}

void show_value(struct buffer *out, struct json_text value)
{
	AUTO(buffer_fini) struct buffer raw = BUFFER_INIT(value.len);

	switch (json_text_kind(value)) {
	case JSON_NONE:
	case JSON_NULL:
		return;
	case JSON_STRING:
		show_raw(&raw, value);
		if (raw.failed)
			out->failed = raw.failed;
		else if (buffer_len(&raw))
			show_text(out, buffer_at(&raw), buffer_len(&raw));
		return;
	case JSON_BOOL:
	case JSON_NUMBER:
	case JSON_ARRAY:
	case JSON_OBJECT:
		show_text(out, value.at, value.len);
		return;
	}
}

void show_member(struct buffer *out, struct json_text object, const char *name)
{
	show_value(out, json_text_member(object, name));
}

/* Exactly n digits; -1 for anything else. */
static int digits(const char *text, size_t n)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

/* ".789Z" or "Z" */
static bool parse_fraction(const char *text, size_t len, int64_t *ret_ms)
{
	int64_t scale = 100, ms = 0;

	if (len < 1 || text[len - 1] != 'Z')
		return false;
	if (len > 1 && (text[0] != '.' || len == 2))
		return false;

	for (size_t i = 1; i + 1 < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		ms += scale * (text[i] - '0');
		scale /= 10;
	}

	*ret_ms = ms;
	return true;
}

bool show_parse_time(const char *text, size_t len, int64_t *ret_ms)
{
	static const char shape[] = "....-..-..T..:..:..";
	struct tm tm = { 0 };
	int64_t ms;

	if (len < sizeof(shape))
		return false;

	for (size_t i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] != '.' && text[i] != shape[i])
			return false;

	tm.tm_year = digits(text, 4) - 1900;
	tm.tm_mon = digits(text + 5, 2) - 1;
	tm.tm_mday = digits(text + 8, 2);
	tm.tm_hour = digits(text + 11, 2);
	tm.tm_min = digits(text + 14, 2);
	tm.tm_sec = digits(text + 17, 2);
	if (tm.tm_year < -1900 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 ||
	    tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return false;

	if (!parse_fraction(text + sizeof(shape) - 1, len - (sizeof(shape) - 1), &ms))
		return false;

	*ret_ms = (int64_t)timegm(&tm) * 1000 + ms;
	return true;
}

/* One unit is enough to know how long ago. */
static void show_span(struct buffer *out, int64_t ms)
{
	if (ms < MIN_MS)
		(void)buffer_printf(out, "%" PRId64 "s", ms / S);
	else if (ms < HOUR)
		(void)buffer_printf(out, "%" PRId64 "min", ms / MIN_MS);
	else if (ms < 2 * DAY)
		(void)buffer_printf(out, "%" PRId64 "h", ms / HOUR);
	else
		(void)buffer_printf(out, "%" PRId64 "d", ms / DAY);
}

void show_ago(struct buffer *out, struct json_text time)
{
	char text[64];
	int64_t ms, gone;

	if (json_text_kind(time) != JSON_STRING || json_text_cstring(time, text, sizeof(text)) < 0)
		return;
	if (!show_parse_time(text, strlen(text), &ms))
		return;

	gone = show_now_ms() - ms;
	if (gone >= 0) {
		show_span(out, gone);
		(void)buffer_append_text(out, " ago");
	} else {
		(void)buffer_append_text(out, "in ");
		show_span(out, -gone);
	}
}

void show_duration(struct buffer *out, struct json_text ms)
{
	char text[64];
	int64_t value;

	if (json_text_kind(ms) != JSON_NUMBER || json_text_int64(ms, &value) < 0 || value < 0)
		return;

	(void)buffer_append_text(out, format_duration(text, sizeof(text), value));
}

static const char *colour_code(enum colour colour)
{
	switch (colour) {
	case COLOUR_NONE:
		return NULL;
	case COLOUR_BOLD:
		return "\x1b[1m";
	case COLOUR_GREEN:
		return "\x1b[32m";
	case COLOUR_YELLOW:
		return "\x1b[33m";
	case COLOUR_RED:
		return "\x1b[31m";
	}
	return NULL;
}

void show_begin_colour(struct buffer *out, bool coloured, enum colour colour)
{
	if (coloured && colour != COLOUR_NONE)
		(void)buffer_append_text(out, colour_code(colour));
}

void show_end_colour(struct buffer *out, bool coloured, enum colour colour)
{
	if (coloured && colour != COLOUR_NONE)
		(void)buffer_append_text(out, "\x1b[0m");
}

enum colour show_state_colour(struct json_text state)
{
	static const struct {
		const char *state;
		enum colour colour;
	} colours[] = {
		{ "online", COLOUR_GREEN },       { "running", COLOUR_GREEN },
		{ "joining", COLOUR_YELLOW },     { "starting", COLOUR_YELLOW },
		{ "degraded", COLOUR_YELLOW },    { "paused", COLOUR_YELLOW },
		{ "leaving", COLOUR_YELLOW },     { "stopping", COLOUR_YELLOW },
		{ "unreachable", COLOUR_YELLOW }, { "misrouted", COLOUR_RED },
		{ "auth_lost", COLOUR_RED },      { "removed", COLOUR_RED },
		{ "completed", COLOUR_GREEN },    { "pending", COLOUR_YELLOW },
		{ "failed", COLOUR_RED },         { "unknown", COLOUR_RED },
	};

	if (json_text_kind(state) != JSON_STRING)
		return COLOUR_NONE;

	for (size_t i = 0; i < ARRAY_LEN(colours); i++)
		if (json_text_equals(state, colours[i].state))
			return colours[i].colour;

	return COLOUR_NONE;
}

void show_size(struct buffer *out, int64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)buffer_printf(out, "%lld B", (long long)bytes);
		return;
	}

	/* What would be shown as 1024.0 is one of the next. */
	while (value >= 1023.95 && unit + 1 < ARRAY_LEN(units)) {
		value /= 1024;
		unit++;
	}
	(void)buffer_printf(out, "%.1f %s", value, units[unit]);
}
