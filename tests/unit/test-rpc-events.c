/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions: a snapshot, then what changes, in order, or the end of it.
 */

#include <stdio.h>
#include <string.h>

#include "base/jsonscan.h"
#include "lib/test.h"
#include "rpc-fixture.h"

#define SUBSCRIBE(params) \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.subscribe\",\"params\":" params "}\n"

static struct client client, other;
static struct workspace *ops, *lab;

static void begin(void)
{
	fixture_init();
	ops = fake_add("ops", OPS, "{\"A\":\"1\",\"B\":\"hush\"}");
	lab = fake_add("lab", LAB, "{}");
	client_open(&client);
}

static void check_lacks(const char *text, const char *part)
{
	CHECK(text);
	if (strstr(text, part))
		test_fail(__FILE__, __LINE__, "%s holds %s", text, part);
}

TEST(first_comes_the_snapshot_then_what_changes)
{
	const char *line;

	begin();
	line = client_ask(&client, SUBSCRIBE("{\"types\":[\"workspace.state\"]}"));
	CHECK_HAS(line, "\"result\":{\"subscription\":\"s1\",\"snapshot\":{\"workspaces\":[{");
	CHECK_HAS(line, "\"name\":\"ops\"");
	CHECK_HAS(line, "\"name\":\"lab\"");
	check_lacks(line, "\"warnings\"");

	fake_set_state(ops, LIFECYCLE_PAUSED);
	fake_set_state(lab, LIFECYCLE_UNREACHABLE);
	line = client_hear(&client);
	CHECK_HAS(line,
		  "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"subscription\":\"s1\","
		  "\"seq\":1,\"type\":\"workspace.state\",\"workspace\":\"ops\",\"at\":\"20");
	CHECK_HAS(line, "\"data\":{\"id\":\"" OPS "\",\"state\":\"paused\",\"before\":\"online\","
			"\"platform_status\":null,\"paused\":true}}}");
	CHECK_INT(json_check(line, strlen(line), 64, 1000, NULL), 0);
	line = client_hear(&client);
	CHECK_HAS(line, "\"seq\":2,\"type\":\"workspace.state\",\"workspace\":\"lab\"");
	CHECK(!client_hear(&client));
	fixture_end(&client);
}

TEST(a_subscription_hears_its_types_and_its_workspace)
{
	begin();
	check_lacks(client_ask(&client,
			       SUBSCRIBE("{\"types\":[\"peers.changed\"],\"workspace\":\"lab\"}")),
		    "\"workspace\":\"ops\"");
	server_on_peers(fixture.server, ops);
	fake_set_state(lab, LIFECYCLE_PAUSED);
	server_on_peers(fixture.server, lab);
	CHECK_HAS(client_hear(&client),
		  "\"seq\":1,\"type\":\"peers.changed\",\"workspace\":\"lab\"");
	CHECK(!client_hear(&client));
	fixture_end(&client);
}

TEST(names_of_secrets_are_told_and_never_their_values)
{
	const char *line;

	begin();
	line = client_ask(&client, SUBSCRIBE("{}"));
	CHECK_HAS(line, "\"secrets\":[{\"workspace\":\"ops\",\"keys\":[\"A\",\"B\"]");
	check_lacks(line, "hush");
	server_on_secrets(fixture.server, ops, "[\"B\"]", 5);
	line = client_hear(&client);
	CHECK_HAS(line, "\"type\":\"secrets.changed\"");
	CHECK_HAS(line, "\"data\":{\"changed\":[\"B\"],");
	check_lacks(line, "hush");
	fixture_end(&client);
}

TEST(warnings_are_told_when_they_come_and_when_they_go)
{
	struct agent_warning warning = { .code = "secrets_stale",
					 .workspace = "ops",
					 .text = "they are old",
					 .since_wall_ms = 1 };
	const char *line;

	begin();
	list_init(&warning.node);
	list_append(&fake.agent.context.warnings, &warning.node);
	line = client_ask(&client, SUBSCRIBE("{\"types\":[\"daemon.warning\"]}"));
	CHECK_HAS(line, "\"snapshot\":{\"warnings\":[{\"code\":\"secrets_stale\",");
	server_on_warning(fixture.server, &warning, false);
	CHECK_HAS(client_hear(&client),
		  "\"data\":{\"raised\":false,\"warning\":{\"code\":\"secrets_stale\"");
	list_remove(&warning.node);
	fixture_end(&client);
}

TEST(what_is_wrong_with_a_subscription_is_said)
{
	begin();
	CHECK_HAS(client_ask(&client, SUBSCRIBE("{\"types\":[\"weather\"]}")), "workspace.state, ");
	CHECK_HAS(client_ask(&client, SUBSCRIBE("{\"types\":\"weather\"}")), "-32602");
	CHECK_HAS(client_ask(&client, SUBSCRIBE("{\"workspace\":\"nowhere\"}")), "-32003");
	for (unsigned i = 0; i < 16; i++)
		CHECK_HAS(client_ask(&client, SUBSCRIBE("{}")), "\"result\"");
	CHECK_HAS(client_ask(&client, SUBSCRIBE("{}")), "-32017");
	CHECK(!client_ask(&client, "{\"jsonrpc\":\"2.0\",\"method\":\"events.subscribe\"}"));
	fixture_end(&client);
}

