/* SPDX-License-Identifier: MIT */
/*
 * Delegations through what happens to a workspace, to us, and to the disk.
 */

#include "agent/outbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/outboxes.h"
#include "base/fd.h"
#include "outbox-fixture.h"

/* Up to online; what an earlier life has begun goes on. */
static void come_back(struct fixture *fixture)
{
	fixture_restart(fixture);
	fixture_begin(fixture);
	fixture_answer(fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(fixture, POST_BEAT, 200, "{\"status\":\"ok\"}");
	fixture_answer(fixture, GET_STATE, 200, STATE("online"));
	fixture_answer_rest(fixture);
	fixture_settle_store(fixture);
	CHECK_INT(fixture->workspace->state, LIFECYCLE_ONLINE);
}

TEST(what_was_not_sent_is_sent_by_the_next_life)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do it", "mine", &told);
	/* It may have got there. */
	CHECK(fixture_expect(&fixture, POST_DELEGATE));

	come_back(&fixture);
	CHECK(strstr(fixture_expect(&fixture, POST_DELEGATE)->body, "\"mine\""));
	outbox_answer(&fixture, POST_DELEGATE, 202, ACCEPTED);
	CHECK_TEXT(outbox_sql(&fixture, "SELECT status FROM delegation"), "delegated");
	CHECK_TEXT(outbox_sql(&fixture, "SELECT id FROM delegation"), told.id);
	fixture_fini(&fixture);
}

TEST(what_the_platform_has_is_followed_by_the_next_life)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	come_back(&fixture);
	fixture_expect_quiet(&fixture);
	outbox_poll(&fixture, 200, LISTED("completed"));
	CHECK_TEXT(outbox_sql(&fixture, "SELECT status FROM delegation"), "completed");

	/* It has ended: nobody has to be asked about it. */
	come_back(&fixture);
	CHECK(!fixture.workspace->outbox);
	fixture_fini(&fixture);
}

TEST(workspaces_without_delegations_have_no_outbox_and_no_journal)
{
	struct fixture fixture;

	outbox_begin(&fixture);
	fixture_settle_store(&fixture);
	CHECK(!fixture.workspace->outbox);
	CHECK(!file_exists("state/" STORE_FILE));
	fixture_fini(&fixture);
}

TEST(a_paused_workspace_sends_and_asks_nothing)
{
	struct fixture fixture;
	struct told told, tried;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "one", &told);
	outbox_order(&fixture, "two", NULL, &told);
	told_init(&tried, &fixture);
	CHECK(outbox_await_try(outbox_of(&fixture), told.id, &tried.waiter));

	outbox_turn_to(&fixture, STATE("paused"));
	CHECK_TEXT(tried.status, "pending");
	CHECK(!fake_http_find(fixture.http, POST_DELEGATE));
	CHECK(!timer_is_running(&outbox_of(&fixture)->follow_timer));
	CHECK(!timer_is_running(&outbox_of(&fixture)->send_timer));

	outbox_turn_to(&fixture, STATE("online"));
	outbox_answer(&fixture, POST_DELEGATE, 202, ACCEPTED);
	CHECK(timer_is_running(&outbox_of(&fixture)->follow_timer));
	CHECK_INT(outbox_of(&fixture)->n_open[DELEGATE_DELEGATED], 2);
	fixture_fini(&fixture);
}

TEST(a_pause_while_the_disk_is_busy_takes_the_turn_back)
{
	struct outbox_order order = { TO, "do it", 5, NULL };
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	told_init(&told, &fixture);
	fixture_expire(&fixture, AGENDA_POLL);
	CHECK_INT(outbox_create(told.outbox, &order, &told.waiter, NULL), 0);
	fixture_answer(&fixture, GET_STATE, 200, STATE("paused"));
	fixture_settle_store(&fixture);
	CHECK_TEXT(told.status, "pending");
	fixture_expect_quiet(&fixture);
	CHECK_INT(told.outbox->n_sending, 0);
	fixture_fini(&fixture);
}

