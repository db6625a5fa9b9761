/* SPDX-License-Identifier: MIT */
/*
 * Lines: waiting in order, open, closed; and the numbers of all calls.
 */

#include "agent/switchboard.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>

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

static unsigned switchboard_free_lines(const struct switchboard *board)
{
	return board->settings.max_calls - MIN(board->n_open, board->settings.max_calls);
}

static void switchboard_on_serve(struct loop_work *work)
{
	struct switchboard *board = container_of(work, struct switchboard, serve);

	for (int n = 0; n < LINES_PER_TURN; n++) {
		struct trunk *trunk = trunks_next(&board->trunks, switchboard_free_lines(board));
		struct line *line;

		if (!trunk)
			return;

		line = list_entry(trunk->waiting.next, struct line, node);
		trunk_open(trunk, &board->trunks, &line->node);
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
	trunks_init(&board->trunks);
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

static const char *limits_name(bool bytes)
{
	return bytes ? "max_message_bytes" : "max_calls, max_waiting";
}

static int refuse_all(struct switchboard *board, bool bytes, struct error *err)
{
	board->stats.n_refused_all++;
	return error_set(err, ERROR_OVERLOADED, EBUSY,
			 "%u calls to peers are out and %u wait already, with messages of %zu "
			 "bytes (%s); try again when some have ended",
			 board->n_open, board->n_waiting, board->bytes, limits_name(bytes));
}

static int refuse_party(struct switchboard *board, const struct trunk *trunk, enum party_kind kind,
			bool bytes, struct error *err)
{
	const struct party *party = trunk->parties[kind];
	const char *others = "peers";
	char whose[64] = "to it";

	if (kind == PARTY_CALLER) {
		(void)snprintf(whose, sizeof(whose), "by user %u in this workspace",
			       (unsigned)party->uid);
		others = "callers";
	}
	board->stats.n_refused[kind]++;
	return error_set(err, ERROR_OVERLOADED, EBUSY,
			 "%u calls %s are out and %u wait already, with messages of %zu bytes; "
			 "what is left is for other %s (%s): try again when some have ended",
			 party->n_open, whose, party->n_waiting, party->bytes, others,
			 limits_name(bytes));
}

/* Room for one more line: of all that there is, and of its parties' shares. */
static int switchboard_judge(struct switchboard *board, const struct trunk *trunk, size_t bytes,
			     struct error *err)
{
	uint64_t max_lines = (uint64_t)board->settings.max_calls + board->settings.max_waiting;
	uint64_t max_bytes = board->settings.max_message_bytes;
	struct trunk_left left = {
		.lines = max_lines - MIN((uint64_t)board->n_open + board->n_waiting, max_lines),
		.bytes = max_bytes - MIN(board->bytes, max_bytes),
	};
	enum trunk_verdict verdict;
	enum party_kind kind;

	if (!left.lines || bytes > left.bytes)
		return refuse_all(board, left.lines, err);

	verdict = trunk_judge(trunk, &left, bytes, &kind);
	if (verdict != TRUNK_FITS)
		return refuse_party(board, trunk, kind, verdict == TRUNK_HAS_BYTES, err);

	return 0;
}

int line_request(struct line *line, struct switchboard *board, const struct line_spec *spec,
		 struct error *err)
{
	struct trunk *trunk;
	int r;

	assert(!line->board);

	trunk = trunk_get(&board->trunks, spec->peer, spec->workspace, spec->uid);
	if (!trunk)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a call");

	r = switchboard_judge(board, trunk, spec->bytes, err);
	if (r < 0) {
		trunk_put(trunk);
		return r;
	}

	line->board = board;
	line->trunk = trunk;
	line->bytes = spec->bytes;
	line->open = false;
	board->bytes += spec->bytes;
	board->n_waiting++;
	trunk_add(trunk, &board->trunks, &line->node, spec->bytes);
	loop_defer(board->loop, &board->serve);
	return 0;
}

void line_close(struct line *line)
{
	struct switchboard *board = TAKE(line->board);

	if (!board)
		return;

	trunk_remove(TAKE(line->trunk), &board->trunks, &line->node, line->open, line->bytes);
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

struct http_party *line_party(const struct line *line)
{
	return &line->trunk->parties[PARTY_PEER]->http;
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

static void write_refused(const struct switchboard_stats *stats, struct buffer *out)
{
	const struct {
		const char *share;
		uint64_t n;
	} rows[] = {
		{ "all", stats->n_refused_all },
		{ "peer", stats->n_refused[PARTY_PEER] },
		{ "caller", stats->n_refused[PARTY_CALLER] },
	};

	metrics_family(out, "molecule_a2a_refused", METRIC_COUNTER, NULL,
		       "Calls to peers that found no room, by whose share of it was used up.");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *const labels[] = { "share", rows[i].share, NULL };

		metrics_sample(out, "molecule_a2a_refused", METRIC_COUNTER, labels,
			       (double)rows[i].n);
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
	write_refused(&board->stats, out);
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
