/* SPDX-License-Identifier: MIT */
/*
 * Finding the peer that a parameter means.
 */

#include "rpc/peerarg.h"

#include <errno.h>
#include <stdio.h>

#include "agent/workspace.h"

int peerarg_fetch(struct call *call, call_resume_fn resume, struct error *err)
{
	struct waiter *waiter = call_park_asking(&call, resume, err);
	struct peerbook *book;

	if (!waiter)
		return -EIO;

	book = workspace_peerbook(call->workspace, err);
	if (!book)
		return -ENOMEM;

	peerbook_fetch(book, waiter);
	return CALL_PARKED;
}

int peerarg_find(const struct call *call, unsigned index, struct peer **ret, struct error *err)
{
	char name[PEERARG_MAX + 1];
	struct peerbook *book;
	struct peer *peer;
	int r;

	r = call_text(call, index, name, sizeof(name), err);
	if (r < 0)
		return r;

	book = workspace_peerbook(call->workspace, err);
	if (!book)
		return -ENOMEM;

	peer = peerbook_find(book, name, err);
	if (!peer)
		return -ENOENT;

	*ret = peer;
	return 0;
}

/* Not found, or more than one: whether the list that is there is new enough to say so. */
static bool may_be_denied(const struct call *call, const struct peerbook *book,
			  const struct error *why)
{
	int64_t age_ms = loop_now_ms(call->hub->host.loop) - book->fetched_at_ms;

	if (why->kind == ERROR_NOT_FOUND && age_ms >= PEERARG_DENIED_MS)
		return false;

	return peerbook_is_fresh(book);
}

int peerarg_await(struct call *call, unsigned index, call_resume_fn resume, struct error *err)
{
	const struct peerbook *book = workspace_peers(call->workspace);
	struct peer *peer;
	int r;

	if (book->fetched) {
		r = peerarg_find(call, index, &peer, err);
		if (r != -ENOENT || may_be_denied(call, book, err))
			return 0;
	}

	r = peerarg_fetch(call, resume, err);
	return r < 0 && book->fetched ? 0 : r;
}

int peerarg_awaited(const struct call *call, const struct error *failed, struct error *err)
{
	if (!failed || workspace_peers(call->workspace)->fetched)
		return 0;

	return error_copy(err, failed);
}

static int read_id(const struct call *call, unsigned index, char ret_id[static UUID_LEN + 1])
{
	char text[PEERARG_MAX + 1];
	int r;

	r = call_text(call, index, text, sizeof(text), NULL);
	return r < 0 ? r : parse_uuid(text, ret_id);
}

int peerarg_await_id(struct call *call, unsigned index, call_resume_fn resume, struct error *err)
{
	char id[UUID_LEN + 1];

	return read_id(call, index, id) == 0 ? 0 : peerarg_await(call, index, resume, err);
}

int peerarg_id(const struct call *call, unsigned index, char ret_id[static UUID_LEN + 1],
	       struct error *err)
{
	struct peer *peer;
	int r;

	if (read_id(call, index, ret_id) == 0)
		return 0;

	r = peerarg_find(call, index, &peer, err);
	if (r < 0)
		return r;

	(void)snprintf(ret_id, UUID_LEN + 1, "%s", peer->id);
	return 0;
}
