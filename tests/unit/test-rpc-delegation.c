/* SPDX-License-Identifier: MIT */
/*
 * delegation.* as a client sees them.
 */

#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "rpc-fixture.h"

#define D1 "11111111-1111-4111-8111-111111111111"
#define TO_LAB "\"to\":\"" LAB "\",\"task\":\"do it\""

static struct client client;
static struct workspace *ops;
static struct delegation row;

static void begin(void)
{
	static char key[] = "k1", theirs[] = "d-7";

	fixture_init();
	ops = fake_add("ops", OPS, NULL);
	row = (struct delegation){
		.id = D1,
		.to = LAB,
		.key = key,
		.platform_id = theirs,
		.status = DELEGATE_DELEGATED,
		.created_wall_ms = 1795176000000,
		.updated_wall_ms = 1795176000001,
	};
	client_open(&client);
}

static const char *ask(const char *verb, const char *members)
{
	char method[64], params[4096];

	(void)snprintf(method, sizeof(method), "delegation.%s", verb);
	(void)snprintf(params, sizeof(params), "{%s}", members);
	return client_call(&client, method, params);
}

TEST(a_creation_waits_for_the_disk_and_then_for_the_platform)
{
	begin();
	CHECK(!ask("create", TO_LAB ",\"idempotency_key\":\"k1\""));
	CHECK_TEXT(fake.ordered, LAB " k1 do it");

	/* On disk, and being sent. */
	row.status = DELEGATE_PENDING;
	fake.open = &row;
	fake_tell(&row, 1, false);
	CHECK(!client_hear(&client));

	row.status = DELEGATE_DELEGATED;
	fake_tell(&row, 1, false);
	CHECK_TEXT(client_hear(&client),
		   "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"delegation_id\":\"" D1 "\","
		   "\"status\":\"delegated\",\"idempotency_key\":\"k1\",\"duplicate\":false,"
		   "\"error\":null}}");
	fake.open = NULL;
	fixture_end(&client);
}

TEST(one_that_cannot_be_sent_now_is_answered_at_once)
{
	begin();
	CHECK(!ask("create", TO_LAB));
	row.status = DELEGATE_PENDING;
	fake_tell(&row, 1, false);
	CHECK_HAS(client_hear(&client), "\"status\":\"pending\"");
	fixture_end(&client);
}

TEST(a_duplicate_is_answered_at_once)
{
	begin();
	CHECK(!ask("create", TO_LAB ",\"idempotency_key\":\"k1\""));
	fake.open = &row;
	fake_tell(&row, 1, true);
	CHECK_HAS(client_hear(&client), "\"status\":\"delegated\",\"idempotency_key\":\"k1\","
					"\"duplicate\":true");
	fake.open = NULL;
	fixture_end(&client);
}

TEST(what_the_disk_does_not_take_is_an_error)
{
	static const struct error full = { .kind = ERROR_UNAVAILABLE, .text = "the disk is full" };

	begin();
	CHECK(!ask("create", TO_LAB));
	waiters_call(&fake.waiters, &full);
	check_fails(client_hear(&client), "unavailable", "the disk is full");
	fake.full = true;
	check_fails(ask("create", TO_LAB), "overloaded", "too many");
	fixture_end(&client);
}

