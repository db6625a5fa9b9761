/* SPDX-License-Identifier: MIT */
#include "agent/waiter.h"

#include "lib/test.h"

#define N_MOST 4

/* What one waiter does when it is called, and what it was told. */
struct guest {
	struct waiter waiter;
	int called;
	bool failed;
	struct waiter *cancels; /* or NULL */
	struct list *again;     /* waits again there, or NULL */
};

static void on_done(struct waiter *waiter, const struct error *err)
{
	struct guest *guest = container_of(waiter, struct guest, waiter);

	guest->called++;
	guest->failed = err;
	CHECK(!waiter_is_waiting(waiter));
	if (guest->cancels)
		waiter_cancel(guest->cancels);
	if (guest->again)
		list_append(guest->again, &waiter->node);
}

static void seat(struct list *waiters, struct guest *guests, int n)
{
	list_init(waiters);
	for (int i = 0; i < n; i++) {
		guests[i] = (struct guest){ .called = 0 };
		waiter_init(&guests[i].waiter, on_done);
		list_append(waiters, &guests[i].waiter.node);
	}
}

TEST(all_are_called_once_and_wait_no_more)
{
	struct guest guests[N_MOST];
	struct list waiters;

	seat(&waiters, guests, N_MOST);
	CHECK(waiter_is_waiting(&guests[0].waiter));
	waiters_call(&waiters, NULL);
	waiters_call(&waiters, NULL);
	for (int i = 0; i < N_MOST; i++) {
		CHECK_INT(guests[i].called, 1);
		CHECK(!guests[i].failed);
		CHECK(!waiter_is_waiting(&guests[i].waiter));
	}
	CHECK(list_empty(&waiters));
}

TEST(all_are_told_of_the_failure)
{
	struct error err = { .kind = ERROR_UNAVAILABLE };
	struct guest guests[2];
	struct list waiters;

	seat(&waiters, guests, 2);
	waiters_call(&waiters, &err);
	CHECK(guests[0].failed && guests[1].failed);
}

TEST(one_that_is_cancelled_is_not_called)
{
	struct guest guests[3];
	struct list waiters;

	seat(&waiters, guests, 3);
	waiter_cancel(&guests[1].waiter);
	waiter_cancel(&guests[1].waiter);
	waiters_call(&waiters, NULL);
	CHECK_INT(guests[0].called, 1);
	CHECK_INT(guests[1].called, 0);
	CHECK_INT(guests[2].called, 1);
}

TEST(one_may_cancel_the_next_while_it_is_called)
{
	struct guest guests[3];
	struct list waiters;

	seat(&waiters, guests, 3);
	guests[0].cancels = &guests[1].waiter;
	waiters_call(&waiters, NULL);
	CHECK_INT(guests[1].called, 0);
	CHECK_INT(guests[2].called, 1);
}

TEST(one_that_waits_again_waits_for_the_next_time)
{
	struct guest guests[2];
	struct list waiters;

	seat(&waiters, guests, 2);
	guests[0].again = &waiters;
	waiters_call(&waiters, NULL);
	CHECK_INT(guests[0].called, 1);
	CHECK(waiter_is_waiting(&guests[0].waiter));

	guests[0].again = NULL;
	waiters_call(&waiters, NULL);
	CHECK_INT(guests[0].called, 2);
	CHECK_INT(guests[1].called, 1);
}

static void on_done_free(struct waiter *waiter, const struct error *err)
{
	free(container_of(waiter, struct guest, waiter));
}

TEST(one_may_free_itself)
{
	struct list waiters;

	list_init(&waiters);
	for (int i = 0; i < 3; i++) {
		struct guest *guest = calloc(1, sizeof(*guest));

		CHECK(guest);
		waiter_init(&guest->waiter, on_done_free);
		list_append(&waiters, &guest->waiter.node);
	}
	waiters_call(&waiters, NULL);
	CHECK(list_empty(&waiters));
}

static void on_left(void *data)
{
	++*(int *)data;
}

TEST(who_asked_hears_that_a_waiter_has_left)
{
	struct guest guests[2];
	struct list waiters;
	int left = 0;

	seat(&waiters, guests, 2);
	waiter_watch(&guests[0].waiter, on_left, &left);
	waiter_cancel(&guests[1].waiter);
	CHECK_INT(left, 0);
	waiter_cancel(&guests[0].waiter);
	CHECK_INT(left, 1);
	waiter_cancel(&guests[0].waiter);
	CHECK_INT(left, 1);
	CHECK_INT(guests[0].called, 0);
}

TEST(nobody_hears_of_one_who_leaves_when_it_is_over)
{
	struct guest guests[2];
	struct list waiters;
	int left = 0;

	seat(&waiters, guests, 2);
	waiter_watch(&guests[0].waiter, on_left, &left);
	waiter_watch(&guests[1].waiter, on_left, &left);
	guests[0].cancels = &guests[1].waiter;
	waiters_call(&waiters, NULL);
	waiter_cancel(&guests[0].waiter);
	CHECK_INT(guests[0].called, 1);
	CHECK_INT(guests[1].called, 0);
	CHECK_INT(left, 0);
}