TEST(when_the_workspace_is_deleted_all_that_was_handed_out_ends)
{
	struct told sent, unsent, ended;
	struct fixture fixture;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "sent", &sent);
	outbox_turn_to(&fixture, STATE("paused"));
	outbox_order(&fixture, "not sent", NULL, &unsent);
	told_init(&ended, &fixture);
	CHECK(outbox_await_end(outbox_of(&fixture), unsent.id, &ended.waiter));

	fixture_expire(&fixture, AGENDA_POLL);
	fixture_answer(&fixture, GET_STATE, 404, "{\"workspace_id\":\"" ID "\",\"deleted\":true}");
	fixture_settle_store(&fixture);
	CHECK_INT(fixture.workspace->state, LIFECYCLE_REMOVED);
	CHECK_TEXT(ended.status, "failed");
	CHECK(strstr(ended.error, "was not sent"));
	CHECK_TEXT(outbox_sql(&fixture, "SELECT group_concat(status) FROM delegation"),
		   "unknown,failed");
	CHECK(list_empty(&outbox_of(&fixture)->entries));
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(who_waits_when_the_workspace_leaves_is_told)
{
	struct fixture fixture;
	struct told told, ended, listed;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	told_init(&ended, &fixture);
	told_init(&listed, &fixture);
	CHECK(outbox_await_end(outbox_of(&fixture), told.id, &ended.waiter));
	CHECK_INT(outbox_list(outbox_of(&fixture), &(struct outbox_selection){ .limit = 50 },
			      &listed.waiter, NULL),
		  0);
	workspace_stop(fixture.workspace);
	CHECK_INT(ended.called, 1);
	CHECK_INT(ended.err.kind, ERROR_UNAVAILABLE);
	CHECK_INT(listed.called, 1);
	CHECK_INT(listed.err.kind, ERROR_UNAVAILABLE);
	fixture_settle_store(&fixture);
	CHECK_INT(listed.called, 1);
	fixture_fini(&fixture);
}

TEST(a_workspace_that_comes_back_goes_on)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, false, NULL), 0);
	fixture_begin(&fixture);
	fixture_settle_store(&fixture);
	CHECK(fixture.workspace->outbox);
	CHECK(outbox_look(fixture.workspace->outbox, told.id));
	fixture_fini(&fixture);
}

TEST(another_workspaces_rows_are_left_alone)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, false, NULL), 0);
	fixture_set(&fixture, "platform_url", "https://elsewhere.test");
	fixture_begin(&fixture);
	fixture_settle_store(&fixture);
	CHECK(!fixture.workspace->outbox);
	fixture_fini(&fixture);
}

TEST(what_the_disk_does_not_take_is_not_sent)
{
	struct outbox_order order = { TO, "do it", 5, NULL };
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_order(&fixture, "first", NULL, &told);
	outbox_answer(&fixture, POST_DELEGATE, 202, ACCEPTED);
	(void)outbox_sql(&fixture, "CREATE TRIGGER full BEFORE INSERT ON delegation"
				   " BEGIN SELECT RAISE(ABORT, 'full'); END");
	told_init(&told, &fixture);
	CHECK_INT(outbox_create(told.outbox, &order, &told.waiter, NULL), 0);
	fixture_settle_store(&fixture);
	CHECK_INT(told.called, 1);
	CHECK(told.err.kind != ERROR_NONE);
	CHECK_TEXT(fixture.told, "pending delegated");
	CHECK_INT(told.outbox->n_unwritten, 0);
	CHECK_INT(told.outbox->unwritten_len, 0);
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(what_became_of_it_and_is_not_written_down_has_not_happened)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do it", "mine", &told);
	(void)outbox_sql(&fixture, "CREATE TRIGGER full BEFORE UPDATE ON delegation"
				   " BEGIN SELECT RAISE(ABORT, 'full'); END");
	outbox_answer(&fixture, POST_DELEGATE, 202, ACCEPTED);
	CHECK_TEXT(fixture.told, "pending");
	(void)outbox_sql(&fixture, "DROP TRIGGER full");

	/* The platform knows the key. */
	outbox_expire(&fixture, &outbox_of(&fixture)->send_timer);
	fixture_settle_store(&fixture);
	CHECK(strstr(fixture_expect(&fixture, POST_DELEGATE)->body, "\"mine\""));
	outbox_answer(&fixture, POST_DELEGATE, 200, ACCEPTED);
	CHECK_TEXT(fixture.told, "pending delegated");

	(void)outbox_sql(&fixture, "CREATE TRIGGER full BEFORE UPDATE ON delegation"
				   " BEGIN SELECT RAISE(ABORT, 'full'); END");
	outbox_poll(&fixture, 200, LISTED("completed"));
	CHECK_TEXT(fixture.told, "pending delegated");
	(void)outbox_sql(&fixture, "DROP TRIGGER full");
	outbox_poll(&fixture, 200, LISTED("completed"));
	CHECK_TEXT(fixture.told, "pending delegated completed");
	fixture_fini(&fixture);
}

