/* SPDX-License-Identifier: MIT */
/*
 * The peer book: the platform's list, read once and kept as the JSON that the
 * local API promises, and what discovery said of those who were asked for.
 */

#include "agent/peerbook.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/contact.h"
#include "agent/peerbook-private.h"
#include "agent/peerurl.h"
#include "platform/peers.h"

/* One "where is it?" on its way; several may wait for it. */
struct discovery {
	struct list node;
	struct peerbook *book; /* borrowed */
	char id[UUID_LEN + 1];
	struct platform_call call;
	struct list waiters;
};

static void contact_free(struct contact *contact)
{
	if (!contact)
		return;

	list_remove(&contact->node);
	free(contact);
}

static void peer_fini(struct peer *peer)
{
	free(peer->name);
	free(peer->role);
	free(peer->url);
	free(peer->direct_url);
	contact_free(peer->contact);
}

static void peers_free(struct peer *peers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		peer_fini(&peers[i]);
	free(peers);
}

struct peer *peerbook_find_id(const struct peerbook *book, const char *id)
{
	for (size_t i = 0; i < book->n_peers; i++)
		if (strcmp(book->peers[i].id, id) == 0)
			return &book->peers[i];

	return NULL;
}

static char *dup_or_null(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* What discovery found, and calls have taught, stays known across a new list. */
static int peer_fill(struct peer *peer, const struct peers_row *row, char *const *networks,
		     struct peer *before)
{
	(void)snprintf(peer->id, sizeof(peer->id), "%s", row->id);
	peer->name = strdup(row->name ? row->name : row->id);
	peer->role = dup_or_null(row->role);
	peer->url = dup_or_null(row->url);
	if (!peer->name || (row->role && !peer->role) || (row->url && !peer->url))
		return -ENOMEM;

	peer->url_usable = peer->url && peer_url_is_usable(peer->url, networks);
	if (before) {
		peer->contact = TAKE(before->contact);
		peer->direct_url = TAKE(before->direct_url);
		peer->direct_until_ms = before->direct_until_ms;
	}
	return 0;
}

struct reading {
	struct peer *peers;
	size_t n_peers;
	struct buffer json;
};

static int read_rows(struct peerbook *book, const struct platform_reply *reply,
		     struct reading *reading, int count)
{
	struct peers_row row;
	int r;

	for (int i = 0; i < count; i++) {
		struct peer *peer = &reading->peers[reading->n_peers];

		if (!peers_row(reply, i, &row))
			continue;

		reading->n_peers++;
		r = peer_fill(peer, &row, book->member->settings->peer_networks,
			      peerbook_find_id(book, row.id));
		if (r < 0)
			return r;

		peerbook_write_row(&reading->json, &row, peer);
	}
	return reading->json.failed;
}

static bool is_same_list(const struct peerbook *book, const struct reading *reading)
{
	if (book->n_peers != reading->n_peers)
		return false;

	for (size_t i = 0; i < book->n_peers; i++) {
		const struct peer *old = &book->peers[i], *new = &reading->peers[i];

		if (old->json_len != new->json_len ||
		    memcmp(buffer_at(&book->json) + old->json_at,
			   buffer_at(&reading->json) + new->json_at, old->json_len) != 0)
			return false;
	}
	return true;
}

static void book_adopt(struct peerbook *book, struct reading *reading)
{
	const struct membership *member = book->member;
	bool first = !book->fetched;
	bool same = is_same_list(book, reading);

	member->context->counts.peers.ok++;
	peers_free(book->peers, book->n_peers);
	buffer_fini(&book->json);
	book->peers = reading->peers;
	book->n_peers = reading->n_peers;
	book->json = reading->json;
	book->json_is_list = false;
	book->fetched = true;
	book->fetched_at_ms = loop_now_ms(member->context->loop);
	book->fetched_wall_ms = wall_now_ms();
	error_keep(&book->last_error, NULL);

	if (!first && !same)
		book->events->on_changed(book->data);
	waiters_call(&book->waiters, NULL);
}

static void book_fail(struct peerbook *book, const struct error *err)
{
	book->member->context->counts.peers.failed++;
	error_keep(&book->last_error, err);
	waiters_call(&book->waiters, err);
}

static void book_read(struct peerbook *book, const struct platform_reply *reply)
{
	struct reading reading = { .json = BUFFER_INIT(2 * (size_t)PEERBOOK_ANSWER_MAX) };
	const char *name = book->member->settings->name;
	int count = peers_count(reply);
	struct error err = { 0 };
	int r;

	if (count < 0 || count > PEERBOOK_PEERS_MAX) {
		(void)error_set(&err, ERROR_PLATFORM, EBADMSG,
				"the peers of %s came in a form that is not theirs", name);
		book_fail(book, &err);
		return;
	}

	reading.peers = calloc((size_t)count + 1, sizeof(*reading.peers));
	r = reading.peers ? read_rows(book, reply, &reading, count) : -ENOMEM;
	if (r < 0) {
		(void)error_set(&err, ERROR_INTERNAL, -r, "cannot keep the peers of %s: %m", name);
		peers_free(reading.peers, reading.n_peers);
		buffer_fini(&reading.json);
		book_fail(book, &err);
		return;
	}

	book_adopt(book, &reading);
}

static void book_on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct peerbook *book = container_of(call, struct peerbook, call);

	if (reply->verdict == PLATFORM_OK) {
		book_read(book, reply);
		return;
	}

	if (reply->verdict != PLATFORM_DOWN && reply->verdict != PLATFORM_LIMITED)
		book->events->on_doubt(book->data);
	book_fail(book, &reply->err);
}

