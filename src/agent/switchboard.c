/* SPDX-License-Identifier: MIT */
/*
 * Lines: waiting in order, open, closed; and the numbers of all calls.
 */

#include "agent/switchboard.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>

#include "agent/contact.h"

/* Calls that begin in one turn of the loop: each composes and sends a message. */
#define LINES_PER_TURN 32

/*
 * Connections that are being made at one time: for each a thread may look up a
 * name, and each handshake takes a millisecond of ours.
 */
#define CONNECTING_MAX 64

/* Connections that rest; those to peers are used again within a second, or not at all. */
#define KEPT_MAX 32

/* Each call has such a buffer, and most answers are smaller. */
#define READ_BYTES 4096

/* Many that end leave memory behind, in pieces: from so many on it is given back. */
#define TRIM_FROM 256
#define TRIM_AFTER_MS 10000

static void switchboard_on_serve(struct loop_work *work)
{
	struct switchboard *board = container_of(work, struct switchboard, serve);

	for (int n = 0; n < LINES_PER_TURN; n++) {
		struct line *line;

		if (list_empty(&board->waiting) || board->n_open >= board->settings.max_calls)
			return;

		line = list_entry(list_pop(&board->waiting), struct line, node);
		board->n_waiting--;
		board->n_open++;
		board->most_open = MAX(board->most_open, board->n_open);
		line->open = true;
		line->on_open(line);
		/* Careful: the line may be gone. */
	}
	loop_defer(board->loop, &board->serve);
}

static void switchboard_on_trim(struct timer *timer)
{
	struct switchboard *board = container_of(timer, struct switchboard, trim);

	board->most_open = board->n_open;
	(void)malloc_trim(0);
}

int switchboard_new(struct loop *loop, struct switchboard **ret, struct error *err)
{
	struct switchboard *board;
	int r;

	board = calloc(1, sizeof(*board));
	if (!board)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for calls to peers");

	r = http_new(loop, &board->http, err);
	if (r < 0) {
		free(board);
		return r;
	}

	board->loop = loop;
	timer_init(&board->trim, loop, switchboard_on_trim);
	list_init(&board->waiting);
	list_init(&board->contacts);
	loop_work_init(&board->serve, switchboard_on_serve);
	call_settings_init(&board->settings);
	switchboard_configure(board, &board->settings);
	*ret = board;
	return 0;
}

void switchboard_free(struct switchboard *board)
{
	if (!board)
		return;

	assert(!board->n_open && !board->n_waiting);
	loop_work_cancel(&board->serve);
	timer_stop(&board->trim);
	http_free(board->http);
	free(board);
}

void switchboard_configure(struct switchboard *board, const struct call_settings *settings)
{
	board->settings = *settings;
	http_limit(board->http, &(struct http_limits){
					/* As many as there are calls, to whomever. */
					.kept = KEPT_MAX,
					.connecting = CONNECTING_MAX,
					.body_bytes = (size_t)settings->max_reply_bytes,
					.read_bytes = READ_BYTES,
				});
	loop_defer(board->loop, &board->serve);
}

void line_init(struct line *line, line_fn on_open)
{
	*line = (struct line){ .on_open = on_open };
	list_init(&line->node);
}

int line_request(struct line *line, struct switchboard *board, size_t bytes, struct error *err)
{
	const struct call_settings *settings = &board->settings;

	assert(!line->board);

	if (board->n_open + board->n_waiting >= settings->max_calls + settings->max_waiting)
		return error_set(err, ERROR_OVERLOADED, EBUSY,
				 "%u calls to peers are out and %u wait already (max_calls, "
				 "max_waiting)",
				 board->n_open, board->n_waiting);

	if (bytes > settings->max_message_bytes - MIN(board->bytes, settings->max_message_bytes))
		return error_set(err, ERROR_OVERLOADED, EBUSY,
				 "the messages that are out or wait have %zu bytes already "
				 "(max_message_bytes)",
				 board->bytes);

	line->board = board;
	line->bytes = bytes;
	line->open = false;
	board->bytes += bytes;
	board->n_waiting++;
	list_append(&board->waiting, &line->node);
	loop_defer(board->loop, &board->serve);
	return 0;
}

void line_close(struct line *line)
{
	struct switchboard *board = TAKE(line->board);

	if (!board)
		return;

	list_remove(&line->node);
	board->bytes -= line->bytes;
	if (line->open)
		board->n_open--;
	else
		board->n_waiting--;
	if (board->n_waiting)
		loop_defer(board->loop, &board->serve);
	if (!board->n_open && board->most_open >= TRIM_FROM)
		timer_start(&board->trim, TRIM_AFTER_MS);
}

