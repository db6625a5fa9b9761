/* SPDX-License-Identifier: MIT */
#include "agent/switchboard.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "lib/test.h"

#define SLOW "11111111-1111-4111-8111-111111111111"
#define HEALTHY "22222222-2222-4222-8222-222222222222"
#define HERE "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define ELSEWHERE "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
#define N_MOST 4096
#define TURNS 200

static struct loop loop;
static struct switchboard *board;
static struct line lines[N_MOST];
static int n_lines, n_opened;
static struct error why;

static void on_open(struct line *line)
{
	CHECK(line->open);
	n_opened++;
}

static void begin(unsigned max_calls, unsigned max_waiting)
{
	struct call_settings settings;

	n_lines = n_opened = 0;
	CHECK_INT(loop_init(&loop), 0);
	CHECK_INT(switchboard_new(&loop, &board, NULL), 0);
	call_settings_init(&settings);
	if (max_calls) {
		settings.max_calls = max_calls;
		settings.max_waiting = max_waiting;
	}
	switchboard_configure(board, &settings);
}

static void settle(void)
{
	for (int i = 0; i < TURNS; i++)
		(void)ev_run(loop.ev, EVRUN_NOWAIT);
}

static void end(void)
{
	for (int i = 0; i < n_lines; i++)
		line_close(&lines[i]);
	CHECK_INT(board->n_open, 0);
	CHECK_INT(board->n_waiting, 0);
	CHECK_INT(board->bytes, 0);
	for (int kind = 0; kind <= PARTY_KIND_LAST; kind++)
		CHECK(list_empty(&board->trunks.parties[kind]));
	switchboard_free(board);
	loop_fini(&loop);
}

static struct line *ask_as(const char *peer, const char *workspace, uid_t uid, size_t bytes)
{
	struct line *line = &lines[n_lines];
	int r;

	CHECK(n_lines < N_MOST);
	line_init(line, on_open);
	why = (struct error){ 0 };
	r = line_request(line, board,
			 &(struct line_spec){
				 .peer = peer, .workspace = workspace, .uid = uid, .bytes = bytes },
			 &why);
	if (r < 0) {
		CHECK_INT(why.kind, ERROR_OVERLOADED);
		return NULL;
	}

	n_lines++;
	return line;
}

static struct line *ask(const char *peer)
{
	return ask_as(peer, HERE, 1000, 100);
}

/* Until there is no more room for him; how many found some. */
static int flood_as(const char *peer, const char *workspace, uid_t uid)
{
	int n = 0;

	while (ask_as(peer, workspace, uid, 100)) {
		settle();
		n++;
	}
	return n;
}

static unsigned n_open_to(const char *peer)
{
	unsigned n = 0;

	list_for_each (node, &board->trunks.parties[PARTY_PEER]) {
		const struct party *party = list_entry(node, struct party, node);

		if (strcmp(party->id, peer) == 0)
			n = party->n_open;
	}
	return n;
}

static bool opens_at_once(const char *peer, const char *workspace, uid_t uid)
{
	struct line *line = ask_as(peer, workspace, uid, 100);

	settle();
	return line && line->open;
}

static char *peer_name(int n)
{
	static char name[UUID_LEN + 1];

	(void)snprintf(name, sizeof(name), "33333333-3333-4333-8333-%012d", n);
	return name;
}

TEST(a_thousand_calls_may_be_out_to_one_peer)
{
	begin(0, 0);
	for (int i = 0; i < 1000; i++)
		CHECK(ask(SLOW));
	settle();
	CHECK_INT(n_opened, 1000);
	end();
}

TEST(a_peer_that_takes_all_it_may_leaves_as_much_to_others)
{
	begin(8, 8);
	CHECK_INT(flood_as(SLOW, HERE, 1000), 8);
	CHECK_INT(n_open_to(SLOW), 4);
	CHECK_HAS(why.text, "4 calls to it are out and 4 wait already");
	CHECK_HAS(why.text, "max_calls, max_waiting");
	CHECK_INT(board->stats.n_refused[PARTY_PEER], 1);
	CHECK(opens_at_once(HEALTHY, HERE, 1000));
	CHECK(opens_at_once(HEALTHY, HERE, 1000));
	end();
}

TEST(what_ends_makes_room_for_who_waits_behind_it)
{
	struct line *first;

	begin(8, 8);
	first = &lines[0];
	CHECK_INT(flood_as(SLOW, HERE, 1000), 8);
	CHECK(!lines[4].open);
	line_close(first);
	settle();
	CHECK(lines[4].open);
	CHECK(!lines[5].open);
	CHECK_INT(n_open_to(SLOW), 4);
	end();
}

/* Each takes half of what the others have left. */
TEST(some_peers_that_take_all_they_may_leave_something_to_others)
{
	begin(256, 128);
	for (int i = 0; i < 6; i++)
		(void)flood_as(peer_name(i), HERE, (uid_t)i);
	CHECK_INT(board->n_open, 252);
	CHECK(opens_at_once(HEALTHY, HERE, 1000));
	CHECK(opens_at_once(HEALTHY, HERE, 1000));
	end();
}

/* Those who have more than others get nothing more until they have not. */
TEST(what_ends_goes_to_who_has_less)
{
	begin(16, 64);
	(void)flood_as(SLOW, HERE, 1000);
	CHECK_INT(n_open_to(SLOW), 8);
	for (int i = 0; i < 6; i++)
		CHECK(ask(HEALTHY));
	settle();
	CHECK_INT(n_open_to(HEALTHY), 4);
	for (int i = 0; i < 2; i++)
		line_close(&lines[i]);
	settle();
	CHECK_INT(n_open_to(SLOW), 6);
	CHECK_INT(n_open_to(HEALTHY), 5);
	end();
}

