/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A priority queue: whatever has the smallest key comes first. It is a pairing
 * heap of embedded nodes, so putting something in cannot fail, and any node can
 * be taken out. Insertion is constant time, removal logarithmic on average.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	int64_t key;
	struct heap_node *child; /* the first one; the others are its siblings */
	struct heap_node *next;  /* sibling */
	struct heap_node
		*prev; /* sibling, or parent of a first child; the root: itself; NULL: in no heap */
};

struct heap {
	struct heap_node *root; /* NULL: empty */
};

static inline bool heap_has(const struct heap_node *node)
{
	return node->prev != NULL;
}

/* The node must be in no heap, and zeroed once before its first use. */
void heap_put(struct heap *heap, struct heap_node *node, int64_t key);
/* The node must be in this heap. */
void heap_take(struct heap *heap, struct heap_node *node);
