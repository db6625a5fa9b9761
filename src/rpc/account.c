/* SPDX-License-Identifier: MIT */
/*
 * A list, the most recently used first: hosts have few users, and those who
 * call are mostly the same.
 */

#include "rpc/account.h"

#include <stdlib.h>

void accounts_init(struct accounts *accounts)
{
	*accounts = (struct accounts){ 0 };
	list_init(&accounts->list);
}

void accounts_fini(struct accounts *accounts)
{
	struct list *node;

	while ((node = list_pop(&accounts->list)))
		free(list_entry(node, struct account, node));
}

/* The one without a connection that was used least recently. */
static void forget_oldest(struct accounts *accounts)
{
	for (struct list *node = accounts->list.prev; node != &accounts->list; node = node->prev) {
		struct account *account = list_entry(node, struct account, node);

		if (account->n_connections)
			continue;

		list_remove(node);
		free(account);
		accounts->n_idle--;
		return;
	}
}

static struct account *find(const struct accounts *accounts, uid_t uid)
{
	list_for_each (node, &accounts->list) {
		struct account *account = list_entry(node, struct account, node);

		if (account->uid == uid)
			return account;
	}

	return NULL;
}

struct account *accounts_get(struct accounts *accounts, uid_t uid)
{
	struct account *account = find(accounts, uid);

	if (!account) {
		if (accounts->n_idle >= ACCOUNTS_IDLE_MAX)
			forget_oldest(accounts);
		account = calloc(1, sizeof(*account));
		if (!account)
			return NULL;

		list_init(&account->node);
		account->uid = uid;
		accounts->n_idle++;
	}

	list_remove(&account->node);
	list_prepend(&accounts->list, &account->node);
	return account;
}

void account_connect(struct accounts *accounts, struct account *account)
{
	if (account->n_connections++ == 0)
		accounts->n_idle--;
}

void account_disconnect(struct accounts *accounts, struct account *account)
{
	if (--account->n_connections == 0)
		accounts->n_idle++;
	if (accounts->n_idle > ACCOUNTS_IDLE_MAX)
		forget_oldest(accounts);
}

bool account_tells(struct account *account, int64_t now_ms, uint64_t *ret_untold)
{
	if (account->told_ms && now_ms - account->told_ms < ACCOUNT_TELL_MS) {
		account->n_untold++;
		return false;
	}

	*ret_untold = account->n_untold;
	account->n_untold = 0;
	account->told_ms = now_ms;
	return true;
}
