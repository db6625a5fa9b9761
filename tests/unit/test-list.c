/* SPDX-License-Identifier: MIT */
#include "base/list.h"

#include "lib/test.h"

struct item {
	int value;
	struct list link;
};

static int value_of(struct list *node)
{
	CHECK(node);
	return list_entry(node, struct item, link)->value;
}

TEST(a_fresh_list_is_empty)
{
	struct list head;

	list_init(&head);
	CHECK(list_empty(&head));
	CHECK(!list_pop(&head));
}

TEST(nodes_come_out_in_the_order_of_the_list)
{
	struct item one = { .value = 1 }, two = { .value = 2 }, zero = { .value = 0 };
	struct list head;

	list_init(&head);
	list_append(&head, &one.link);
	list_append(&head, &two.link);
	list_prepend(&head, &zero.link);
	for (int i = 0; i < 3; i++)
		CHECK_INT(value_of(list_pop(&head)), i);
	CHECK(list_empty(&head));
}

TEST(a_node_can_be_put_before_another)
{
	struct item one = { .value = 1 }, two = { .value = 2 };
	struct list head;

	list_init(&head);
	list_append(&head, &two.link);
	list_add_before(&two.link, &one.link);
	CHECK_INT(value_of(head.next), 1);
	CHECK_INT(value_of(head.prev), 2);
}

TEST(removing_a_node_twice_does_no_harm)
{
	struct item one = { .value = 1 }, two = { .value = 2 };
	struct list head;

	list_init(&head);
	list_append(&head, &one.link);
	list_append(&head, &two.link);
	list_remove(&one.link);
	list_remove(&one.link);
	CHECK(list_empty(&one.link));
	CHECK_INT(value_of(head.next), 2);
	CHECK(head.next->next == &head && head.prev->prev == &head);
}

TEST(the_safe_walk_may_remove_what_it_stands_on)
{
	struct item items[5] = { { 0 } };
	struct list head;
	int sum = 0;

	list_init(&head);
	for (int i = 0; i < 5; i++) {
		items[i].value = i;
		list_append(&head, &items[i].link);
	}
	list_for_each_safe (node, &head)
		if (value_of(node) % 2)
			list_remove(node);
	list_for_each (node, &head)
		sum += value_of(node);
	CHECK_INT(sum, 0 + 2 + 4);
}
