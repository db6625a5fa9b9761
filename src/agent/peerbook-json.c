/* SPDX-License-Identifier: MIT */
/*
 * The peers as JSON. What the platform says of them changes with its next list;
 * what we make of it (by which route a call would go, whether the breaker is
 * open) changes with each call, and with time. So the list as it was answered
 * last is kept, and answered again when for each peer that would be the same:
 * to see that is a hundredth of the work, and there is nothing whose change
 * somebody could forget to announce.
 */

#include <errno.h>
#include <string.h>

#include "agent/contact.h"
#include "agent/peerbook-private.h"
#include "base/jsontext.h"

#define VIEW_MAX 48 /* bytes that are added to a row */

static void write_member(struct buffer *out, const char *name, const char *text)
{
	(void)buffer_printf(out, ",\"%s\":", name);
	if (text)
		(void)json_write_string(out, text, strlen(text));
	else
		(void)buffer_append_text(out, "null");
}

void peerbook_write_row(struct buffer *out, const struct peers_row *row, struct peer *peer)
{
	peer->json_at = buffer_len(out);
	(void)buffer_printf(out, "{\"id\":\"%s\"", row->id);
	write_member(out, "name", row->name);
	write_member(out, "role", row->role);
	(void)buffer_printf(out, ",\"tier\":%lld", (long long)row->tier);
	write_member(out, "status", row->status);
	write_member(out, "url", row->url);
	write_member(out, "parent_id", row->parent_id[0] ? row->parent_id : NULL);
	(void)buffer_printf(out,
			    ",\"active_tasks\":%lld,\"agent_card\":", (long long)row->active_tasks);
	if (row->card)
		(void)json_write(out, row->card);
	else
		(void)buffer_append_text(out, "null");
	peer->json_len = buffer_len(out) - peer->json_at;
}

/* What we make of a peer: no two that are written differently are the same. */
static uint8_t peer_view(const struct peerbook *book, const struct peer *peer, int64_t now_ms)
{
	enum breaker_state state = BREAKER_CLOSED;

	if (peer->contact)
		state = breaker_state(&peer->contact->breaker, now_ms);
	return (uint8_t)(state << 1 | peerbook_calls_direct_at(book, peer, now_ms));
}

/* As the platform listed it, and what we make of that. */
static void write_peer(const struct peerbook *book, const struct peer *peer, uint8_t view,
		       struct buffer *out)
{
	(void)buffer_append(out, buffer_at(&book->json) + peer->json_at, peer->json_len);
	(void)buffer_append_text(out, ",\"route\":\"");
	(void)buffer_append_text(out, view & 1 ? "direct" : "proxy");
	(void)buffer_append_text(out, "\",\"breaker\":\"");
	(void)buffer_append_text(out, breaker_state_name((enum breaker_state)(view >> 1)));
	(void)buffer_append_text(out, "\"}");
}

/* Whether the list would be the one that is kept. */
static bool is_list_true(const struct peerbook *book, int64_t now_ms)
{
	if (!book->json_is_list)
		return false;

	for (size_t i = 0; i < book->n_peers; i++)
		if (book->peers[i].view != peer_view(book, &book->peers[i], now_ms))
			return false;

	return true;
}

static size_t list_room(const struct peerbook *book)
{
	size_t len = 2;

	for (size_t i = 0; i < book->n_peers; i++)
		len += book->peers[i].json_len + VIEW_MAX + 1;
	return len;
}

/* The new list takes the place of the old one, or of the rows alone. */
static int renew_list(struct peerbook *book, int64_t now_ms)
{
	struct buffer list = BUFFER_INIT(list_room(book));
	size_t room_len;
	char *room;
	int r;

	/* From here on nothing fails: until there is a new list, the old one is needed. */
	r = buffer_reserve(&list, list.limit, &room, &room_len);
	if (r < 0)
		return r;

	(void)buffer_append_char(&list, '[');
	for (size_t i = 0; i < book->n_peers; i++) {
		struct peer *peer = &book->peers[i];
		size_t at = buffer_len(&list) + (i > 0);

		if (i)
			(void)buffer_append_char(&list, ',');
		peer->view = peer_view(book, peer, now_ms);
		write_peer(book, peer, peer->view, &list);
		peer->json_at = at;
	}
	(void)buffer_append_char(&list, ']');
	buffer_fini(&book->json);
	book->json = list;
	book->json_is_list = true;
	return 0;
}

static bool peer_matches(const struct peer *peer, const char *query)
{
	return strcasestr(peer->name, query) || (peer->role && strcasestr(peer->role, query)) ||
	       strcasestr(peer->id, query);
}

static int write_matches(const struct peerbook *book, const char *query, int64_t now_ms,
			 struct buffer *out)
{
	char before = '[';

	for (size_t i = 0; i < book->n_peers; i++) {
		const struct peer *peer = &book->peers[i];

		if (!peer_matches(peer, query))
			continue;

		(void)buffer_append_char(out, before);
		write_peer(book, peer, peer_view(book, peer, now_ms), out);
		before = ',';
	}
	if (before == '[')
		(void)buffer_append_char(out, '[');
	return buffer_append_char(out, ']');
}

int peerbook_write(struct peerbook *book, const char *query, struct buffer *out)
{
	int64_t now_ms = loop_now_ms(book->member->context->loop);

	if (query)
		return write_matches(book, query, now_ms, out);

	/* Without memory to keep it, it is written all the same: all match nothing. */
	if (!is_list_true(book, now_ms) && renew_list(book, now_ms) < 0)
		return write_matches(book, "", now_ms, out);

	return buffer_append(out, buffer_at(&book->json), buffer_len(&book->json));
}
