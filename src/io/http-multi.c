/* SPDX-License-Identifier: MIT */
/*
 * curl on libev: one timer, one watcher a socket. curl is never called from
 * inside its own callbacks; after each call all that it finished is taken out of
 * it before anybody hears of it.
 *
 * While it is called it may set its timer many times, most often to stop it in
 * the end: what it has said last is done when it has returned.
 */

#include "io/http-multi.h"

#include <errno.h>
#include <stdlib.h>

#include "io/http.h"

struct http_socket {
	struct ev_io io;
	struct http_multi *multi; /* borrowed */
	struct list node;
};

static void http_multi_note_starved(struct http_multi *multi, CURL *easy)
{
	for (unsigned i = 0; i < multi->n_starved; i++)
		if (multi->starved[i] == easy)
			return;

	if (multi->n_starved < ARRAY_LEN(multi->starved))
		multi->starved[multi->n_starved++] = easy;
}

static void http_multi_forget_starved(struct http_multi *multi, const CURL *easy)
{
	for (unsigned i = 0; i < multi->n_starved; i++)
		if (multi->starved[i] == easy)
			multi->starved[i] = multi->starved[--multi->n_starved];
}

/* Those whose sockets nobody watches would not end before their deadline. */
static void http_multi_end_starved(struct http_multi *multi)
{
	while (multi->n_starved) {
		CURL *easy = multi->starved[--multi->n_starved];

		http_multi_remove(multi, easy);
		multi->on_done(easy, CURLE_FAILED_INIT);
	}
}

static void http_multi_wind(struct http_multi *multi)
{
	if (!multi->timer_moved)
		return;

	multi->timer_moved = false;
	if (multi->timer_ms < 0)
		timer_stop(&multi->timer);
	else
		timer_start(&multi->timer, multi->timer_ms);
}

static void http_multi_act(struct http_multi *multi, curl_socket_t fd, int ready)
{
	CURLMsg *message;
	int n;

	multi->acting = true;
	/* To curl the timer has rung then: it says nothing when it needs no other. */
	if (fd == CURL_SOCKET_TIMEOUT) {
		multi->timer_ms = -1;
		multi->timer_moved = true;
	}
	(void)curl_multi_socket_action(multi->handle, fd, ready, &n);

	while ((message = curl_multi_info_read(multi->handle, &n))) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;

		http_multi_forget_starved(multi, easy);
		/* This ends the message, too. */
		http_multi_remove(multi, easy);
		multi->on_done(easy, code);
	}
	http_multi_end_starved(multi);
	multi->acting = false;
	http_multi_wind(multi);
}

static void http_multi_on_io(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct http_socket *socket = container_of(io, struct http_socket, io);
	int ready = 0;

	if (events & EV_READ)
		ready |= CURL_CSELECT_IN;
	if (events & EV_WRITE)
		ready |= CURL_CSELECT_OUT;
	http_multi_act(socket->multi, io->fd, ready);
	/* Careful: the socket may be gone. */
}

static void http_multi_on_timer(struct timer *timer)
{
	http_multi_act(container_of(timer, struct http_multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void http_socket_free(struct http_socket *socket)
{
	ev_io_stop(socket->multi->loop->ev, &socket->io);
	list_remove(&socket->node);
	free(socket);
}

static struct http_socket *http_socket_new(struct http_multi *multi, curl_socket_t fd)
{
	struct http_socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;

	socket->multi = multi;
	ev_io_init(&socket->io, http_multi_on_io, fd, 0);
	list_append(&multi->sockets, &socket->node);
	(void)curl_multi_assign(multi->handle, fd, socket);
	return socket;
}

static int http_multi_on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
	struct http_multi *multi = context;
	struct http_socket *socket = known;
	int events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (socket)
			http_socket_free(socket);
		return 0;
	}

	if (!socket)
		socket = http_socket_new(multi, fd);
	/* An error would end all transfers. This one ends when curl has returned. */
	if (!socket) {
		http_multi_note_starved(multi, easy);
		return 0;
	}

	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	ev_io_stop(multi->loop->ev, &socket->io);
	ev_io_modify(&socket->io, events);
	ev_io_start(multi->loop->ev, &socket->io);
	return 0;
}

/* 0 is a timer too: to act from in here would be to call curl from inside curl. */
static int http_multi_on_timeout(CURLM *handle, long timeout_ms, void *context)
{
	struct http_multi *multi = context;

	multi->timer_ms = timeout_ms;
	multi->timer_moved = true;
	if (!multi->acting)
		http_multi_wind(multi);
	return 0;
}

static bool http_multi_set_up(struct http_multi *multi, const struct http_limits *limits)
{
	CURLM *handle = multi->handle;
	bool failed = false;

	failed |= curl_multi_setopt(handle, CURLMOPT_SOCKETFUNCTION, http_multi_on_socket);
	failed |= curl_multi_setopt(handle, CURLMOPT_SOCKETDATA, multi);
	failed |= curl_multi_setopt(handle, CURLMOPT_TIMERFUNCTION, http_multi_on_timeout);
	failed |= curl_multi_setopt(handle, CURLMOPT_TIMERDATA, multi);
	failed |= curl_multi_setopt(handle, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	failed |= curl_multi_setopt(handle, CURLMOPT_MAX_HOST_CONNECTIONS,
				    (long)limits->origin_connections);
	failed |= curl_multi_setopt(handle, CURLMOPT_MAX_TOTAL_CONNECTIONS,
				    (long)limits->connections);
	failed |= curl_multi_setopt(handle, CURLMOPT_MAXCONNECTS, (long)limits->kept);
	return !failed;
}

struct http_multi *http_multi_new(struct loop *loop, const struct http_limits *limits,
				  http_multi_done_fn on_done)
{
	struct http_multi *multi = calloc(1, sizeof(*multi));

	if (!multi)
		return NULL;

	multi->loop = loop;
	multi->on_done = on_done;
	timer_init(&multi->timer, loop, http_multi_on_timer);
	list_init(&multi->sockets);
	list_init(&multi->node);
	multi->handle = curl_multi_init();
	if (!multi->handle || !http_multi_set_up(multi, limits)) {
		http_multi_free(multi);
		return NULL;
	}
	return multi;
}

void http_multi_free(struct http_multi *multi)
{
	if (!multi)
		return;

	/* Closes the connections, whose sockets it has us forget. */
	(void)curl_multi_cleanup(multi->handle);
	list_for_each_safe (node, &multi->sockets)
		http_socket_free(container_of(node, struct http_socket, node));
	timer_stop(&multi->timer);
	list_remove(&multi->node);
	free(multi);
}

int http_multi_add(struct http_multi *multi, CURL *easy)
{
	CURLMcode code;

	/* It sets the timer to now: http_multi_go() is what it asks for. */
	multi->acting = true;
	code = curl_multi_add_handle(multi->handle, easy);
	multi->acting = false;
	if (code != CURLM_OK)
		return code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO;

	multi->n_easy++;
	return 0;
}

void http_multi_go(struct http_multi *multi)
{
	http_multi_act(multi, CURL_SOCKET_TIMEOUT, 0);
}

void http_multi_remove(struct http_multi *multi, CURL *easy)
{
	(void)curl_multi_remove_handle(multi->handle, easy);
	multi->n_easy--;
}
