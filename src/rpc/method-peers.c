/* SPDX-License-Identifier: MIT */
/*
 * peers.*: whom a workspace may talk to, and where.
 */

#include <errno.h>
#include <string.h>

#include "agent/workspace.h"
#include "rpc/call.h"
#include "rpc/method.h"
#include "rpc/peerarg.h"
#include "rpc/status.h"
#include "rpc/writer.h"

#define QUERY_MAX 256

enum {
	LIST_WORKSPACE,
	LIST_QUERY,
	LIST_REFRESH
};
enum {
	PEER_WORKSPACE,
	PEER_PEER,
	PEER_REFRESH
};

static int answer_list(struct call *call, struct error *err)
{
	struct peerbook *book = call->workspace->peerbook; /* it has a list */
	char query[QUERY_MAX + 1];
	struct buffer *out;
	int r;

	r = call_text(call, LIST_QUERY, query, sizeof(query), err);
	if (r < 0)
		return r;

	out = call_result(call);
	(void)buffer_append_text(out, "{\"peers\":");
	(void)peerbook_write(book, query[0] ? query : NULL, out);
	status_write_fetched_at(out, book->fetched, book->fetched_wall_ms);
	(void)buffer_append_char(out, '}');
	return 0;
}

/* An old list is better than none, unless a new one was asked for. */
static bool may_serve_old(const struct call *call)
{
	return workspace_peers(call->workspace)->fetched &&
	       call->workspace->state != LIFECYCLE_REMOVED && !call->args[LIST_REFRESH].boolean;
}

static int list_fetched(struct call *call, const struct error *failed, struct error *err)
{
	if (failed && !may_serve_old(call)) {
		*err = *failed;
		return -EIO;
	}

	if (!workspace_peers(call->workspace)->fetched)
		return error_set(err, ERROR_UNAVAILABLE, ENODATA,
				 "there are no peers of %s any more",
				 call->workspace->settings.name);

	return answer_list(call, err);
}

static int peers_list(struct call *call, struct error *err)
{
	struct error why;
	int r;

	if (peerbook_is_fresh(workspace_peers(call->workspace)) &&
	    !call->args[LIST_REFRESH].boolean)
		return answer_list(call, err);

	r = peerarg_fetch(call, list_fetched, &why);
	return r < 0 ? list_fetched(call, &why, err) : r;
}

static int answer_peer(struct call *call, const struct peer *peer)
{
	const struct peerbook *book = workspace_peers(call->workspace);
	int64_t left_ms = peer->direct_until_ms - loop_now_ms(call->hub->host.loop);
	struct buffer *out = call_result(call);

	writer_open(out, NULL, '{');
	writer_text(out, "id", peer->id);
	writer_text(out, "name", peer->name);
	writer_text(out, "url", peer->direct_url);
	writer_text(out, "route", peerbook_calls_direct(book, peer) ? "direct" : "proxy");
	writer_time(out, "expires_at", wall_now_ms() + MAX(left_ms, (int64_t)0));
	writer_close(out, '}');
	return 0;
}

static int discovered(struct call *call, const struct error *failed, struct error *err)
{
	struct peer *peer;
	int r;

	if (failed) {
		*err = *failed;
		return -EIO;
	}

	/* The list may have been replaced meanwhile. */
	r = peerarg_find(call, PEER_PEER, &peer, err);
	return r < 0 ? r : answer_peer(call, peer);
}

static int discover(struct call *call, struct error *err)
{
	struct peerbook *book = call->workspace->peerbook;
	struct waiter *waiter;
	struct peer *peer;
	int r;

	r = peerarg_find(call, PEER_PEER, &peer, err);
	if (r < 0)
		return r;

	if (!call->args[PEER_REFRESH].boolean && peer_is_discovered(book, peer))
		return answer_peer(call, peer);

	waiter = call_park_asking(&call, discovered, err);
	if (!waiter)
		return -EIO;

	if (call->args[PEER_REFRESH].boolean)
		(void)peerbook_invalidate(book, peer);
	r = peerbook_discover(book, peer, waiter, err);
	return r < 0 ? r : CALL_PARKED;
}

static int discover_in_new_list(struct call *call, const struct error *failed, struct error *err)
{
	int r;

	r = peerarg_awaited(call, failed, err);
	return r < 0 ? r : discover(call, err);
}

static int peers_discover(struct call *call, struct error *err)
{
	int r;

	r = peerarg_await(call, PEER_PEER, discover_in_new_list, err);
	return r ? r : discover(call, err);
}

static int invalidate(struct call *call, struct error *err)
{
	struct buffer *out;
	struct peer *peer;
	bool dropped;
	int r;

	r = peerarg_find(call, PEER_PEER, &peer, err);
	if (r < 0)
		return r;

	dropped = peerbook_invalidate(call->workspace->peerbook, peer);
	out = call_result(call);
	writer_open(out, NULL, '{');
	writer_bool(out, "dropped", dropped);
	writer_close(out, '}');
	return 0;
}

static int invalidate_in_new_list(struct call *call, const struct error *failed, struct error *err)
{
	int r;

	r = peerarg_awaited(call, failed, err);
	return r < 0 ? r : invalidate(call, err);
}

static int peers_invalidate(struct call *call, struct error *err)
{
	int r;

	r = peerarg_await(call, PEER_PEER, invalidate_in_new_list, err);
	return r ? r : invalidate(call, err);
}

#define THE_PEER                                                                           \
	{                                                                                  \
		"peer", FIELD_STRING, FIELD_REQUIRED, .help = "id, or a name only one has" \
	}

const struct method methods_peers[] = {
	{ "peers.list", POLICY_READ, peers_list, "list whom the workspace may talk to",
	  FIELDS(FIELD_THE_WORKSPACE,
		 { "query", FIELD_STRING, .help = "only those whose name, role or id holds this" },
		 { "refresh", FIELD_BOOLEAN, .help = "ask the platform now" }),
	  FIELDS({ "peers", FIELD_OBJECTS,
		   .help = "id, name, role, tier, status, url, parent_id, active_tasks, agent_card, "
			   "route, breaker" },
		 { "fetched_at", FIELD_TIME, .help = "when the platform said so" }) },
	{ "peers.discover", POLICY_READ, peers_discover, "find out where a peer can be called",
	  FIELDS(FIELD_THE_WORKSPACE, THE_PEER,
		 { "refresh", FIELD_BOOLEAN, .help = "ask the platform now" }),
	  FIELDS({ "id", FIELD_STRING, .help = "the peer's id" },
		 { "name", FIELD_STRING, .help = "the peer's name" },
		 { "url", FIELD_STRING, FIELD_NULLABLE, .help = "where it is, if we may go there" },
		 { "route", FIELD_STRING, .help = "\"direct\" or \"proxy\"" },
		 { "expires_at", FIELD_TIME, .help = "until when this is taken for true" }) },
	{ "peers.invalidate", POLICY_USE, peers_invalidate, "forget where a peer can be called",
	  FIELDS(FIELD_THE_WORKSPACE, THE_PEER),
	  FIELDS({ "dropped", FIELD_BOOLEAN, .help = "whether something was known" }) },
	{ 0 },
};
