/* SPDX-License-Identifier: MIT */
#include "ctl/show.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "ctl/table.h"
#include "ctl/width.h"

#include "lib/test.h"

static const char *taken(struct buffer *buffer)
{
	static char text[4096];
	size_t len = buffer_len(buffer);

	CHECK(!buffer->failed && len < sizeof(text));
	if (len)
		memcpy(text, buffer_at(buffer), len);
	text[len] = '\0';
	buffer_reset(buffer);
	return text;
}

static struct json_text json(const char *text)
{
	return json_text_from(text, strlen(text));
}

TEST(a_width_is_in_columns)
{
	CHECK_INT(width_of("abc", 3), 3);
	CHECK_INT(width_of("\xc3\xbc", 2), 1);
	CHECK_INT(width_of("u\xcc\x88", 3), 1);                    /* u and a combining diaeresis */
	CHECK_INT(width_of("\xe6\x97\xa5\xe6\x9c\xac", 6), 4);     /* two ideographs */
	CHECK_INT(width_of("\xf0\x9f\x9a\x80", 4), 2);             /* a rocket */
	CHECK_INT(width_of("\xe2\x80\x8b", 3), 0);                 /* zero width space */
	CHECK_INT(width_of("\xe1\x84\x80\xe1\x85\xa1", 6), 2);     /* a Hangul syllable in parts */
	CHECK_INT(width_of("\xff\xe6\x97", 3), 3);                 /* not UTF-8 */
	CHECK_INT(width_of("\xf0\x9f", 2), 2);                     /* cut */
	CHECK_INT(width_of("\xed\xa0\x80", 3), 3);                 /* a surrogate */
	CHECK_INT(width_of("\xc0\x80\xf8\x88\x80\x80\x80", 7), 7); /* overlong, beyond Unicode */
}

TEST(nothing_shown_can_command_a_terminal)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(4096);

	show_text(&out, "a\x1b[31mb\x7f\xc2\x9b\n\tc", 13);
	CHECK_TEXT(taken(&out), "a\xef\xbf\xbd[31mb\xef\xbf\xbd\xef\xbf\xbd  c");

	/* Marks that turn the direction of what follows. */
	show_text(&out, "\xe2\x80\xae\xe2\x81\xa6", 6);
	CHECK_TEXT(taken(&out), "\xef\xbf\xbd\xef\xbf\xbd");

	/* Names in any script stay what they are. */
	show_text(&out, "\xd0\xb6\xe6\x97\xa5\xf0\x9f\x9a\x80", 9);
	CHECK_TEXT(taken(&out), "\xd0\xb6\xe6\x97\xa5\xf0\x9f\x9a\x80");
}

TEST(every_value_is_shown_without_its_json)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(4096);

	show_value(&out, json("\"a\\n\\u001b\\\"\""));
	CHECK_TEXT(taken(&out), "a \xef\xbf\xbd\"");
	show_value(&out, json("-1.50"));
	CHECK_TEXT(taken(&out), "-1.50");
	show_value(&out, json("true"));
	CHECK_TEXT(taken(&out), "true");
	show_value(&out, json("null"));
	show_value(&out, json(""));
	show_value(&out, json("\"\""));
	CHECK_TEXT(taken(&out), "");
}

TEST(raw_is_raw)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(4096);

	show_raw(&out, json("\"\\u001b\\n\\u0000x\""));
	CHECK_INT(buffer_len(&out), 4);
	CHECK(memcmp(buffer_at(&out), "\x1b\n\0x", 4) == 0);
}

TEST(times_are_read_strictly)
{
	static const char *const wrong[] = {
		"",
		"2026-11-20",
		"2026-11-20T12:34:56",
		"2026-11-20T12:34:56.Z",
		"2026-11-20T12:34:56.7x9Z",
		"2026-13-20T12:34:56Z",
		"2026-11-00T12:34:56Z",
		"2026-11-20T24:34:56Z",
		"2026-11-20 12:34:56Z",
		"2026-11-20T12:34:56+01:00",
		"20x6-11-20T12:34:56Z",
	};
	char text[TIME_TEXT_SIZE];
	int64_t ms;

	CHECK(show_parse_time("1970-01-01T00:00:01Z", 20, &ms));
	CHECK_INT(ms, 1000);
	CHECK(show_parse_time("2026-11-20T12:34:56.789Z", 24, &ms));
	CHECK_INT(ms, 1795178096789);
	CHECK_TEXT(format_time(text, ms), "2026-11-20T12:34:56.789Z");
	CHECK(show_parse_time("2026-11-20T12:34:56.7891234Z", 28, &ms));
	CHECK_INT(ms, 1795178096789);

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(!show_parse_time(wrong[i], strlen(wrong[i]), &ms));
}

static const char *ago(int64_t ms)
{
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(256);
	char time[TIME_TEXT_SIZE], quoted[TIME_TEXT_SIZE + 2] = "\"";

	(void)strncat(quoted, format_time(time, show_now_ms() - ms), sizeof(quoted) - 2);
	(void)strncat(quoted, "\"", 2);
	show_ago(&out, json(quoted));
	return taken(&out);
}

TEST(how_long_ago_is_told_in_one_unit)
{
	const int64_t s = 1000, min = 60 * s, h = 60 * min, day = 24 * h;

	/* Half a unit from each border: the test takes no such time. */
	CHECK_TEXT(ago(s / 2), "0s ago");
	CHECK_TEXT(ago(59 * s + s / 2), "59s ago");
	CHECK_TEXT(ago(59 * min + min / 2), "59min ago");
	CHECK_TEXT(ago(47 * h + h / 2), "47h ago");
	CHECK_TEXT(ago(3 * day + h), "3d ago");
	CHECK_TEXT(ago(-90 * s), "in 1min");
}

TEST(a_table_has_columns_as_wide_as_their_cells)
{
	static const char *const names[] = { "N", "STATE", "X" };
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(4096);
	AUTO(table_fini) struct table table;

	table_init(&table, names, 3);
	for (int row = 0; row < 2; row++) {
		show_value(table_cell(&table), json(row ? "\"\xe6\x97\xa5\"" : "\"abcd\""));
		show_value(table_cell(&table), json("null"));
		table_colour(&table, COLOUR_RED);
		show_value(table_cell(&table), json("12"));
	}

	table_render(&table, &out, false);
	CHECK_TEXT(taken(&out), "N     STATE  X\n"
				"abcd  -      12\n"
				"\xe6\x97\xa5    -      12\n");
	table_render(&table, &out, true);
	CHECK(strstr(taken(&out), "\x1b[31m-      \x1b[0m12\n"));
}

TEST(a_table_that_could_not_be_made_is_not_shown_by_halves)
{
	static const char *const names[] = { "N" };
	AUTO(buffer_fini) struct buffer out = BUFFER_INIT(4096);
	AUTO(table_fini) struct table table;

	table_init(&table, names, 1);
	(void)table_cell(&table);
	table.text.failed = -ENOMEM;
	table_render(&table, &out, false);
	CHECK_INT(out.failed, -ENOMEM);
	CHECK_INT(buffer_len(&out), 0);
}

TEST(a_state_has_a_colour)
{
	CHECK_INT(show_state_colour(json("\"online\"")), COLOUR_GREEN);
	CHECK_INT(show_state_colour(json("\"auth_lost\"")), COLOUR_RED);
	CHECK_INT(show_state_colour(json("\"new one\"")), COLOUR_NONE);
	CHECK_INT(show_state_colour(json("null")), COLOUR_NONE);
}
