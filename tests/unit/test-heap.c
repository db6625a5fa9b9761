/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "lib/test.h"

#define N 2000

static struct heap_node nodes[N];

TEST(an_empty_heap_has_no_root)
{
	struct heap heap = { 0 };

	CHECK(!heap.root);
	CHECK(!heap_has(&nodes[0]));
}

TEST(the_smallest_key_comes_first)
{
	struct heap heap = { 0 };

	heap_put(&heap, &nodes[0], 5);
	heap_put(&heap, &nodes[1], -3);
	heap_put(&heap, &nodes[2], 7);
	CHECK(heap.root == &nodes[1]);
	heap_take(&heap, &nodes[1]);
	CHECK(!heap_has(&nodes[1]));
	CHECK(heap.root == &nodes[0]);
	heap_take(&heap, &nodes[0]);
	heap_take(&heap, &nodes[2]);
	CHECK(!heap.root);
}

TEST(a_node_that_was_taken_can_be_put_again)
{
	struct heap heap = { 0 };

	heap_put(&heap, &nodes[0], 1);
	heap_take(&heap, &nodes[0]);
	heap_put(&heap, &nodes[0], 2);
	CHECK(heap.root == &nodes[0] && heap.root->key == 2);
}

/* What is in, kept by hand. */
static int64_t smallest(const bool in[])
{
	int64_t key = INT64_MAX;

	for (size_t i = 0; i < N; i++)
		if (in[i] && nodes[i].key < key)
			key = nodes[i].key;
	return key;
}

TEST(random_puts_and_takes_keep_the_order)
{
	static bool in[N];
	struct heap heap = { 0 };
	size_t n = 0;

	for (int step = 0; step < 20000; step++) {
		size_t i = random_u32() % N;

		CHECK(heap_has(&nodes[i]) == in[i]);
		if (in[i]) {
			heap_take(&heap, &nodes[i]);
			n--;
		} else {
			heap_put(&heap, &nodes[i], random_u32() % 1000);
			n++;
		}
		in[i] = !in[i];
		if (step % 97 == 0 && n)
			CHECK_INT(heap.root->key, smallest(in));
		CHECK(!heap.root == !n);
	}

	for (int64_t last = INT64_MIN; heap.root; n--) {
		CHECK(heap.root->key >= last);
		last = heap.root->key;
		heap_take(&heap, heap.root);
	}
	CHECK_INT(n, 0);
}