TEST(a_caller_of_many_peers_leaves_an_eighth_to_others)
{
	int n = 0;

	begin(64, 0);
	while (ask(peer_name(n))) {
		settle();
		n++;
	}
	CHECK_INT(n, 56);
	CHECK_INT(n_opened, 56);
	CHECK_HAS(why.text, "56 calls by user 1000 in this workspace are out");
	CHECK_HAS(why.text, "what is left is for other callers");
	CHECK_INT(board->stats.n_refused[PARTY_CALLER], 1);

	/* Another user, and another workspace, of the same one. */
	CHECK(opens_at_once(HEALTHY, HERE, 1001));
	CHECK(opens_at_once(HEALTHY, ELSEWHERE, 1000));
	CHECK(!ask(HEALTHY));
	end();
}

TEST(one_peer_that_hangs_does_not_use_up_its_callers_share)
{
	begin(64, 64);
	(void)flood_as(SLOW, HERE, 1000);
	CHECK(opens_at_once(HEALTHY, HERE, 1000));
	(void)flood_as(peer_name(1), HERE, 1000);
	CHECK(opens_at_once(HEALTHY, HERE, 1000));
	end();
}

TEST(messages_are_shared_as_lines_are)
{
	begin(0, 0);
	board->settings.max_message_bytes = 1000;
	CHECK(ask_as(SLOW, HERE, 1000, 300));
	CHECK(ask_as(SLOW, HERE, 1000, 200));
	CHECK(!ask_as(SLOW, HERE, 1000, 1));
	CHECK_HAS(why.text, "with messages of 500 bytes");
	CHECK_HAS(why.text, "max_message_bytes");
	CHECK_INT(board->stats.n_refused[PARTY_PEER], 1);
	CHECK(ask_as(HEALTHY, HERE, 1000, 400));
	CHECK(!ask_as(HEALTHY, HERE, 1001, 101));
	CHECK_HAS(why.text, "calls to peers are out");
	CHECK_HAS(why.text, "with messages of 900 bytes (max_message_bytes)");
	end();
}

TEST(when_all_is_taken_each_is_told)
{
	begin(2, 1);
	CHECK(ask(peer_name(0)));
	CHECK(ask_as(peer_name(1), HERE, 1001, 100));
	CHECK(ask_as(peer_name(2), HERE, 1002, 100));
	CHECK(!ask_as(peer_name(3), HERE, 1003, 100));
	CHECK_HAS(why.text, "calls to peers are out");
	CHECK_INT(board->stats.n_refused_all, 1);
	end();
}

/* The one line that is free is for who has none, whoever asked first. */
TEST(what_is_scarce_goes_to_who_has_none)
{
	struct line *second, *other;

	begin(2, 8);
	CHECK(ask(SLOW));
	second = ask(SLOW);
	other = ask(HEALTHY);
	settle();
	CHECK(!second->open);
	CHECK(other->open);
	end();
}

TEST(those_that_wait_take_turns)
{
	struct line *slow[3], *other;

	begin(1, 16);
	for (int i = 0; i < 3; i++)
		slow[i] = ask(SLOW);
	other = ask(HEALTHY);
	settle();
	CHECK(slow[0]->open);
	line_close(slow[0]);
	settle();
	CHECK(other->open);
	line_close(other);
	settle();
	CHECK(slow[1]->open);
	CHECK(!slow[2]->open);
	end();
}

TEST(one_that_waits_can_leave)
{
	struct line *first, *second, *third;

	begin(1, 16);
	first = ask(SLOW);
	second = ask(SLOW);
	third = ask(SLOW);
	settle();
	line_close(second);
	line_close(first);
	settle();
	CHECK(third->open);
	CHECK_INT(n_opened, 2);
	end();
}

TEST(more_lines_open_when_there_are_more)
{
	struct call_settings settings;

	begin(2, 16);
	for (int i = 0; i < 4; i++)
		CHECK(ask(SLOW));
	settle();
	CHECK_INT(n_opened, 1);
	settings = board->settings;
	settings.max_calls = 6;
	switchboard_configure(board, &settings);
	settle();
	CHECK_INT(n_opened, 3);

	/* Fewer than are out: these stay, and none is added. */
	settings.max_calls = 1;
	switchboard_configure(board, &settings);
	settle();
	CHECK(!opens_at_once(HEALTHY, ELSEWHERE, 1001));
	CHECK_INT(board->n_open, 3);
	end();
}

TEST(the_numbers_tell_whose_share_was_used_up)
{
	struct buffer out = BUFFER_INIT(1 << 20);

	begin(2, 0);
	(void)flood_as(SLOW, HERE, 1000);
	switchboard_write_metrics(board, &out);
	CHECK_INT(buffer_append_char(&out, '\0'), 0);
	CHECK_HAS(buffer_at(&out), "molecule_a2a_refused_total{share=\"peer\"} 1\n");
	CHECK_HAS(buffer_at(&out), "molecule_a2a_refused_total{share=\"caller\"} 0\n");
	CHECK_HAS(buffer_at(&out), "molecule_a2a_refused_total{share=\"all\"} 0\n");
	buffer_fini(&out);
	end();
}
