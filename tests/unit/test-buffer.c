/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <errno.h>
#include <string.h>

#include "lib/test.h"

static bool holds(const struct buffer *buffer, const char *text)
{
	return buffer_len(buffer) == strlen(text) &&
	       memcmp(buffer_at(buffer), text, strlen(text)) == 0;
}

static bool is_zero(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;

	return true;
}

TEST(what_is_appended_can_be_read)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(100);

	CHECK_INT(buffer_len(&buffer), 0);
	CHECK_INT(buffer_append(&buffer, "ab", 2), 0);
	CHECK_INT(buffer_append_text(&buffer, "cd"), 0);
	CHECK_INT(buffer_append_char(&buffer, 'e'), 0);
	CHECK_INT(buffer_printf(&buffer, "%d-%s", 5, "f"), 0);
	CHECK(holds(&buffer, "abcde5-f"));
}

TEST(the_limit_can_be_reached_and_not_passed)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(4);

	CHECK_INT(buffer_append_text(&buffer, "abcd"), 0);
	CHECK_INT(buffer_append_char(&buffer, 'e'), -EMSGSIZE);
	CHECK(holds(&buffer, "abcd"));
}

TEST(formatted_text_may_fill_a_buffer_to_its_limit)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(512);

	CHECK_INT(buffer_printf(&buffer, "%512s", "x"), 0);
	CHECK_INT(buffer_len(&buffer), 512);
	CHECK_INT(buffer_printf(&buffer, "y"), -EMSGSIZE);
}

TEST(a_failure_lasts_until_it_is_cleared)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(4);

	CHECK_INT(buffer_append_text(&buffer, "abcde"), -EMSGSIZE);
	CHECK_INT(buffer_append_text(&buffer, "a"), -EMSGSIZE);
	CHECK_INT(buffer.failed, -EMSGSIZE);
	CHECK_INT(buffer_len(&buffer), 0);
	buffer_reset(&buffer);
	CHECK_INT(buffer_append_text(&buffer, "a"), 0);
}

TEST(consuming_makes_room_under_the_limit)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(4);

	CHECK_INT(buffer_append_text(&buffer, "abcd"), 0);
	buffer_consume(&buffer, 3);
	CHECK_INT(buffer_append_text(&buffer, "efg"), 0);
	CHECK(holds(&buffer, "defg"));
}

TEST(it_stays_right_while_it_grows_moves_and_shrinks)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(1 << 20);
	unsigned next_in = 0, next_out = 0;

	for (int round = 0; round < 3000; round++) {
		unsigned n = (unsigned)(round * 7919) % 257;

		for (unsigned i = 0; i < n; i++)
			CHECK_INT(buffer_append_char(&buffer, (char)next_in++), 0);
		n = (unsigned)MIN(buffer_len(&buffer), (size_t)((unsigned)round * 104729 % 263));
		for (unsigned i = 0; i < n; i++)
			CHECK_INT(buffer_at(&buffer)[i], (char)next_out++);
		buffer_consume(&buffer, n);
	}
	CHECK_INT(buffer_len(&buffer), next_in - next_out);
}

TEST(what_was_consumed_is_wiped)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(100);

	CHECK_INT(buffer_append_text(&buffer, "secret rest"), 0);
	buffer_consume(&buffer, 6);
	CHECK(is_zero(buffer.bytes, 6));
	CHECK(holds(&buffer, " rest"));
}

TEST(what_was_moved_or_truncated_is_wiped)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(512);
	char filling[500];

	memset(filling, 's', sizeof(filling));
	CHECK_INT(buffer_append(&buffer, filling, sizeof(filling)), 0);
	buffer_consume(&buffer, 490);
	CHECK_INT(buffer_append(&buffer, filling, 20), 0);
	CHECK_INT(buffer.head, 0);
	CHECK(is_zero(buffer.bytes + 30, sizeof(filling) - 30));

	buffer_truncate(&buffer, 5);
	CHECK_INT(buffer_len(&buffer), 5);
	CHECK(is_zero(buffer.bytes + 5, 25));
}

TEST(truncating_clears_a_failure_and_what_came_before_it)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(8);
	size_t mark;

	CHECK_INT(buffer_append_text(&buffer, "keep"), 0);
	mark = buffer_len(&buffer);
	CHECK_INT(buffer_append_text(&buffer, "1234"), 0);
	CHECK_INT(buffer_append_text(&buffer, "5"), -EMSGSIZE);
	buffer_truncate(&buffer, mark);
	CHECK_INT(buffer.failed, 0);
	CHECK(holds(&buffer, "keep"));
}

TEST(reserved_room_counts_only_once_it_is_committed)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(1000);
	size_t room_len;
	char *room;

	CHECK_INT(buffer_reserve(&buffer, 10, &room, &room_len), 0);
	CHECK(room_len >= 10 && room_len <= 1000);
	memcpy(room, "0123456789", 10);
	CHECK_INT(buffer_len(&buffer), 0);
	buffer_commit(&buffer, 4);
	CHECK(holds(&buffer, "0123"));
}

TEST(reserving_never_offers_room_past_the_limit)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(10);
	size_t room_len;
	char *room;

	CHECK_INT(buffer_append_text(&buffer, "1234"), 0);
	CHECK_INT(buffer_reserve(&buffer, 1, &room, &room_len), 0);
	CHECK_INT(room_len, 6);
	CHECK_INT(buffer_reserve(&buffer, 7, &room, &room_len), -EMSGSIZE);
}

TEST(a_large_allocation_is_given_back_on_reset)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(1 << 20);
	char block[4096] = { 0 };

	for (int i = 0; i < 16; i++)
		CHECK_INT(buffer_append(&buffer, block, sizeof(block)), 0);
	buffer_reset(&buffer);
	CHECK(!buffer.bytes);
	CHECK_INT(buffer_append_text(&buffer, "small"), 0);
	buffer_reset(&buffer);
	CHECK(buffer.bytes);
	CHECK_INT(buffer_len(&buffer), 0);
}

TEST(the_text_can_be_taken)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(10);
	AUTO(free) char *text = NULL;
	AUTO(free) char *empty = NULL;

	empty = buffer_take_text(&buffer);
	CHECK_TEXT(empty, "");
	CHECK_INT(buffer_append_text(&buffer, "text"), 0);
	text = buffer_take_text(&buffer);
	CHECK_TEXT(text, "text");
	CHECK_INT(buffer_len(&buffer), 0);

	CHECK(buffer_append_text(&buffer, "far too long for it") < 0);
	CHECK(!buffer_take_text(&buffer));
}

TEST(a_limit_near_the_end_of_memory_does_not_wrap)
{
	AUTO(buffer_fini) struct buffer buffer = BUFFER_INIT(16);
	/* Known at compile time, gcc would take it for a mistake. */
	volatile size_t endless = SIZE_MAX;

	CHECK_INT(buffer_append_text(&buffer, "x"), 0);
	CHECK_INT(buffer_append(&buffer, "", endless), -EMSGSIZE);
	CHECK_INT(buffer_len(&buffer), 1);
}
