/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Intrusive doubly linked list. The list is a ring through its head; a node
 * that is in no list points to itself, so taking it out twice does no harm.
 */

#include <stdbool.h>

#include "base/util.h"

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *list)
{
	list->prev = list->next = list;
}

static inline bool list_empty(const struct list *list)
{
	return list->next == list;
}

/* Puts node before at: at the end, when at is the head. */
static inline void list_add_before(struct list *at, struct list *node)
{
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}

static inline void list_append(struct list *head, struct list *node)
{
	list_add_before(head, node);
}

static inline void list_prepend(struct list *head, struct list *node)
{
	list_add_before(head->next, node);
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Takes the first node out of the list; NULL when there is none. */
static inline struct list *list_pop(struct list *head)
{
	struct list *node = head->next;

	if (node == head)
		return NULL;

	list_remove(node);
	return node;
}

#define list_entry(node, type, member) container_of(node, type, member)

/* The body may not remove any node; list_for_each_safe lets it remove pos. */
#define list_for_each(pos, head) \
	for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define list_for_each_safe(pos, head)                                                 \
	for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head); \
	     pos = pos##_next, pos##_next = pos->next)
