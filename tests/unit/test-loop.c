/* SPDX-License-Identifier: MIT */
#include "io/loop.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "lib/test.h"

static struct loop loop;
static char order[32]; /* a letter for each thing that ran */

static void note(char letter)
{
	order[strlen(order)] = letter;
}

struct named_work {
	struct loop_work work;
	char name;
	struct loop_work *then;    /* deferred by this one */
	struct loop_work *follows; /* ... within the turn */
	struct loop_work *cancels; /* cancelled by this one */
	bool stops;
};

static void run_named(struct loop_work *work)
{
	struct named_work *named = container_of(work, struct named_work, work);

	note(named->name);
	if (named->then)
		loop_defer(&loop, named->then);
	if (named->follows)
		loop_defer_in_turn(&loop, named->follows);
	if (named->cancels)
		loop_work_cancel(named->cancels);
	if (named->stops)
		loop_stop(&loop);
}

static void start(void)
{
	CHECK_INT(loop_init(&loop), 0);
}

TEST(deferred_work_runs_once_in_order)
{
	struct named_work a = { .name = 'a' }, b = { .name = 'b', .stops = true };

	start();
	loop_work_init(&a.work, run_named);
	loop_work_init(&b.work, run_named);
	loop_defer(&loop, &a.work);
	loop_defer(&loop, &b.work);
	loop_defer(&loop, &a.work);
	loop_run(&loop);
	CHECK_TEXT(order, "ab");
	loop_fini(&loop);
}

TEST(cancelled_work_does_not_run)
{
	struct named_work a = { .name = 'a' }, b = { .name = 'b' };
	struct named_work c = { .name = 'c', .stops = true };

	start();
	loop_work_init(&a.work, run_named);
	loop_work_init(&b.work, run_named);
	loop_work_init(&c.work, run_named);
	a.cancels = &b.work;
	loop_defer(&loop, &a.work);
	loop_defer(&loop, &b.work);
	loop_defer(&loop, &c.work);
	loop_run(&loop);
	CHECK_TEXT(order, "ac");
	loop_work_cancel(&b.work);
	loop_fini(&loop);
}

struct pipe_watch {
	struct ev_io io;
	int fds[2];
};

static void on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
	note('i');
	ev_io_stop(ev, io);
}

/* The pipe is readable from before: only a poll can find that. */
static void watch_pipe(struct pipe_watch *watch)
{
	CHECK_INT(pipe(watch->fds), 0);
	CHECK_INT(write(watch->fds[1], "x", 1), 1);
	ev_io_init(&watch->io, on_readable, watch->fds[0], EV_READ);
	ev_io_start(loop.ev, &watch->io);
}

static void close_pipe(struct pipe_watch *watch)
{
	ev_io_stop(loop.ev, &watch->io);
	CHECK_INT(close(watch->fds[0]) | close(watch->fds[1]), 0);
}

TEST(work_that_work_defers_waits_for_what_became_ready)
{
	struct named_work a = { .name = 'a' }, b = { .name = 'b', .stops = true };
	struct pipe_watch watch;

	start();
	loop_work_init(&a.work, run_named);
	loop_work_init(&b.work, run_named);
	a.then = &b.work;
	watch_pipe(&watch);
	loop_defer(&loop, &a.work);
	loop_run(&loop);
	CHECK_TEXT(order, "aib");
	close_pipe(&watch);
	loop_fini(&loop);
}

TEST(what_follows_from_work_runs_in_its_turn_behind_the_rest)
{
	struct named_work a = { .name = 'a' }, b = { .name = 'b' }, c = { .name = 'c' };
	struct named_work d = { .name = 'd' }, e = { .name = 'e', .stops = true };
	struct pipe_watch watch;

	start();
	for (struct named_work **next = (struct named_work *[]){ &a, &b, &c, &d, &e, NULL }; *next;
	     next++)
		loop_work_init(&(*next)->work, run_named);
	a.follows = &c.work;
	a.then = &e.work;
	c.follows = &d.work;
	watch_pipe(&watch);
	loop_defer(&loop, &a.work);
	loop_defer(&loop, &b.work);
	loop_run(&loop);
	CHECK_TEXT(order, "abcdie");
	close_pipe(&watch);
	loop_fini(&loop);
}

