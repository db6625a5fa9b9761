/* SPDX-License-Identifier: MIT */
/*
 * Pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986), two-pass variant.
 */

#include "base/heap.h"

/* Makes one tree of two; b's keys come after equal ones of a. Either may be NULL. */
static struct heap_node *merge(struct heap_node *a, struct heap_node *b)
{
	struct heap_node *parent = a, *child = b;

	if (!a || !b)
		return a ? a : b;

	if (b->key < a->key) {
		parent = b;
		child = a;
	}

	child->prev = parent;
	child->next = parent->child;
	if (child->next)
		child->next->prev = child;
	parent->child = child;
	return parent;
}

/* Merges siblings in pairs from left to right, then the pairs from right to left. */
static struct heap_node *merge_siblings(struct heap_node *first)
{
	struct heap_node *pairs = NULL, *all = NULL;

	while (first) {
		struct heap_node *a = first, *b = a->next;

		first = b ? b->next : NULL;
		a->next = NULL;
		if (b)
			b->next = NULL;
		a = merge(a, b);
		a->next = pairs;
		pairs = a;
	}

	while (pairs) {
		struct heap_node *pair = pairs;

		pairs = pair->next;
		pair->next = NULL;
		all = merge(all, pair);
	}

	return all;
}

static void set_root(struct heap *heap, struct heap_node *root)
{
	heap->root = root;
	if (root)
		root->prev = root;
}

void heap_put(struct heap *heap, struct heap_node *node, int64_t key)
{
	*node = (struct heap_node){ .key = key };
	set_root(heap, merge(heap->root, node));
}

void heap_take(struct heap *heap, struct heap_node *node)
{
	struct heap_node *children = merge_siblings(node->child);

	if (heap->root == node) {
		set_root(heap, children);
	} else {
		if (node->prev->child == node)
			node->prev->child = node->next;
		else
			node->prev->next = node->next;
		if (node->next)
			node->next->prev = node->prev;
		set_root(heap, merge(heap->root, children));
	}
	*node = (struct heap_node){ .key = node->key };
}