/* From a turn of its own: a waiter is never called from inside the function it was handed to. */
static void book_on_fetch_soon(struct loop_work *work)
{
	struct peerbook *book = container_of(work, struct peerbook, fetch_soon);
	const struct membership *member = book->member;
	struct error err = { 0 };

	if (platform_call_is_running(&book->call) || list_empty(&book->waiters))
		return;

	if (peers_fetch(&book->call, member->platform, member->settings->id, member->settings->name,
			member->token->text, PEERBOOK_ANSWER_MAX, &err) < 0)
		book_fail(book, &err);
}

int peerbook_new(const struct membership *member, const struct peerbook_events *events, void *data,
		 struct peerbook **ret, struct error *err)
{
	struct peerbook *book;

	book = calloc(1, sizeof(*book));
	if (!book)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the peers of %s",
				 member->settings->name);

	*book = (struct peerbook){ .member = member, .events = events, .data = data };
	list_init(&book->waiters);
	list_init(&book->discoveries);
	list_init(&book->farewells);
	loop_work_init(&book->fetch_soon, book_on_fetch_soon);
	platform_call_init(&book->call, book_on_reply);
	*ret = book;
	return 0;
}

static void discovery_end(struct discovery *discovery, const struct error *err)
{
	list_remove(&discovery->node);
	platform_call_stop(&discovery->call);
	waiters_call(&discovery->waiters, err);
	free(discovery);
}

void peerbook_stop(struct peerbook *book)
{
	struct error err = { 0 };

	(void)error_set(&err, lifecycle_refusal(*book->member->state), 0,
			"the peers of %s were not asked for: it is %s",
			book->member->settings->name, lifecycle_state_name(*book->member->state));
	loop_work_cancel(&book->fetch_soon);
	platform_call_stop(&book->call);
	while (!list_empty(&book->discoveries))
		discovery_end(list_entry(book->discoveries.next, struct discovery, node), &err);
	waiters_call(&book->waiters, &err);
	waiters_call(&book->farewells, &err);
}

void peerbook_free(struct peerbook *book)
{
	if (!book)
		return;

	peerbook_stop(book);
	peers_free(book->peers, book->n_peers);
	buffer_fini(&book->json);
	error_keep(&book->last_error, NULL);
	free(book);
}