static int n_followed;

static void follow_again(struct loop_work *work)
{
	note((char)('0' + ++n_followed));
	if (n_followed < LOOP_ROUNDS + 1)
		loop_defer_in_turn(&loop, work);
	else
		loop_stop(&loop);
}

TEST(what_follows_from_itself_lets_others_in_between)
{
	struct pipe_watch watch;
	struct loop_work work;

	start();
	loop_work_init(&work, follow_again);
	watch_pipe(&watch);
	loop_defer_in_turn(&loop, &work);
	loop_run(&loop);
	CHECK_TEXT(order, "1234i5");
	close_pipe(&watch);
	loop_fini(&loop);
}

static int rounds;

static void run_again(struct loop_work *work)
{
	if (++rounds < 1000)
		loop_defer(&loop, work);
	else
		loop_stop(&loop);
}

TEST(work_that_defers_itself_does_not_starve_the_loop)
{
	struct loop_work work;
	struct pipe_watch watch;

	start();
	loop_work_init(&work, run_again);
	watch_pipe(&watch);
	loop_defer(&loop, &work);
	loop_run(&loop);
	CHECK_INT(rounds, 1000);
	CHECK_TEXT(order, "i");
	CHECK_INT(loop.n_turns, 999);
	close_pipe(&watch);
	loop_fini(&loop);
}

static struct named_work last_words = { .name = 'w' };

static void on_readable_stop(struct ev_loop *ev, struct ev_io *io, int events)
{
	note('s');
	loop_stop(&loop);
	loop_defer(&loop, &last_words.work);
}

TEST(stopping_ends_the_turn_with_its_deferred_work)
{
	struct pipe_watch watch;

	start();
	loop_work_init(&last_words.work, run_named);
	watch_pipe(&watch);
	ev_io_stop(loop.ev, &watch.io);
	ev_set_cb(&watch.io, on_readable_stop);
	ev_io_start(loop.ev, &watch.io);
	loop_run(&loop);
	CHECK_TEXT(order, "sw");
	close_pipe(&watch);
	loop_fini(&loop);
}

struct probe {
	struct timer timer;
	int64_t asked_ms, began_ms, after_ms;
	int more;
};

static void on_probe(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);

	probe->after_ms = loop_now_ms(&loop) - probe->began_ms;
	CHECK(!timer_is_running(timer));
	CHECK(probe->after_ms >= probe->asked_ms);
	if (probe->more-- == 0) {
		loop_stop(&loop);
		return;
	}
	probe->began_ms = loop_now_ms(&loop);
	timer_start(timer, probe->asked_ms);
}

static void burn_ms(int64_t ms)
{
	for (int64_t end = loop_now_ms(&loop) + ms; loop_now_ms(&loop) < end;)
		;
}

static struct probe late_probe;

static void start_late(struct timer *timer)
{
	burn_ms(30);
	late_probe.began_ms = loop_now_ms(&loop);
	timer_start(&late_probe.timer, late_probe.asked_ms);
}

TEST(a_timer_is_never_early_even_after_a_long_turn)
{
	struct timer first;

	start();
	late_probe.asked_ms = 10;
	timer_init(&late_probe.timer, &loop, on_probe);
	timer_init(&first, &loop, start_late);
	timer_start(&first, 0);
	loop_run(&loop);
	CHECK(late_probe.after_ms >= 10);
	loop_fini(&loop);
}