static void list_before(struct fixture *fixture, const struct outbox_selection *selection,
			struct told *told)
{
	told_init(told, fixture);
	CHECK_INT(outbox_list(told->outbox, selection, &told->waiter, NULL), 0);
	fixture_settle_store(fixture);
	CHECK_INT(told->called, 1);
}

static void list(struct fixture *fixture, const enum delegate_status *status, size_t limit,
		 struct told *told)
{
	list_before(fixture, &(struct outbox_selection){ .status = status, .limit = limit }, told);
}

TEST(the_newest_are_listed_first)
{
	enum delegate_status pending = DELEGATE_PENDING, failed = DELEGATE_FAILED;
	struct told one, two, three, listed;
	struct fixture fixture;

	outbox_begin(&fixture);
	outbox_order(&fixture, "one", NULL, &one);
	outbox_answer(&fixture, POST_DELEGATE, 400, "{\"error\":\"no\"}");
	outbox_order(&fixture, "two", NULL, &two);
	outbox_order(&fixture, "three", NULL, &three);
	list(&fixture, NULL, 50, &listed);
	CHECK_INT(listed.n, 3);
	CHECK_TEXT(listed.id, three.id);
	list(&fixture, NULL, 1, &listed);
	CHECK_INT(listed.n, 1);
	CHECK_TEXT(listed.id, three.id);
	list(&fixture, &pending, 50, &listed);
	CHECK_INT(listed.n, 2);
	list(&fixture, &failed, 50, &listed);
	CHECK_INT(listed.n, 1);
	CHECK_TEXT(listed.id, one.id);
	fixture_fini(&fixture);
}

TEST(a_list_goes_on_where_another_one_ended)
{
	enum delegate_status failed = DELEGATE_FAILED;
	struct told one, two, three, listed;
	struct outbox_selection selection = { .limit = 50 };
	struct fixture fixture;

	outbox_begin(&fixture);
	outbox_order(&fixture, "one", NULL, &one);
	outbox_answer(&fixture, POST_DELEGATE, 400, "{\"error\":\"no\"}");
	outbox_order(&fixture, "two", NULL, &two);
	outbox_order(&fixture, "three", NULL, &three);
	/* Within one millisecond, as may be, or after the clock was set back. */
	(void)outbox_sql(&fixture, "UPDATE delegation SET created_at = 1000");

	selection.before = three.id;
	list_before(&fixture, &selection, &listed);
	CHECK_INT(listed.n, 2);
	CHECK_TEXT(listed.id, two.id);
	selection.status = &failed;
	list_before(&fixture, &selection, &listed);
	CHECK_INT(listed.n, 1);
	CHECK_TEXT(listed.id, one.id);
	selection = (struct outbox_selection){ .limit = 50, .before = one.id };
	list_before(&fixture, &selection, &listed);
	CHECK_INT(listed.n, 0);
	CHECK_INT(listed.err.kind, ERROR_NONE);

	selection.before = THEIRS;
	list_before(&fixture, &selection, &listed);
	CHECK_INT(listed.err.kind, ERROR_NOT_FOUND);
	fixture_fini(&fixture);
}

static void find(struct fixture *fixture, const char *id, struct told *told)
{
	told_init(told, fixture);
	CHECK_INT(outbox_find(told->outbox, id, &told->waiter, NULL), 0);
	fixture_settle_store(fixture);
	CHECK_INT(told->called, 1);
	CHECK_INT(told->err.kind, ERROR_NONE);
}

TEST(one_is_found_by_its_id)
{
	struct fixture fixture;
	struct told told, found;

	outbox_begin(&fixture);
	outbox_order(&fixture, "do it", NULL, &told);
	find(&fixture, told.id, &found);
	CHECK_TEXT(found.key, told.key);
	find(&fixture, THEIRS, &found);
	CHECK_INT(found.n, 0);
	fixture_fini(&fixture);
}

