/* SPDX-License-Identifier: MIT */
/*
 * Listening, limits, and stopping.
 */

#include "rpc/server.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/jsonrpc.h"
#include "base/log.h"
#include "io/listen.h"
#include "io/peercred.h"
#include "rpc/account.h"
#include "rpc/call.h"
#include "rpc/conn.h"
#include "rpc/events.h"
#include "rpc/method-secrets.h"
#include "rpc/method.h"
#include "rpc/share.h"

#define EVENT_MAX ((size_t)4 << 20) /* the names of all secrets, at most */
#define REFUSAL_MAX 1024
/* Who has connected is about to ask something: with a busy host that takes a moment. */
#define LAST_CALL_MS 10
#define LAST_CALLS 20

struct slot {
	struct listener listener;
	struct server *server;
};

struct server {
	struct hub hub;
	struct accounts accounts;
	struct slot slots[SERVER_LISTENERS_MAX];
	size_t n_slots;
	struct list partial; /* connections within a message, the oldest first */
	struct timer partial_timer;
	struct timer last_call, stop_timer;
	unsigned n_last_calls;
	int64_t stop_timeout_ms;
	struct loop_work stopped;
	server_stopped_fn on_stopped;
	void *stopped_data;
};

/* Messages that were begun: one timer, which runs only while there are any. */

static void on_partial(struct conn *conn)
{
	struct server *server = conn->owner;

	conn->partial_since_ms = loop_now_ms(server->hub.host.loop);
	list_append(&server->partial, &conn->partial);
	if (!timer_is_running(&server->partial_timer))
		timer_start(&server->partial_timer, server->hub.settings.partial_timeout_ms);
}

static void end_partial(struct server *server, struct conn *conn, int64_t now_ms)
{
	struct error err;

	list_remove(&conn->partial);
	/* When it is we who do not read, the client cannot help it. */
	if (!conn->stream.reading) {
		conn->partial_since_ms = now_ms;
		list_append(&server->partial, &conn->partial);
		return;
	}

	server->hub.stats.n_partial_timeouts++;
	(void)error_set(&err, ERROR_PARSE, ETIMEDOUT,
			"the message was begun %" PRId64 " s ago and has not ended",
			(now_ms - conn->partial_since_ms) / 1000);
	conn_close_with(conn, &err);
}

static void on_partial_timer(struct timer *timer)
{
	struct server *server = container_of(timer, struct server, partial_timer);
	int64_t timeout_ms = server->hub.settings.partial_timeout_ms;
	int64_t now_ms = loop_now_ms(server->hub.host.loop);

	while (!list_empty(&server->partial)) {
		struct conn *conn = list_entry(server->partial.next, struct conn, partial);
		int64_t left_ms = conn->partial_since_ms + timeout_ms - now_ms;

		if (left_ms > 0) {
			timer_start(timer, left_ms);
			return;
		}
		end_partial(server, conn, now_ms);
	}
}

/* Connections */

static void on_close(struct conn *conn)
{
	struct server *server = conn->owner;

	server->hub.n_connections--;
	account_disconnect(&server->accounts, conn->caller.account);
	if (server->hub.stopping && !server->hub.n_connections)
		loop_defer(server->hub.host.loop, &server->stopped);
}

static const struct conn_events conn_events = {
	.on_partial = on_partial,
	.on_close = on_close,
};