static int64_t book_now_ms(const struct peerbook *book)
{
	return loop_now_ms(book->member->context->loop);
}

static bool is_fresh_at(const struct peerbook *book, int64_t now_ms)
{
	return book->fetched &&
	       now_ms - book->fetched_at_ms < book->member->settings->url_cache_ttl_ms;
}

bool peerbook_is_fresh(const struct peerbook *book)
{
	/* Of a workspace that has no book there is no clock either. */
	return book->fetched && is_fresh_at(book, book_now_ms(book));
}

void peerbook_fetch(struct peerbook *book, struct waiter *waiter)
{
	list_append(&book->waiters, &waiter->node);
	loop_defer(book->member->context->loop, &book->fetch_soon);
}

struct peer *peerbook_find(struct peerbook *book, const char *id_or_name, struct error *err)
{
	char id[UUID_LEN + 1], quoted[80];
	struct peer *found = NULL;

	if (parse_uuid(id_or_name, id) == 0) {
		found = peerbook_find_id(book, id);
		if (found)
			return found;
	}

	(void)error_quote(quoted, sizeof(quoted), id_or_name, strlen(id_or_name));
	for (size_t i = 0; i < book->n_peers; i++) {
		if (strcmp(book->peers[i].name, id_or_name) != 0)
			continue;

		if (found) {
			(void)error_set(err, ERROR_CONFLICT, 0,
					"more than one peer of %s is called \"%s\"; give its id",
					book->member->settings->name, quoted);
			return NULL;
		}
		found = &book->peers[i];
	}

	if (!found)
		(void)error_set(err, ERROR_NOT_FOUND, 0, "%s has no peer \"%s\"",
				book->member->settings->name, quoted);
	return found;
}

bool peer_is_discovered(const struct peerbook *book, const struct peer *peer)
{
	return book_now_ms(book) < peer->direct_until_ms;
}

/* A URL, or the knowledge that there is none. */
static int discovery_note(struct discovery *discovery, const char *url)
{
	struct peerbook *book = discovery->book;
	const struct membership *member = book->member;
	struct peer *peer = peerbook_find_id(book, discovery->id);
	char *copy = NULL;

	if (!peer)
		return 0;

	if (url && peer_url_is_usable(url, member->settings->peer_networks)) {
		copy = strdup(url);
		if (!copy)
			return -ENOMEM;
	}

	free(peer->direct_url);
	peer->direct_url = copy;
	peer->direct_until_ms =
		loop_now_ms(member->context->loop) + member->settings->url_cache_ttl_ms;
	return 0;
}

static void discovery_on_reply(struct platform_call *call, const struct platform_reply *reply)
{
	struct discovery *discovery = container_of(call, struct discovery, call);
	struct error err = reply->err;
	bool known = reply->verdict == PLATFORM_OK;

	/* 503 in the platform's own words: the peer is there and has no URL that it would tell. */
	if (reply->status == 503 && json_get_string(reply->json, "error"))
		known = true;

	if (known && discovery_note(discovery, peers_discovered_url(reply)) < 0) {
		known = false;
		(void)error_set(&err, ERROR_INTERNAL, ENOMEM, "no memory for a peer's URL");
	}
	if (reply->verdict == PLATFORM_UNAUTHORIZED || reply->verdict == PLATFORM_STRAY)
		discovery->book->events->on_doubt(discovery->book->data);

	discovery_end(discovery, known ? NULL : &err);
}

static struct discovery *discovery_begin(struct peerbook *book, const struct peer *peer,
					 struct error *err)
{
	const struct membership *member = book->member;
	struct discovery *discovery;

	discovery = calloc(1, sizeof(*discovery));
	if (!discovery) {
		(void)error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to discover a peer");
		return NULL;
	}