TEST(there_is_an_end_to_what_may_be_open)
{
	struct outbox_order order = { TO, "do it", 5, NULL };
	struct fixture fixture;
	struct told told;
	struct error err;

	outbox_begin(&fixture);
	told_init(&told, &fixture);
	told.outbox->n_open[DELEGATE_QUEUED] = OUTBOX_OPEN_MAX;
	CHECK(outbox_create(told.outbox, &order, &told.waiter, &err) < 0);
	CHECK_INT(err.kind, ERROR_OVERLOADED);
	told.outbox->n_open[DELEGATE_QUEUED] = 0;
	told.outbox->unwritten_len = OUTBOX_UNWRITTEN_MAX;
	CHECK(outbox_create(told.outbox, &order, &told.waiter, &err) < 0);
	CHECK_INT(err.kind, ERROR_OVERLOADED);
	CHECK(!waiter_is_waiting(&told.waiter));
	told.outbox->unwritten_len = 0;
	fixture_fini(&fixture);
}

TEST(a_task_that_the_platform_would_cut_is_refused)
{
	static char task[DELEGATE_BODY_MAX + 1];
	struct outbox_order order = { TO, task, sizeof(task) - 1, NULL };
	struct fixture fixture;
	struct told told;
	struct error err;

	memset(task, 'x', sizeof(task) - 1);
	outbox_begin(&fixture);
	told_init(&told, &fixture);
	CHECK(outbox_create(told.outbox, &order, &told.waiter, &err) < 0);
	CHECK_INT(err.kind, ERROR_TOO_LARGE);

	/* Each of these takes two in JSON. */
	memset(task, '\n', sizeof(task) - 1);
	order.task_len = sizeof(task) / 2;
	CHECK(outbox_create(told.outbox, &order, &told.waiter, &err) < 0);
	CHECK_INT(err.kind, ERROR_TOO_LARGE);
	order.task_len = sizeof(task) / 2 - 200;
	CHECK_INT(outbox_create(told.outbox, &order, &told.waiter, &err), 0);
	fixture_settle_store(&fixture);
	CHECK(fixture_expect(&fixture, POST_DELEGATE));
	fixture_fini(&fixture);
}

TEST(what_is_too_old_is_pruned)
{
	struct told old, young;
	struct fixture fixture;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "old", &old);
	outbox_poll(&fixture, 200, LISTED("completed"));
	(void)outbox_sql(&fixture, "UPDATE delegation SET updated_at = updated_at - 31 * 86400000");
	outbox_deliver(&fixture, "young", &young);
	outbox_expire(&fixture, &fixture.agent->outboxes.prune_timer);
	fixture_settle_store(&fixture);
	CHECK_TEXT(outbox_sql(&fixture, "SELECT group_concat(id) FROM delegation"), young.id);
	CHECK(timer_left_ms(&fixture.agent->outboxes.prune_timer) > 80000000);
	fixture_fini(&fixture);
}

TEST(what_has_not_ended_is_not_too_old)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_turn_to(&fixture, STATE("paused"));
	outbox_order(&fixture, "do it", NULL, &told);
	(void)outbox_sql(&fixture, "UPDATE delegation SET updated_at = 1000, created_at = 1000");
	outbox_expire(&fixture, &fixture.agent->outboxes.prune_timer);
	fixture_settle_store(&fixture);
	CHECK_TEXT(outbox_sql(&fixture, "SELECT group_concat(id) FROM delegation"), told.id);
	outbox_turn_to(&fixture, STATE("online"));
	CHECK(fixture_expect(&fixture, POST_DELEGATE));
	fixture_fini(&fixture);
}

TEST(thousands_of_old_ones_are_pruned_bit_by_bit)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "young", &told);
	(void)outbox_sql(
		&fixture,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1700)"
		" INSERT INTO delegation SELECT 'i' || i, 'w', 'k' || i, 't', NULL, NULL,"
		" 'completed', 1, NULL, NULL, 1000, 1000 FROM n");
	CHECK_TEXT(outbox_sql(&fixture, "SELECT count(*) FROM delegation"), "1701");
	outbox_expire(&fixture, &fixture.agent->outboxes.prune_timer);
	fixture_settle_store(&fixture);
	CHECK_TEXT(outbox_sql(&fixture, "SELECT count(*) FROM delegation"), "1");
	fixture_fini(&fixture);
}