TEST(unsubscribing_ends_it)
{
	begin();
	(void)client_ask(&client, SUBSCRIBE("{\"types\":[\"workspace.state\"]}"));
	client_open(&other);
	CHECK_HAS(client_ask(&other,
			     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.unsubscribe\","
			     "\"params\":[\"s1\"]}"),
		  "-32003");
	client_close(&other);
	CHECK_HAS(client_ask(&client,
			     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.unsubscribe\","
			     "\"params\":[\"s1\"]}"),
		  "\"unsubscribed\":true");
	fake_set_state(ops, LIFECYCLE_PAUSED);
	CHECK(!client_hear(&client));
	fixture_end(&client);
}

TEST(a_slow_reader_loses_the_subscription_and_nothing_else)
{
	unsigned n = 0, last = 0, overflows = 0;
	const char *line;

	rpc_settings_init(&fixture.settings);
	fixture.settings.max_output_bytes = 65536;
	begin();
	CHECK_HAS(client_ask(&client, SUBSCRIBE("{\"types\":[\"workspace.state\"]}")), "\"s1\"");
	for (unsigned i = 0; i < 4000; i++) {
		fake_set_state(ops, i % 2 ? LIFECYCLE_ONLINE : LIFECYCLE_PAUSED);
		if (i % 100 == 0)
			fixture_turn();
	}

	while ((line = client_hear(&client))) {
		const char *seq = strstr(line, "\"seq\":");

		/* No event is missing in the middle. */
		CHECK(seq && sscanf(seq, "\"seq\":%u", &n) == 1);
		CHECK_INT(n, last + 1);
		last = n;
		if (strstr(line, "\"type\":\"overflow\""))
			overflows++;
		else
			CHECK(!overflows);
	}
	CHECK_INT(overflows, 1);
	CHECK(last < 4000);

	/* It may subscribe again. */
	CHECK_HAS(client_ask(&client, SUBSCRIBE("{\"types\":[\"workspace.state\"]}")), "\"s2\"");
	fake_set_state(ops, LIFECYCLE_UNREACHABLE);
	CHECK_HAS(client_hear(&client), "\"subscription\":\"s2\",\"seq\":1,");
	fixture_end(&client);
}

TEST(in_a_batch_too_the_snapshot_comes_first)
{
	const char *line;

	begin();
	fake.age_ms = 1;
	CHECK(!client_ask(
		&client,
		"[" SUBSCRIBE(
			"{\"types\":[\"workspace.state\"]}") ","
							     "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"secrets.get\",\"params\":[\"ops\",null,0]}]"));
	fake_set_state(lab, LIFECYCLE_PAUSED);
	CHECK(!client_hear(&client));
	waiters_call(&ops->vault.waiters, NULL);
	line = client_hear(&client);
	CHECK(line && line[0] == '[');
	CHECK_INT(json_check(line, strlen(line), 64, 1000, NULL), 0);
	CHECK_HAS(client_hear(&client), "\"seq\":1,");
	fake_set_state(lab, LIFECYCLE_ONLINE);
	CHECK_HAS(client_hear(&client), "\"seq\":2,");
	fixture_end(&client);
}

TEST(a_report_is_an_event_for_others_and_for_oneself)
{
	const char *line;

	begin();
	client_open(&other);
	(void)client_ask(&other, SUBSCRIBE("{\"types\":[\"workspace.report\"]}"));
	(void)client_ask(&client, SUBSCRIBE("{\"types\":[\"workspace.report\"]}"));
	client_say(&client,
		   "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"workspace.report\",\"params\":"
		   "{\"workspace\":\"ops\",\"active_tasks\":2,\"current_task\":\"digging\"}}");
	line = client_hear(&client);
	CHECK_HAS(line, "\"method\":\"event\"");
	CHECK_INT(json_check(line, strlen(line), 64, 1000, NULL), 0);
	line = client_hear(&client);
	CHECK_HAS(
		line,
		"\"id\":2,\"result\":{\"report\":{\"current_task\":\"digging\",\"active_tasks\":2,");
	CHECK_INT(json_check(line, strlen(line), 64, 1000, NULL), 0);
	CHECK_HAS(client_hear(&other), "\"current_task\":\"digging\"");

	/* A connection that goes takes its share along. */
	client_close(&client);
	CHECK_HAS(client_hear(&other), "\"data\":{\"current_task\":\"\",\"active_tasks\":0,");
	client_close(&other);
	fixture_end(&client);
}
