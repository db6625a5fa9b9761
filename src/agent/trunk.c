/* SPDX-License-Identifier: MIT */
/*
 * Shares: what each party holds, against what is left.
 *
 * Switches have shared the memory for their queues in this way for long
 * (dynamic queue length thresholds, Choudhury and Hahne): no number has to be
 * chosen for how many will want how much, and a part is always kept free for
 * those who have not come yet.
 */

#include "agent/trunk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * How often what is left for others a party may hold. A peer has at most half of
 * all, and the next one half of what it has left. A caller has seven eighths:
 * with three peers that do not answer, and he is the only one on most hosts.
 */
static const unsigned party_times[] = { [PARTY_PEER] = 1, [PARTY_CALLER] = 7 };

void trunks_init(struct trunks *trunks)
{
	list_init(&trunks->idle);
	list_init(&trunks->waiting);
	for (int kind = 0; kind <= PARTY_KIND_LAST; kind++)
		list_init(&trunks->parties[kind]);
}

static bool party_is(const struct party *party, const char *id, uid_t uid)
{
	return party->uid == uid && strcmp(party->id, id) == 0;
}

static struct party *party_get(struct list *parties, const char *id, uid_t uid)
{
	struct party *party;

	list_for_each (node, parties) {
		party = list_entry(node, struct party, node);
		if (party_is(party, id, uid))
			return party;
	}

	party = calloc(1, sizeof(*party));
	if (!party)
		return NULL;

	(void)snprintf(party->id, sizeof(party->id), "%s", id);
	party->uid = uid;
	list_append(parties, &party->node);
	return party;
}

static void party_put(struct party *party)
{
	if (!party || party->n_trunks)
		return;

	assert(!party->n_open && !party->n_waiting && !party->bytes);
	list_remove(&party->node);
	free(party);
}

static struct trunk *trunk_find(struct list *trunks, const char *peer, const char *workspace,
				uid_t uid)
{
	list_for_each (node, trunks) {
		struct trunk *trunk = list_entry(node, struct trunk, node);

		if (party_is(trunk->parties[PARTY_PEER], peer, 0) &&
		    party_is(trunk->parties[PARTY_CALLER], workspace, uid))
			return trunk;
	}
	return NULL;
}

static struct trunk *trunk_new(struct trunks *trunks, const char *peer, const char *workspace,
			       uid_t uid)
{
	struct trunk *trunk;

	trunk = calloc(1, sizeof(*trunk));
	if (!trunk)
		return NULL;

	list_init(&trunk->node);
	list_init(&trunk->waiting);
	trunk->parties[PARTY_PEER] = party_get(&trunks->parties[PARTY_PEER], peer, 0);
	trunk->parties[PARTY_CALLER] = party_get(&trunks->parties[PARTY_CALLER], workspace, uid);
	if (!trunk->parties[PARTY_PEER] || !trunk->parties[PARTY_CALLER]) {
		party_put(trunk->parties[PARTY_PEER]);
		party_put(trunk->parties[PARTY_CALLER]);
		free(trunk);
		return NULL;
	}

	for (int kind = 0; kind <= PARTY_KIND_LAST; kind++)
		trunk->parties[kind]->n_trunks++;
	list_append(&trunks->idle, &trunk->node);
	return trunk;
}

struct trunk *trunk_get(struct trunks *trunks, const char *peer, const char *workspace, uid_t uid)
{
	struct trunk *trunk = trunk_find(&trunks->waiting, peer, workspace, uid);

	if (!trunk)
		trunk = trunk_find(&trunks->idle, peer, workspace, uid);
	return trunk ? trunk : trunk_new(trunks, peer, workspace, uid);
}

void trunk_put(struct trunk *trunk)
{
	if (!trunk || trunk->n_lines)
		return;

	list_remove(&trunk->node);
	for (int kind = 0; kind <= PARTY_KIND_LAST; kind++) {
		trunk->parties[kind]->n_trunks--;
		party_put(trunk->parties[kind]);
	}
	free(trunk);
}

/* To the end of those whose turn comes, or to those that have none. */
static void trunk_settle(struct trunk *trunk, struct trunks *trunks)
{
	list_remove(&trunk->node);
	list_append(list_empty(&trunk->waiting) ? &trunks->idle : &trunks->waiting, &trunk->node);
}

void trunk_add(struct trunk *trunk, struct trunks *trunks, struct list *line, size_t bytes)
{
	bool first = list_empty(&trunk->waiting);

	list_append(&trunk->waiting, line);
	trunk->n_lines++;
	for (int kind = 0; kind <= PARTY_KIND_LAST; kind++) {
		trunk->parties[kind]->n_waiting++;
		trunk->parties[kind]->bytes += bytes;
	}
	if (first)
		trunk_settle(trunk, trunks);
}

void trunk_open(struct trunk *trunk, struct trunks *trunks, struct list *line)
{
	list_remove(line);
	for (int kind = 0; kind <= PARTY_KIND_LAST; kind++) {
		trunk->parties[kind]->n_waiting--;
		trunk->parties[kind]->n_open++;
	}
	trunk_settle(trunk, trunks);
}

void trunk_remove(struct trunk *trunk, struct trunks *trunks, struct list *line, bool open,
		  size_t bytes)
{
	list_remove(line);
	trunk->n_lines--;
	for (int kind = 0; kind <= PARTY_KIND_LAST; kind++) {
		struct party *party = trunk->parties[kind];

		party->bytes -= bytes;
		if (open)
			party->n_open--;
		else
			party->n_waiting--;
	}
	/* Those that wait keep their turn. */
	if (list_empty(&trunk->waiting))
		trunk_settle(trunk, trunks);
	trunk_put(trunk);
}

enum trunk_verdict trunk_judge(const struct trunk *trunk, const struct trunk_left *left,
			       size_t bytes, enum party_kind *ret_kind)
{
	for (int kind = 0; kind <= PARTY_KIND_LAST; kind++) {
		const struct party *party = trunk->parties[kind];

		*ret_kind = (enum party_kind)kind;
		if (party->n_open + party->n_waiting >= left->lines * party_times[kind])
			return TRUNK_HAS_LINES;

		if (party->bytes + bytes > left->bytes * party_times[kind])
			return TRUNK_HAS_BYTES;
	}
	return TRUNK_FITS;
}

static bool trunk_may_open(const struct trunk *trunk, uint64_t n_free)
{
	for (int kind = 0; kind <= PARTY_KIND_LAST; kind++)
		if (trunk->parties[kind]->n_open >= n_free * party_times[kind])
			return false;

	return true;
}

struct trunk *trunks_next(const struct trunks *trunks, uint64_t n_free)
{
	list_for_each (node, &trunks->waiting) {
		struct trunk *trunk = list_entry(node, struct trunk, node);

		if (trunk_may_open(trunk, n_free))
			return trunk;
	}
	return NULL;
}