TEST(thousands_of_open_ones_are_read_bit_by_bit)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "one", &told);
	(void)outbox_sql(
		&fixture,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1700)"
		" INSERT INTO delegation SELECT 'i' || i, '" ID "@platform.test', 'k' || i, 't',"
		" NULL, 'p' || i, 'queued', 0, NULL, NULL, 1000, 9000000000000 FROM n");
	come_back(&fixture);
	CHECK_INT(outbox_of(&fixture)->n_open[DELEGATE_QUEUED], 1700);
	CHECK_INT(outbox_of(&fixture)->n_open[DELEGATE_DELEGATED], 1);
	fixture_fini(&fixture);
}

TEST(one_that_somebody_took_out_of_the_journal_is_gone)
{
	struct fixture fixture;
	struct told told, ended;

	outbox_begin(&fixture);
	outbox_turn_to(&fixture, STATE("paused"));
	outbox_order(&fixture, "do it", NULL, &told);
	told_init(&ended, &fixture);
	CHECK(outbox_await_end(outbox_of(&fixture), told.id, &ended.waiter));
	(void)outbox_sql(&fixture, "DELETE FROM delegation");
	outbox_turn_to(&fixture, STATE("online"));
	CHECK_INT(ended.called, 1);
	CHECK_INT(ended.err.kind, ERROR_NOT_FOUND);
	CHECK_INT(told.outbox->n_sending, 0);
	CHECK(!fake_http_find(fixture.http, POST_DELEGATE));
	fixture_fini(&fixture);
}

/* In the database, or in the log before it. */
static bool is_on_disk(const char *text)
{
	static const char *const names[] = { "state/" STORE_FILE, "state/" STORE_FILE "-wal" };
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO(free) char *bytes = NULL;
		size_t len;

		CHECK_INT(file_read(AT_FDCWD, names[i], 16 << 20, &bytes, &len, NULL), 0);
		found |= memmem(bytes, len, text, strlen(text)) != NULL;
	}
	return found;
}

TEST(what_is_forgotten_is_not_on_disk_any_more)
{
	char task[20000];
	struct workspace_key key;
	struct fixture fixture;
	struct wish wish;
	struct told told;

	memset(task, 'x', sizeof(task));
	(void)snprintf(task + sizeof(task) - 20, 20, "our little secret");
	outbox_begin(&fixture);
	outbox_order(&fixture, task, NULL, &told);
	fixture_fail(&fixture, POST_DELEGATE);
	fixture_settle_store(&fixture);
	CHECK(is_on_disk("our little secret"));
	key = workspace_settings_key(&fixture.workspace->settings);
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, true, NULL), 0);
	wish_init(&wish);
	CHECK_INT(agent_forget(fixture.agent, &key, &wish.waiter, NULL), 0);
	fixture_settle_store(&fixture);
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_NONE);
	CHECK(!is_on_disk("our little secret"));
	CHECK(!is_on_disk("xxxxxxxx"));
	fixture_fini(&fixture);
}

TEST(forgetting_wipes_only_that_workspace)
{
	struct workspace_key key;
	struct fixture fixture;
	struct wish wish;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	(void)outbox_sql(&fixture,
			 "INSERT INTO delegation SELECT 'x', 'another', key, target, task,"
			 " platform_id, status, ended, preview, error, created_at, updated_at"
			 " FROM delegation");
	key = workspace_settings_key(&fixture.workspace->settings);
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, true, NULL), 0);
	CHECK(agent_has_journal(fixture.agent));
	wish_init(&wish);
	CHECK_INT(agent_forget(fixture.agent, &key, &wish.waiter, NULL), 0);
	fixture_settle_store(&fixture);
	CHECK_INT(wish.called, 1);
	CHECK_INT(wish.err.kind, ERROR_NONE);
	CHECK_TEXT(outbox_sql(&fixture, "SELECT group_concat(id) FROM delegation"), "x");
	fixture_fini(&fixture);
}