/* Says why in one message, as far as the socket takes it. */
static void send_refusal(int fd, const struct error *err)
{
	AUTO(buffer_fini) struct buffer text = BUFFER_INIT(REFUSAL_MAX);

	(void)jsonrpc_write_error(&text, (struct json_text){ 0 }, err);
	(void)buffer_append_char(&text, '\n');
	if (!text.failed)
		(void)send(fd, buffer_at(&text), buffer_len(&text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int check_limits(struct server *server, const struct peercred *peer,
			const struct account *account, struct error *err)
{
	const struct rpc_settings *settings = &server->hub.settings;
	struct stats *stats = &server->hub.stats;
	bool master = policy_is_master(&server->hub.policy, peer->uid);
	uint32_t max = settings->max_connections + (master ? SERVER_RESERVE : 0);

	if (server->hub.n_connections >= max) {
		stats->n_over_limit++;
		return error_set(err, ERROR_OVERLOADED, EUSERS,
				 "the daemon has all of its %u connections (max_connections)", max);
	}

	if (!master && account->n_connections >= settings->max_connections_per_uid) {
		stats->n_over_uid_limit++;
		return error_set(
			err, ERROR_OVERLOADED, EUSERS,
			"user %u has all of their %u connections (max_connections_per_uid)",
			peer->uid, settings->max_connections_per_uid);
	}

	return 0;
}

static void log_refusal(struct server *server, const struct peercred *peer, struct account *account,
			const struct error *err)
{
	uint64_t untold;
	char unit[128];

	if (account_tells(account, loop_now_ms(server->hub.host.loop), &untold))
		log_warning("refused a connection of uid %u (pid %d, unit %s): %s; %" PRIu64
			    " more since the last such line",
			    peer->uid, peer->pid, peercred_unit(peer, unit, sizeof(unit)),
			    err->text, untold);
}

/* 0 when the fd was taken. */
static int admit(struct server *server, int fd, const struct peercred *peer, struct error *err)
{
	struct account *account;
	struct conn *conn;
	int r;

	account = accounts_get(&server->accounts, peer->uid);
	if (!account)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a connection");

	r = check_limits(server, peer, account, err);
	if (r < 0) {
		log_refusal(server, peer, account, err);
		return r;
	}

	r = conn_new(&server->hub, fd, peer, account, &conn_events, server, &conn);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "no memory for a connection");

	account_connect(&server->accounts, account);
	server->hub.n_connections++;
	server->hub.stats.n_accepted++;
	return 0;
}

void server_take(struct server *server, int fd, const struct peercred *peer)
{
	struct error err;
	int r;

	r = admit(server, fd, peer, &err);
	if (r < 0) {
		send_refusal(fd, &err);
		(void)close(fd);
	}
}

static void on_accept(struct listener *listener, int fd)
{
	struct server *server = container_of(listener, struct slot, listener)->server;
	struct peercred peer;

	if (peercred_get(fd, &peer) < 0) {
		(void)close(fd);
		return;
	}

	server_take(server, fd, &peer);
	peercred_fini(&peer);
}

/* Beginning and ending */

static void on_stopped_work(struct loop_work *work)
{
	struct server *server = container_of(work, struct server, stopped);

	timer_stop(&server->stop_timer);
	server->on_stopped(server->stopped_data);
	/* Careful: the server may be gone. */
}

static void cancel_all(struct server *server)
{
	struct error err;

	(void)error_set(&err, ERROR_CANCELLED, ECANCELED, "the daemon stops");
	list_for_each (node, &server->hub.callers)
		conn_cancel(conn_of(list_entry(node, struct caller, node)), &err);
}

static void on_stop_timer(struct timer *timer)
{
	struct server *server = container_of(timer, struct server, stop_timer);

	log_notice("%u calls are cancelled: they took longer than stop_timeout",
		   server->hub.n_in_flight);
	cancel_all(server);
}

static void refuse_calls(struct server *server)
{
	server->hub.stopping = true;
	list_for_each (node, &server->hub.callers)
		conn_stop(conn_of(list_entry(node, struct caller, node)));
	if (!server->hub.n_connections)
		loop_defer(server->hub.host.loop, &server->stopped);
	else
		timer_start(&server->stop_timer, server->stop_timeout_ms);
}

static bool anybody_speaks(const struct server *server)
{
	list_for_each (node, &server->hub.callers)
		if (conn_is_speaking(conn_of(list_entry(node, struct caller, node))))
			return true;
	return false;
}

/*
 * A client that got through to us just before we were told to stop waits for
 * an answer like those who come later, and whom our successor will serve.
 */
static void on_last_call(struct timer *timer)
{
	struct server *server = container_of(timer, struct server, last_call);

	if (server->n_last_calls++ < LAST_CALLS && anybody_speaks(server))
		timer_start(&server->last_call, LAST_CALL_MS);
	else
		refuse_calls(server);
}

int server_new(const struct hub_host *host, const struct rpc_settings *settings, const char *group,
	       struct server **ret, struct error *err)
{
	struct server *server;

	server = calloc(1, sizeof(*server));
	if (!server)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the local socket");

	server->hub.host = *host;
	method_init_schema(&server->hub.schema);
	list_init(&server->hub.callers);
	list_init(&server->hub.subscriptions);
	list_init(&server->partial);
	buffer_init(&server->hub.event, EVENT_MAX);
	accounts_init(&server->accounts);
	timer_init(&server->partial_timer, host->loop, on_partial_timer);
	timer_init(&server->last_call, host->loop, on_last_call);
	timer_init(&server->stop_timer, host->loop, on_stop_timer);
	loop_work_init(&server->stopped, on_stopped_work);
	server_configure(server, settings, group);
	*ret = server;
	return 0;
}

static void close_listeners(struct server *server)
{
	while (server->n_slots)
		listener_fini(&server->slots[--server->n_slots].listener);
}

void server_free(struct server *server)
{
	if (!server)
		return;

	close_listeners(server);
	while (!list_empty(&server->hub.callers))
		conn_free(conn_of(list_entry(server->hub.callers.next, struct caller, node)));
	timer_stop(&server->partial_timer);
	timer_stop(&server->last_call);
	timer_stop(&server->stop_timer);
	loop_work_cancel(&server->stopped);
	accounts_fini(&server->accounts);
	buffer_fini(&server->hub.event);
	free(server);
}

static int too_many_listeners(struct error *err)
{
	return error_set(err, ERROR_CONFIG, E2BIG, "at most %d sockets can be listened on",
			 SERVER_LISTENERS_MAX);
}

int server_bind(struct server *server, const char *path, struct error *err)
{
	struct slot *slot = &server->slots[server->n_slots];
	int r;

	if (server->n_slots == SERVER_LISTENERS_MAX)
		return too_many_listeners(err);

	slot->server = server;
	r = listener_bind(&slot->listener, server->hub.host.loop, path, server->hub.policy.gid,
			  on_accept, err);
	if (r == 0)
		server->n_slots++;
	return r;
}

int server_adopt(struct server *server, int fd, struct error *err)
{
	struct slot *slot = &server->slots[server->n_slots];
	int r;

	if (server->n_slots == SERVER_LISTENERS_MAX)
		return too_many_listeners(err);

	slot->server = server;
	r = listener_adopt(&slot->listener, server->hub.host.loop, fd, on_accept, err);
	if (r == 0)
		server->n_slots++;
	return r;
}

void server_configure(struct server *server, const struct rpc_settings *settings, const char *group)
{
	server->hub.settings = *settings;
	policy_init(&server->hub.policy, group);
}

void server_stop(struct server *server, int64_t timeout_ms, server_stopped_fn on_stopped,
		 void *data)
{
	server->on_stopped = on_stopped;
	server->stopped_data = data;
	server->stop_timeout_ms = timeout_ms;
	close_listeners(server);
	on_last_call(&server->last_call);
}

void server_on_state(struct server *server, struct workspace *workspace,
		     enum lifecycle_state before)
{
	/* The last that is heard of it. */
	if (workspace->state == LIFECYCLE_LEAVING)
		shares_forget(&server->hub, workspace);
	events_on_state(&server->hub, workspace, before);
}

void server_on_report(struct server *server, struct workspace *workspace)
{
	events_on_report(&server->hub, workspace);
}

void server_on_secrets(struct server *server, struct workspace *workspace, const char *changed,
		       size_t len)
{
	secrets_note_change(&server->hub, workspace, changed, len);
	events_on_secrets(&server->hub, workspace, changed, len);
}

void server_on_peers(struct server *server, struct workspace *workspace)
{
	events_on_peers(&server->hub, workspace);
}

void server_on_delegation(struct server *server, struct workspace *workspace,
			  const struct delegation *delegation)
{
	events_on_delegation(&server->hub, workspace, delegation);
}

void server_on_plugin(struct server *server, struct workspace *workspace,
		      const struct shelf_progress *progress)
{
	events_on_plugin(&server->hub, workspace, progress);
}

void server_on_warning(struct server *server, const struct agent_warning *warning, bool raised)
{
	events_on_warning(&server->hub, warning, raised);
}

void server_write_metrics(const struct server *server, struct buffer *out)
{
	hub_write_metrics(&server->hub, out);
}

uint32_t server_connections(const struct server *server)
{
	return server->hub.n_connections;
}