void switchboard_count(struct switchboard *board, enum switchboard_route route,
		       enum switchboard_outcome outcome, enum error_kind kind, int64_t elapsed_ms)
{
	struct switchboard_stats *stats = &board->stats;

	switch (outcome) {
	case SWITCHBOARD_ANSWERED:
		stats->answered[route]++;
		break;
	case SWITCHBOARD_QUEUED:
		stats->queued[route]++;
		break;
	case SWITCHBOARD_FAILED:
		stats->failed[route][kind]++;
		break;
	}
	if (route != SWITCHBOARD_NOWHERE)
		histogram_observe(&stats->latency[route], (double)elapsed_ms / 1000);
}

static const char *route_name(int route)
{
	switch ((enum switchboard_route)route) {
	case SWITCHBOARD_NOWHERE:
		return "none";
	case SWITCHBOARD_DIRECT:
		return "direct";
	case SWITCHBOARD_PROXY:
		return "proxy";
	}
	return "?";
}

static void write_calls(struct buffer *out, int route, const char *outcome, uint64_t n)
{
	const char *const labels[] = { "route", route_name(route), "outcome", outcome, NULL };

	if (n)
		metrics_sample(out, "molecule_a2a_calls", METRIC_COUNTER, labels, (double)n);
}

static void write_outcomes(const struct switchboard_stats *stats, struct buffer *out)
{
	metrics_family(out, "molecule_a2a_calls", METRIC_COUNTER, NULL,
		       "Calls to peers by the route they took last, and what came of them.");
	for (int route = 0; route <= SWITCHBOARD_ROUTE_LAST; route++) {
		write_calls(out, route, "answered", stats->answered[route]);
		write_calls(out, route, "queued", stats->queued[route]);
		for (int kind = ERROR_NONE + 1; kind <= ERROR_KIND_LAST; kind++)
			write_calls(out, route, error_name((enum error_kind)kind),
				    stats->failed[route][kind]);
	}
}

static void write_latency(const struct switchboard_stats *stats, struct buffer *out)
{
	const char *family = "molecule_a2a_latency_seconds";

	metrics_family(out, family, METRIC_HISTOGRAM, "seconds",
		       "From a call to what came of it, by the route it took last.");
	for (int route = SWITCHBOARD_DIRECT; route <= SWITCHBOARD_ROUTE_LAST; route++) {
		const char *const labels[] = { "route", route_name(route), NULL };

		metrics_histogram(out, family, labels, &stats->latency[route]);
	}
}

static void write_breakers(const struct switchboard *board, struct buffer *out)
{
	unsigned counts[BREAKER_HALF_OPEN + 1] = { 0 };
	int64_t now_ms = loop_now_ms(board->loop);

	list_for_each (node, &board->contacts)
		counts[breaker_state(&list_entry(node, struct contact, node)->breaker, now_ms)]++;

	metrics_family(out, "molecule_a2a_breakers", METRIC_GAUGE, NULL,
		       "Peers whose circuit breaker is not closed.");
	for (int state = BREAKER_OPEN; state <= BREAKER_HALF_OPEN; state++) {
		const char *const labels[] = { "state",
					       breaker_state_name((enum breaker_state)state),
					       NULL };

		metrics_sample(out, "molecule_a2a_breakers", METRIC_GAUGE, labels, counts[state]);
	}
}

static void write_number(struct buffer *out, const char *name, enum metric_type type, double value,
			 const char *help)
{
	metrics_family(out, name, type, NULL, help);
	metrics_sample(out, name, type, NULL, value);
}

void switchboard_write_metrics(const struct switchboard *board, struct buffer *out)
{
	write_outcomes(&board->stats, out);
	write_latency(&board->stats, out);
	write_number(out, "molecule_a2a_fallbacks", METRIC_COUNTER,
		     (double)board->stats.n_fallbacks,
		     "Calls that failed directly and went on through the platform.");
	write_number(out, "molecule_a2a_in_flight", METRIC_GAUGE, board->n_open,
		     "Calls to peers that are out.");
	write_number(out, "molecule_a2a_waiting", METRIC_GAUGE, board->n_waiting,
		     "Calls to peers that wait for another one to end.");
	write_breakers(board, out);
}