TEST(a_timer_may_start_itself_again)
{
	struct probe probe = { .asked_ms = 1, .more = 20 };

	start();
	timer_init(&probe.timer, &loop, on_probe);
	probe.began_ms = loop_now_ms(&loop);
	timer_start(&probe.timer, 1);
	CHECK(timer_is_running(&probe.timer));
	loop_run(&loop);
	CHECK_INT(probe.more, -1);
	loop_fini(&loop);
}

static void free_own_timer(struct timer *timer)
{
	free(timer);
	loop_stop(&loop);
}

TEST(a_timer_may_free_what_it_lives_in)
{
	struct timer *timer = malloc(sizeof(*timer));

	start();
	timer_init(timer, &loop, free_own_timer);
	timer_start(timer, 0);
	loop_run(&loop);
	loop_fini(&loop);
}

static struct timer other;
static bool other_ran;

static void stop_other(struct timer *timer)
{
	/* Both are due: the other one waits in this very turn. */
	if (timer == &other)
		other_ran = true;
	else
		timer_stop(&other);
	loop_stop(&loop);
}

TEST(a_timer_stopped_in_the_turn_it_is_due_does_not_run)
{
	struct timer first;

	start();
	timer_init(&first, &loop, stop_other);
	timer_init(&other, &loop, stop_other);
	timer_start(&first, 0);
	timer_start(&other, 1);
	burn_ms(5);
	loop_run(&loop);
	CHECK(!other_ran);
	CHECK(!timer_is_running(&other));
	loop_fini(&loop);
}

TEST(stopping_what_never_ran_is_harmless)
{
	struct timer zeroed = { 0 };
	struct loop_signal no_signal = { 0 };
	struct loop half = { 0 };

	timer_stop(&zeroed);
	loop_signal_stop(&no_signal);
	loop_fini(&half);
	loop_fini(NULL);
}

static void on_signal(struct loop_signal *signal)
{
	note('u');
	loop_stop(&loop);
}

TEST(a_signal_comes_through_the_loop)
{
	struct loop_signal usr1;

	start();
	loop_signal_start(&usr1, &loop, SIGUSR1, on_signal);
	CHECK_INT(raise(SIGUSR1), 0);
	CHECK_TEXT(order, "");
	loop_run(&loop);
	CHECK_TEXT(order, "u");
	loop_signal_stop(&usr1);
	/* Late ones do nothing. */
	CHECK_INT(raise(SIGUSR1), 0);
	loop_fini(&loop);
}

TEST(a_peer_that_left_raises_no_signal)
{
	int fds[2];

	start();
	CHECK_INT(pipe(fds), 0);
	CHECK_INT(close(fds[0]), 0);
	CHECK_INT(write(fds[1], "x", 1), -1);
	CHECK_INT(close(fds[1]), 0);
	loop_fini(&loop);
}

static void slow_turn(struct timer *timer)
{
	burn_ms(LOOP_TURN_SLOW_MS + 2);
	loop_stop(&loop);
}

TEST(slow_turns_are_counted_and_waiting_is_not)
{
	struct timer timer;
	int64_t began_ms, all_ms;

	start();
	timer_init(&timer, &loop, slow_turn);
	began_ms = loop_now_ms(&loop);
	timer_start(&timer, 60);
	loop_run(&loop);
	all_ms = loop_now_ms(&loop) - began_ms;
	CHECK_INT(loop.n_slow_turns, 1);
	CHECK(loop.turns.sum_s * 1e3 >= LOOP_TURN_SLOW_MS);
	CHECK(loop.turns.sum_s * 1e3 < (double)(all_ms - 55));
	loop_fini(&loop);
}

TEST(the_environment_does_not_choose_the_backend)
{
	CHECK_INT(setenv("LIBEV_FLAGS", "1", 1), 0);
	start();
	CHECK_INT(ev_backend(loop.ev), EVBACKEND_EPOLL);
	loop_fini(&loop);
}

TEST(now_is_never_nothing)
{
	start();
	CHECK(loop_now_ms(&loop) > 0);
	CHECK(wall_now_ms() > 1700000000000);
	loop_fini(&loop);
}
