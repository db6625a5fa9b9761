/* SPDX-License-Identifier: MIT */
/*
 * Who may call what.
 */

#include "rpc/policy.h"

#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/test.h"
#include "rpc-fixture.h"
#include "rpc/account.h"
#include "rpc/method.h"

#define ADMIN_UID 0
#define STRANGER 54321

static struct policy policy = { .self = 990, .gid = GROUP_GID, .group = "molecule" };

TEST(root_and_our_own_user_may_do_everything)
{
	CHECK_INT(policy_classes(&policy, &(struct peercred){ .uid = 0, .gid = 0 }), POLICY_ALL);
	CHECK_INT(policy_classes(&policy, &(struct peercred){ .uid = 990, .gid = 990 }),
		  POLICY_ALL);
	CHECK(policy_is_master(&policy, 0) && policy_is_master(&policy, 990));
}

TEST(members_of_the_group_may_read_and_use)
{
	gid_t groups[] = { 27, GROUP_GID, 100 };
	struct peercred primary = { .uid = 1000, .gid = GROUP_GID };
	struct peercred supplementary = {
		.uid = 1000, .gid = 1000, .groups = groups, .n_groups = 3
	};

	CHECK_INT(policy_classes(&policy, &primary), POLICY_READ | POLICY_USE);
	CHECK_INT(policy_classes(&policy, &supplementary), POLICY_READ | POLICY_USE);
	CHECK(!policy_is_master(&policy, 1000));
}

TEST(all_others_may_do_nothing)
{
	gid_t groups[] = { 27, 100 };
	struct peercred peer = { .uid = 1000, .gid = 1000, .groups = groups, .n_groups = 2 };
	struct policy without = { .self = 990, .gid = (gid_t)-1 };

	CHECK_INT(policy_classes(&policy, &peer), 0);
	peer.gid = (gid_t)-1;
	CHECK_INT(policy_classes(&without, &peer), 0);
}

TEST(a_group_is_looked_up_by_name)
{
	struct group *group = getgrgid(0);
	struct policy found;

	CHECK(group);
	policy_init(&found, group->gr_name);
	CHECK_INT(found.gid, 0);
	CHECK_INT(found.self, geteuid());
	policy_init(&found, "no-such-group-here");
	CHECK_INT(found.gid, (gid_t)-1);
	policy_init(&found, NULL);
	CHECK_INT(found.gid, (gid_t)-1);
}

TEST(a_refusal_says_what_would_help)
{
	struct error err;

	CHECK(policy_refuse(&policy, 1000, 0, "secrets.get", &err) < 0);
	CHECK_INT(err.kind, ERROR_FORBIDDEN);
	CHECK(strstr(err.text, "add the user to group molecule"));
	CHECK(policy_refuse(&policy, 1000, POLICY_READ, "token.set", &err) < 0);
	CHECK(!strstr(err.text, "group"));
}

/* Whether each method, called as this user, is refused exactly when its class says so. */
static void check_all_methods(uid_t uid, gid_t gid, unsigned classes)
{
	struct client client;
	struct schema schema;
	char request[128];

	method_init_schema(&schema);
	client_open_as(&client, uid, gid);
	for (size_t i = 0; i < schema.n; i++) {
		const struct method *method = schema.list[i];
		const char *answer;
		bool refused;

		(void)snprintf(request, sizeof(request),
			       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":[{}]}",
			       method->name);
		answer = client_ask(&client, request);
		refused = answer && strstr(answer, "\"code\":-32002");
		if (!answer || refused == !!(classes & method->class))
			test_fail(__FILE__, __LINE__, "%s as %u: %s", method->name, uid,
				  answer ? answer : "no answer");
	}
	client_close(&client);
}

TEST(every_method_is_for_its_class)
{
	struct group *group = getgrgid(1);

	CHECK(group);
	fixture_init();
	server_configure(fixture.server, &fixture.settings, group->gr_name);
	check_all_methods(ADMIN_UID, 0, POLICY_ALL);
	check_all_methods(STRANGER, 1, POLICY_READ | POLICY_USE);
	check_all_methods(STRANGER, STRANGER, 0);
	fixture_fini();
}

TEST(a_stranger_is_let_in_to_be_told)
{
	struct client client;

	fixture_init();
	client_open_as(&client, STRANGER, STRANGER);
	CHECK(strstr(
		client_ask(&client, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.info\"}"),
		"-32002"));
	/* What is no method is none for anybody. */
	CHECK(strstr(client_ask(&client, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}"),
		     "-32601"));
	client_close(&client);
	fixture_fini();
}

TEST(users_are_remembered_as_long_as_they_are_connected)
{
	struct accounts accounts;
	struct account *first, *again;
	uint64_t untold;

	accounts_init(&accounts);
	first = accounts_get(&accounts, 7);
	account_connect(&accounts, first);
	CHECK(account_tells(first, 1000, &untold) && untold == 0);
	CHECK(!account_tells(first, 2000, &untold));
	CHECK(!account_tells(first, 60999, &untold));

	/* However many others pass by. */
	for (uid_t uid = 100; uid < 100 + 2 * ACCOUNTS_IDLE_MAX; uid++)
		CHECK(accounts_get(&accounts, uid));
	CHECK_INT(accounts.n_idle, ACCOUNTS_IDLE_MAX);
	again = accounts_get(&accounts, 7);
	CHECK(again == first);
	CHECK_INT(again->n_connections, 1);
	CHECK(account_tells(again, 61000, &untold));
	CHECK_INT(untold, 2);
	account_disconnect(&accounts, again);
	CHECK_INT(accounts.n_idle, ACCOUNTS_IDLE_MAX);
	accounts_fini(&accounts);
}