TEST(only_what_can_be_sent_some_day_is_taken)
{
	static const struct {
		enum error_kind refuses;
		enum lifecycle_state state;
		const char *kind; /* NULL: it is taken */
	} cases[] = {
		{ ERROR_NONE, LIFECYCLE_ONLINE, NULL },
		{ ERROR_UNAVAILABLE, LIFECYCLE_JOINING, NULL },
		{ ERROR_UNAVAILABLE, LIFECYCLE_UNREACHABLE, NULL },
		{ ERROR_UNAVAILABLE, LIFECYCLE_MISROUTED, NULL },
		{ ERROR_UNAVAILABLE, LIFECYCLE_LEAVING, "unavailable" },
		{ ERROR_PAUSED, LIFECYCLE_PAUSED, "paused" },
		{ ERROR_REMOVED, LIFECYCLE_REMOVED, "removed" },
		{ ERROR_UNAUTHORIZED, LIFECYCLE_AUTH_LOST, "unauthorized" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *answer;

		begin();
		fake.refuses = cases[i].refuses;
		ops->state = cases[i].state;
		answer = ask("create", TO_LAB);
		if (cases[i].kind)
			check_fails(answer, cases[i].kind, "it may not call now");
		else
			CHECK(!answer);
		CHECK_TEXT(fake.ordered, cases[i].kind ? "" : LAB " - do it");
		fixture_end(&client);
	}
}

TEST(whom_it_is_for_is_looked_up)
{
	begin();
	fake_set_peers(ops, "[{\"id\":\"" LAB "\",\"name\":\"lab\"}]");
	CHECK(!ask("create", TO_LAB));
	CHECK_TEXT(fake.ordered, LAB " - do it");
	CHECK_INT(fake.n_peer_fetches, 0);
	check_fails(ask("create", "\"to\":\"nobody\",\"task\":\"do it\""), "not_found",
		    "no such peer");
	check_fails(ask("create", "\"to\":\"" OPS "\",\"task\":\"do it\""), "invalid_params",
		    "itself");
	fixture_end(&client);
}

TEST(wrong_arguments_are_named)
{
	begin();
	check_fails(ask("create", "\"to\":\"" LAB "\""), "invalid_params", "task is missing");
	check_fails(ask("create", "\"task\":\"x\""), "invalid_params", "to is missing");
	check_fails(ask("create", "\"to\":\"" LAB "\",\"task\":\"\""), "invalid_params",
		    "task must not be empty");
	check_fails(ask("create", "\"to\":\"" LAB "\",\"task\":\"a\\u0000b\""), "invalid_params",
		    "task must not hold a NUL");
	check_fails(ask("create", TO_LAB ",\"idempotency_key\":\"\""), "invalid_params",
		    "idempotency_key must not be empty");
	check_fails(ask("list", "\"status\":\"stuck\""), "invalid_params",
		    "status must be pending");
	check_fails(ask("list", "\"limit\":0"), "invalid_params", "limit must be between 1");
	check_fails(ask("wait", "\"delegation_id\":\"" D1 "\""), "invalid_params",
		    "wait_ms is missing");
	check_fails(ask("get", "\"delegation_id\":\"x\""), "not_found", "ops has no delegation");
	CHECK_TEXT(fake.ordered, "");
	fixture_end(&client);
}

#define WHOLE                                                                              \
	"{\"delegation_id\":\"" D1 "\",\"to\":\"" LAB "\",\"status\":\"completed\","       \
	"\"created_at\":\"2026-11-20T12:00:00.000Z\","                                     \
	"\"updated_at\":\"2026-11-20T12:00:00.001Z\",\"preview\":\"well\",\"error\":null," \
	"\"platform_delegation_id\":\"d-7\"}"

TEST(one_and_all_of_them_are_told_alike)
{
	static char well[] = "well";

	begin();
	row.status = DELEGATE_COMPLETED;
	row.preview = well;
	CHECK(!ask("get", "\"delegation_id\":\"" D1 "\""));
	CHECK_TEXT(fake.ordered, D1);
	fake_tell(&row, 1, false);
	CHECK_TEXT(client_hear(&client), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" WHOLE "}");

	CHECK(!ask("get", "\"delegation_id\":\"" D1 "\""));
	fake_tell(NULL, 0, false);
	check_fails(client_hear(&client), "not_found", D1);

	CHECK(!ask("list", ""));
	CHECK_TEXT(fake.ordered, "any 50");
	fake_tell(&row, 1, false);
	CHECK_TEXT(client_hear(&client), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{"
					 "\"delegations\":[" WHOLE "]}}");
	CHECK(!ask("list", "\"status\":\"failed\",\"limit\":7"));
	CHECK_TEXT(fake.ordered, "failed 7");
	fake_tell(NULL, 0, false);
	CHECK_HAS(client_hear(&client), "\"delegations\":[]");
	CHECK(!ask("list", "\"before\":\"" D1 "\""));
	CHECK_TEXT(fake.ordered, "any 50 before " D1);
	fake_tell(NULL, 0, false);
	CHECK_HAS(client_hear(&client), "\"delegations\":[]");
	check_fails(ask("list", "\"before\":\"x\""), "not_found", "no delegation \\\"x\\\"");
	fixture_end(&client);
}

TEST(waiting_ends_when_it_does)
{
	begin();
	fake.open = &row;
	CHECK(!ask("wait", "\"delegation_id\":\"" D1 "\",\"wait_ms\":60000"));
	fake_tell(&row, 1, false);
	CHECK(!client_hear(&client));
	row.status = DELEGATE_FAILED;
	fake_tell(&row, 1, false);
	CHECK_HAS(client_hear(&client), "\"status\":\"failed\"");

	/* It has ended: there is nothing to wait for. */
	CHECK(!ask("wait", "\"delegation_id\":\"" D1 "\",\"wait_ms\":60000"));
	fake_tell(&row, 1, false);
	CHECK_HAS(client_hear(&client), "\"status\":\"failed\"");
	fake.open = NULL;
	fixture_end(&client);
}

TEST(waiting_ends_with_the_time)
{
	begin();
	fake.open = &row;
	CHECK(!ask("wait", "\"delegation_id\":\"" D1 "\",\"wait_ms\":0"));
	fake_tell(&row, 1, false);
	CHECK_HAS(client_hear(&client), "\"status\":\"delegated\"");

	CHECK(!ask("wait", "\"delegation_id\":\"" D1 "\",\"wait_ms\":30"));
	fake_tell(&row, 1, false);
	fake.ordered[0] = '\0';
	while (!fake.ordered[0])
		fixture_turn();
	fake_tell(&row, 1, false);
	CHECK_HAS(client_hear(&client), "\"status\":\"delegated\"");
	fake.open = NULL;
	fixture_end(&client);
}

TEST(a_change_is_an_event_after_a_snapshot_of_what_is_open)
{
	begin();
	fake.open = &row;
	CHECK_HAS(client_ask(&client,
			     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.subscribe\","
			     "\"params\":{\"types\":[\"delegation.updated\"]}}\n"),
		  "\"snapshot\":{\"delegations\":[{\"workspace\":\"ops\",\"delegation_id\":\"" D1
		  "\"");
	row.status = DELEGATE_QUEUED;
	server_on_delegation(fixture.server, ops, &row);
	CHECK_HAS(client_hear(&client), "\"type\":\"delegation.updated\",\"workspace\":\"ops\"");
	fake.open = NULL;
	fixture_end(&client);
}

TEST(leaving_for_good_waits_until_the_journal_is_wiped)
{
	static const struct error full = { .kind = ERROR_UNAVAILABLE, .text = "the disk is full" };
	const char *leave = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"workspace.leave\","
			    "\"params\":{\"workspace\":\"lab\",\"forget\":true}}\n";

	begin();
	(void)fake_add("lab", LAB, NULL);
	CHECK_HAS(client_ask(&client, leave), "\"left\":true");

	fake.has_journal = true;
	(void)fake_add("lab", LAB, NULL);
	CHECK(!client_ask(&client, leave));
	CHECK(strncmp(fake.wiped, LAB "@", 37) == 0);
	waiters_call(&fake.waiters, NULL);
	CHECK_HAS(client_hear(&client), "\"left\":true");

	(void)fake_add("lab", LAB, NULL);
	CHECK(!client_ask(&client, leave));
	waiters_call(&fake.waiters, &full);
	check_fails(client_hear(&client), "unavailable", "not wiped");
	fixture_end(&client);
}