	discovery->book = book;
	(void)snprintf(discovery->id, sizeof(discovery->id), "%s", peer->id);
	list_init(&discovery->waiters);
	platform_call_init(&discovery->call, discovery_on_reply);
	if (peers_discover(&discovery->call, member->platform, member->settings->id,
			   member->token->text, peer->id, err) < 0) {
		free(discovery);
		return NULL;
	}

	list_append(&book->discoveries, &discovery->node);
	return discovery;
}

int peerbook_discover(struct peerbook *book, struct peer *peer, struct waiter *waiter,
		      struct error *err)
{
	struct discovery *discovery = NULL;

	list_for_each (node, &book->discoveries) {
		struct discovery *other = list_entry(node, struct discovery, node);

		if (strcmp(other->id, peer->id) == 0)
			discovery = other;
	}

	if (!discovery)
		discovery = discovery_begin(book, peer, err);
	if (!discovery)
		return -ENOMEM;

	list_append(&discovery->waiters, &waiter->node);
	return 0;
}

static bool knows_url_at(const struct peerbook *book, const struct peer *peer, int64_t now_ms)
{
	return now_ms < peer->direct_until_ms || (!peer->dropped && is_fresh_at(book, now_ms));
}

bool peerbook_knows_url(const struct peerbook *book, const struct peer *peer)
{
	return knows_url_at(book, peer, book_now_ms(book));
}

static const char *direct_url_at(const struct peerbook *book, const struct peer *peer,
				 int64_t now_ms)
{
	if (now_ms < peer->direct_until_ms)
		return peer->direct_url;

	return peer->url_usable && knows_url_at(book, peer, now_ms) ? peer->url : NULL;
}

const char *peerbook_direct_url(const struct peerbook *book, const struct peer *peer)
{
	return direct_url_at(book, peer, book_now_ms(book));
}

bool peerbook_calls_direct_at(const struct peerbook *book, const struct peer *peer, int64_t now_ms)
{
	const struct contact *contact = peer->contact;

	if (contact && (now_ms < contact->avoid_until_ms ||
			breaker_state(&contact->breaker, now_ms) == BREAKER_OPEN))
		return false;

	return direct_url_at(book, peer, now_ms);
}

bool peerbook_calls_direct(const struct peerbook *book, const struct peer *peer)
{
	return peerbook_calls_direct_at(book, peer, book_now_ms(book));
}

struct contact *peerbook_contact(struct peerbook *book, struct peer *peer, struct list *contacts)
{
	if (peer->contact)
		return peer->contact;

	peer->contact = calloc(1, sizeof(*peer->contact));
	if (peer->contact)
		list_append(contacts, &peer->contact->node);
	return peer->contact;
}

/* Where it is may have changed, which would be why: that is found out anew. */
static void drop_url(struct peer *peer)
{
	free(peer->direct_url);
	peer->direct_url = NULL;
	peer->direct_until_ms = 0;
	peer->dropped = true;
}

void peerbook_avoid(struct peerbook *book, struct peer *peer)
{
	const struct membership *member = book->member;

	drop_url(peer);
	if (peer->contact)
		peer->contact->avoid_until_ms =
			loop_now_ms(member->context->loop) + member->settings->url_cache_ttl_ms;
}

bool peerbook_invalidate(struct peerbook *book, struct peer *peer)
{
	bool known = peer_is_discovered(book, peer) || peer->contact;

	drop_url(peer);
	contact_free(TAKE(peer->contact));
	return known;
}

void peerbook_judge_anew(struct peerbook *book)
{
	char *const *networks = book->member->settings->peer_networks;

	for (size_t i = 0; i < book->n_peers; i++) {
		struct peer *peer = &book->peers[i];

		peer->url_usable = peer->url && peer_url_is_usable(peer->url, networks);
		/* One that was not usable is not kept, and what is may be no more. */
		if (peer->direct_until_ms)
			drop_url(peer);
		/* That it could not be called may have been our own rules. */
		if (peer->contact)
			peer->contact->avoid_until_ms = 0;
	}
}
