/* SPDX-License-Identifier: MIT */
/*
 * The event loop on libev. A turn begins when polling returns (the check
 * watcher) and ends just before the next poll (the prepare watcher), where
 * deferred work runs. Their priorities make them the first and the last.
 */

#include "io/loop.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#define NS_PER_S 1000000000LL
#define NS_PER_MS 1000000LL

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t loop_now_ms(const struct loop *loop)
{
	return MAX(clock_ns(CLOCK_MONOTONIC) / NS_PER_MS, (int64_t)1);
}

int64_t wall_now_ms(void)
{
	return clock_ns(CLOCK_REALTIME) / NS_PER_MS;
}

static void loop_begin_turn(struct ev_loop *ev, struct ev_check *check, int events)
{
	struct loop *loop = container_of(check, struct loop, check);

	loop->turn_began_ns = clock_ns(CLOCK_MONOTONIC);
}

/* What is deferred meanwhile goes behind the marker, and waits for its turn. */
static void loop_run_round(struct loop *loop, struct list *works)
{
	struct list *marker = &loop->marker, *node;

	if (list_empty(works))
		return;

	list_append(works, marker);
	while ((node = list_pop(works)) && node != marker) {
		struct loop_work *work = container_of(node, struct loop_work, node);

		work->fn(work);
		/* Careful: the work may be gone. */
	}
}

static void loop_run_deferred(struct loop *loop)
{
	loop_run_round(loop, &loop->deferred);
	for (int i = 0; i < LOOP_ROUNDS; i++)
		loop_run_round(loop, &loop->following);
}

static void loop_count_turn(struct loop *loop)
{
	int64_t ns;

	if (!loop->turn_began_ns)
		return;

	ns = clock_ns(CLOCK_MONOTONIC) - loop->turn_began_ns;
	histogram_observe(&loop->turns, (double)ns / (double)NS_PER_S);
	loop->n_turns++;
	if (ns > LOOP_TURN_SLOW_MS * NS_PER_MS)
		loop->n_slow_turns++;
}

static void loop_end_turn(struct ev_loop *ev, struct ev_prepare *prepare, int events)
{
	struct loop *loop = container_of(prepare, struct loop, prepare);

	loop_run_deferred(loop);
	loop_count_turn(loop);

	if (list_empty(&loop->deferred) && list_empty(&loop->following))
		ev_idle_stop(ev, &loop->idle);
	else
		ev_idle_start(ev, &loop->idle);

	if (loop->stopping)
		ev_break(ev, EVBREAK_ALL);
}

/* An active idle watcher makes the poll return at once: that is all it is for. */
static void loop_on_idle(struct ev_loop *ev, struct ev_idle *idle, int events)
{
}

static void loop_set_alarm(struct loop *loop, int64_t now_ns)
{
	int64_t in_ns = MAX(loop->timers.root->key - now_ns, (int64_t)0);

	/* libev counts from when the poll returned, which a long turn leaves behind. */
	ev_now_update(loop->ev);
	ev_timer_stop(loop->ev, &loop->alarm);
	ev_timer_set(&loop->alarm, (double)in_ns / (double)NS_PER_S, 0.);
	ev_timer_start(loop->ev, &loop->alarm);
}

/*
 * Those that are due now are set apart first (their keys below zero, in the
 * same order): one that starts itself again has to wait for the next turn.
 */
static void loop_on_alarm(struct ev_loop *ev, struct ev_timer *alarm, int events)
{
	struct loop *loop = container_of(alarm, struct loop, alarm);
	int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct heap_node *node;

	while ((node = loop->timers.root) && node->key <= now_ns) {
		heap_take(&loop->timers, node);
		heap_put(&loop->due, node, node->key - INT64_MAX);
	}

	while ((node = loop->due.root)) {
		struct timer *timer = container_of(node, struct timer, node);

		heap_take(&loop->due, node);
		timer->fn(timer);
		/* Careful: the timer may be gone. */
	}

	if (loop->timers.root)
		loop_set_alarm(loop, clock_ns(CLOCK_MONOTONIC));
}

