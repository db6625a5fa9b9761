/* SPDX-License-Identifier: MIT */
#include "agent/agenda.h"

#include "lib/test.h"

#define FAR_MS 3600000

static struct loop loop;
static struct agenda agenda;
static enum agenda_item done[8];
static unsigned n_done;
static int64_t last_due_ms;

static void note(struct agenda *of, enum agenda_item item, int64_t due_ms)
{
	CHECK(of == &agenda);
	CHECK(!agenda_has(of, item));
	CHECK(due_ms <= loop_now_ms(&loop));
	CHECK(n_done < ARRAY_LEN(done));
	done[n_done++] = item;
	last_due_ms = due_ms;
	if (item == AGENDA_JOIN)
		loop_stop(&loop);
}

static void begin(agenda_fn on_due)
{
	n_done = 0;
	CHECK_INT(loop_init(&loop), 0);
	agenda_init(&agenda, &loop, on_due);
}

static void end(void)
{
	agenda_fini(&agenda);
	loop_fini(&loop);
}

TEST(what_is_planned_comes_in_the_order_of_its_time)
{
	begin(note);
	agenda_plan(&agenda, AGENDA_JOIN, 30);
	agenda_plan(&agenda, AGENDA_BEAT, 20);
	agenda_plan(&agenda, AGENDA_POLL, FAR_MS);
	agenda_plan(&agenda, AGENDA_RENEW, 0);
	loop_run(&loop);

	CHECK_INT(n_done, 3);
	CHECK_INT(done[0], AGENDA_RENEW);
	CHECK_INT(done[1], AGENDA_BEAT);
	CHECK_INT(done[2], AGENDA_JOIN);
	CHECK(agenda_has(&agenda, AGENDA_POLL));
	CHECK(agenda_left_ms(&agenda, AGENDA_POLL) <= FAR_MS);
	CHECK(agenda_left_ms(&agenda, AGENDA_POLL) > 0);
	end();
}

TEST(planning_anew_takes_the_place_of_what_was_planned)
{
	begin(note);
	agenda_plan(&agenda, AGENDA_BEAT, 0);
	agenda_plan(&agenda, AGENDA_BEAT, FAR_MS);
	agenda_plan(&agenda, AGENDA_JOIN, FAR_MS);
	agenda_plan(&agenda, AGENDA_JOIN, 1);
	loop_run(&loop);

	CHECK_INT(n_done, 1);
	CHECK_INT(done[0], AGENDA_JOIN);
	CHECK(agenda_has(&agenda, AGENDA_BEAT));
	end();
}

TEST(what_is_dropped_does_not_come)
{
	begin(note);
	agenda_plan(&agenda, AGENDA_BEAT, 0);
	agenda_drop(&agenda, AGENDA_BEAT);
	agenda_drop(&agenda, AGENDA_POLL);
	agenda_plan(&agenda, AGENDA_JOIN, 1);
	loop_run(&loop);

	CHECK_INT(n_done, 1);
	CHECK(!agenda_has(&agenda, AGENDA_BEAT));
	end();
}

TEST(one_that_is_late_is_told_when_it_was_due)
{
	int64_t planned_ms;

	begin(note);
	planned_ms = loop_now_ms(&loop);
	agenda_plan(&agenda, AGENDA_JOIN, 5);
	while (loop_now_ms(&loop) < planned_ms + 20)
		;
	CHECK(agenda_left_ms(&agenda, AGENDA_JOIN) < 0);
	loop_run(&loop);
	CHECK(last_due_ms >= planned_ms + 5 && last_due_ms < loop_now_ms(&loop) - 10);
	end();
}

static void end_all(struct agenda *of, enum agenda_item item, int64_t due_ms)
{
	n_done++;
	agenda_fini(of);
	/* Nothing may look at it any more. */
	of->on_due = NULL;
	loop_stop(&loop);
}

TEST(it_may_end_while_another_one_is_due)
{
	begin(end_all);
	agenda_plan(&agenda, AGENDA_BEAT, 0);
	agenda_plan(&agenda, AGENDA_POLL, 0);
	loop_run(&loop);
	CHECK_INT(n_done, 1);
	loop_fini(&loop);
}