int loop_init(struct loop *loop)
{
	*loop = (struct loop){ 0 };
	list_init(&loop->deferred);
	list_init(&loop->following);

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;

	errno = 0;
	loop->ev = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	if (!loop->ev)
		return errno ? -errno : -ENOMEM;

	ev_check_init(&loop->check, loop_begin_turn);
	ev_set_priority(&loop->check, EV_MAXPRI);
	ev_check_start(loop->ev, &loop->check);
	ev_prepare_init(&loop->prepare, loop_end_turn);
	ev_set_priority(&loop->prepare, EV_MINPRI);
	ev_prepare_start(loop->ev, &loop->prepare);
	ev_idle_init(&loop->idle, loop_on_idle);
	ev_set_priority(&loop->idle, EV_MINPRI);
	ev_timer_init(&loop->alarm, loop_on_alarm, 0., 0.);
	return 0;
}

void loop_fini(struct loop *loop)
{
	if (!loop || !loop->ev)
		return;

	while (list_pop(&loop->deferred) || list_pop(&loop->following))
		;
	ev_timer_stop(loop->ev, &loop->alarm);
	ev_idle_stop(loop->ev, &loop->idle);
	ev_prepare_stop(loop->ev, &loop->prepare);
	ev_check_stop(loop->ev, &loop->check);
	ev_loop_destroy(loop->ev);
	loop->ev = NULL;
}

void loop_run(struct loop *loop)
{
	(void)ev_run(loop->ev, 0);
	loop->stopping = false;
	loop->turn_began_ns = 0;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

void loop_work_init(struct loop_work *work, loop_work_fn fn)
{
	list_init(&work->node);
	work->fn = fn;
}

void loop_defer(struct loop *loop, struct loop_work *work)
{
	if (list_empty(&work->node))
		list_append(&loop->deferred, &work->node);
}

void loop_defer_in_turn(struct loop *loop, struct loop_work *work)
{
	if (list_empty(&work->node))
		list_append(&loop->following, &work->node);
}

void loop_work_cancel(struct loop_work *work)
{
	list_remove(&work->node);
}

void timer_init(struct timer *timer, struct loop *loop, timer_fn fn)
{
	*timer = (struct timer){ .loop = loop, .fn = fn };
}

void timer_start(struct timer *timer, int64_t after_ms)
{
	struct loop *loop = timer->loop;
	int64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	timer_stop(timer);
	heap_put(&loop->timers, &timer->node, now_ns + MAX(after_ms, (int64_t)0) * NS_PER_MS);
	if (loop->timers.root == &timer->node)
		loop_set_alarm(loop, now_ns);
}

/* The alarm stays: when it rings for nobody it is set anew. */
void timer_stop(struct timer *timer)
{
	if (!heap_has(&timer->node))
		return;

	if (timer->node.key < 0)
		heap_take(&timer->loop->due, &timer->node);
	else
		heap_take(&timer->loop->timers, &timer->node);
}

bool timer_is_running(const struct timer *timer)
{
	return heap_has(&timer->node);
}

int64_t timer_left_ms(const struct timer *timer)
{
	return (timer->node.key - clock_ns(CLOCK_MONOTONIC)) / NS_PER_MS;
}

static void loop_on_signal(struct ev_loop *ev, struct ev_signal *watcher, int events)
{
	struct loop_signal *signal = container_of(watcher, struct loop_signal, ev);

	signal->fn(signal);
	/* Careful: the signal may be gone. */
}

void loop_signal_start(struct loop_signal *signal, struct loop *loop, int number, loop_signal_fn fn)
{
	*signal = (struct loop_signal){ .loop = loop, .fn = fn };
	ev_signal_init(&signal->ev, loop_on_signal, number);
	ev_signal_start(loop->ev, &signal->ev);
}

/* libev restores the default, which is to die: it must not be seen while it is in force. */
void loop_signal_stop(struct loop_signal *signal)
{
	int number = signal->ev.signum;
	sigset_t blocked, before;

	if (!signal->loop)
		return;

	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, number);
	(void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
	ev_signal_stop(signal->loop->ev, &signal->ev);
	(void)sigaction(number, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}
