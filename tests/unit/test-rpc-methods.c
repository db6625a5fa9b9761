/* SPDX-License-Identifier: MIT */
/*
 * What the methods answer.
 */

#include <string.h>

#include "base/jsontext.h"
#include "lib/test.h"
#include "rpc-fixture.h"

#define PEERS "[{\"id\":\"p1\",\"name\":\"one\"},{\"id\":\"p2\",\"name\":\"two\"}]"

static struct client client, other;
static struct workspace *ops;

static void begin(void)
{
	fixture_init();
	ops = fake_add("ops", OPS, "{\"A\":\"1\",\"B\":\"two\"}");
	client_open(&client);
}

static const char *ask(const char *method, const char *params)
{
	return client_call(&client, method, params);
}

static const struct error outage = { .kind = ERROR_UNAVAILABLE, .text = "the platform is away" };

TEST(the_daemon_says_who_it_is)
{
	begin();
	CHECK_HAS(ask("daemon.info", "{}"),
		  "\"result\":{\"name\":\"molecule-agentd\",\"version\":\"1.2.3\","
		  "\"pid\":");
	CHECK_HAS(ask("daemon.info", "[]"), "\"protocol\":1,\"features\":[");
	CHECK_HAS(ask("daemon.status", "{}"),
		  "{\"state\":\"running\",\"connections\":1,\"workspaces\":[{\"id\":");
	fixture_end(&client);
}

TEST(metrics_are_openmetrics)
{
	struct json_text text;
	const char *answer;
	char *metrics;

	begin();
	(void)ask("secrets.get", "{}");
	(void)ask("secrets.get", "{\"keys\":1}");
	(void)ask("nothing", "{}");
	answer = ask("daemon.metrics", "{}");
	text = json_text_member(json_text_from(answer, strlen(answer)), "result");
	CHECK_INT(json_text_dup(json_text_member(text, "text"), &metrics), 0);
	CHECK_HAS(metrics, "molecule_rpc_calls_total{method=\"secrets.get\",result=\"ok\"} 1");
	CHECK_HAS(metrics,
		  "molecule_rpc_calls_total{method=\"secrets.get\",result=\"invalid_params\"} 1");
	CHECK_HAS(metrics, "molecule_rpc_calls_total{method=\"\",result=\"method_not_found\"} 1");
	CHECK_HAS(metrics, "molecule_rpc_connections 1");
	CHECK_HAS(metrics, "molecule_build_info{version=\"1.2.3\"} 1");
	CHECK_TEXT(metrics + strlen(metrics) - 6, "# EOF\n");
	free(metrics);
	fixture_end(&client);
}

TEST(a_reload_that_fails_says_where)
{
	begin();
	check_result(ask("daemon.reload", "{}"), "{\"changed\":[\"rpc\"],\"unchanged\":false}");
	fixture.reload_fails = ERROR_CONFIG;
	CHECK_HAS(ask("daemon.reload", "{}"), "agentd.conf:3: that is wrong");
	fixture_end(&client);
}

TEST(wrong_arguments_are_named)
{
	begin();
	check_fails(ask("secrets.get", "{\"keys\":\"A\"}"), "invalid_params",
		    "keys must be an array of strings");
	check_fails(ask("secrets.get", "{\"keys\":[1]}"), "invalid_params",
		    "keys must be an array of strings");
	check_fails(ask("secrets.get", "{\"max_age_ms\":\"1\"}"), "invalid_params",
		    "max_age_ms must be an integer");
	check_fails(ask("secrets.get", "{\"max_age_ms\":1.5}"), "invalid_params",
		    "max_age_ms must be an integer");
	check_fails(ask("secrets.get", "{\"max_age_ms\":-1}"), "invalid_params",
		    "max_age_ms must be between 0");
	check_fails(ask("secrets.get", "{\"max_age_ms\":1e308}"), "invalid_params", "max_age_ms");
	check_fails(ask("secrets.get", "[null,null,null,4]"), "invalid_params", "at most 3");
	check_fails(ask("workspace.leave", "{\"forget\":\"yes\"}"), "invalid_params",
		    "forget must be true or false");
	check_fails(ask("token.set", "{}"), "invalid_params", "token is missing");
	check_fails(ask("token.set", "{\"token\":null}"), "invalid_params", "token is missing");
	check_fails(ask("token.set", "{\"token\":\"a\\u0000b\"}"), "invalid_params",
		    "token must not hold a NUL");
	check_fails(ask("workspace.update_card", "{\"agent_card\":[]}"), "invalid_params",
		    "agent_card must be an object");
	check_fails(ask("workspace.report", "{\"error_rate\":1.1}"), "invalid_params",
		    "error_rate");
	check_fails(ask("workspace.report", "{\"runtime_state\":\"fine\"}"), "invalid_params",
		    "wedged");
	/* What is not known is nobody's business; the last of two counts. */
	CHECK_HAS(ask("secrets.get", "{\"colour\":1,\"max_age_ms\":\"x\"}"), "-32602");
	CHECK_HAS(ask("secrets.get", "{\"colour\":1,\"max_age_ms\":\"x\",\"max_age_ms\":5.0}"),
		  "-32602");
	CHECK_HAS(ask("secrets.get", "{\"colour\":1,\"max_age_ms\":5.0}"), "\"result\"");
	fixture_end(&client);
}

TEST(a_workspace_is_meant_by_name_by_id_or_by_being_the_only_one)
{
	begin();
	CHECK_HAS(ask("workspace.status", "{}"), "\"name\":\"ops\"");
	CHECK_HAS(ask("workspace.status", "{\"workspace\":\"ops\"}"), "\"name\":\"ops\"");
	CHECK_HAS(ask("workspace.status", "[\"" OPS "\"]"), "\"name\":\"ops\"");
	check_fails(ask("workspace.status", "[\"nowhere\"]"), "not_found", "nowhere");
	(void)fake_add("lab", LAB, NULL);
	check_fails(ask("workspace.status", "{}"), "conflict", "say which");
	check_result(ask("workspace.list", "{}"),
		     "{\"workspaces\":[{\"id\":\"" OPS "\",\"name\":\"ops\",\"state\":\"online\"},"
		     "{\"id\":\"" LAB "\",\"name\":\"lab\",\"state\":\"online\"}]}");
	fixture_end(&client);
}

TEST(a_status_has_the_members_that_are_promised)
{
	static const char *const members[] = {
		"id",     "name",     "platform_url", "state",     "platform_status",
		"paused", "since",    "uptime_ms",    "heartbeat", "next_attempt_at",
		"token",  "features", "report",       "inbox",     "last_error"
	};
	struct json_text result, name, value;
	struct json_iter iter;
	const char *answer;
	size_t n = 0;

	begin();
	answer = ask("workspace.status", "{}");
	result = json_text_member(json_text_from(answer, strlen(answer)), "result");
	for (iter = json_iter(result); json_next_member(&iter, &name, &value); n++)
		CHECK(n < ARRAY_LEN(members) && json_text_equals(name, members[n]));
	CHECK_INT(n, ARRAY_LEN(members));
	fixture_end(&client);
}

TEST(secrets_can_be_picked)
{
	begin();
	check_result(ask("secrets.get", "{\"keys\":[\"B\",\"C\",\"B\",\"\\u0041\",\"C\"]}"),
		     "{\"values\":{\"B\":\"two\",\"A\":\"1\"},\"missing\":[\"C\"],"
		     "\"fetched_at\":\"2026-11-20T12:00:00.000Z\",\"stale\":false}");
	check_result(ask("secrets.get", "{\"keys\":[]}"),
		     "{\"values\":{},\"missing\":[],"
		     "\"fetched_at\":\"2026-11-20T12:00:00.000Z\",\"stale\":false}");
	check_result(ask("secrets.list", "{}"),
		     "{\"keys\":[\"A\",\"B\"],\"fetched_at\":\"2026-11-20T12:00:00.000Z\"}");
	fixture_end(&client);
}

TEST(secrets_that_are_too_old_are_fetched)
{
	begin();
	fake.age_ms = 1000;
	CHECK_HAS(ask("secrets.get", "{\"max_age_ms\":1000}"), "\"result\"");
	CHECK(!ask("secrets.get", "{\"max_age_ms\":999,\"keys\":[\"A\"]}"));
	fake_set_bundle(ops, "{\"A\":\"new\"}");
	waiters_call(&ops->vault.waiters, NULL);
	CHECK_HAS(client_hear(&client), "{\"values\":{\"A\":\"new\"},");
	fixture_end(&client);
}

TEST(without_the_platform_old_secrets_are_served_as_stale)
{
	begin();
	ops->vault.failing = true;
	CHECK(!ask("secrets.get", "{}"));
	waiters_call(&ops->vault.waiters, &outage);
	CHECK_HAS(client_hear(&client), "\"stale\":true}");

	fake.too_stale = true;
	CHECK(!ask("secrets.get", "{}"));
	waiters_call(&ops->vault.waiters, &outage);
	check_fails(client_hear(&client), "unavailable", "the platform is away");

	fake.too_stale = false;
	fake.refuses = ERROR_PAUSED;
	CHECK_HAS(ask("secrets.get", "{}"), "\"stale\":true}");
	CHECK_HAS(ask("secrets.list", "{}"), "\"keys\":[\"A\",\"B\"]");
	check_fails(ask("secrets.refresh", "{}"), "paused", "may not call");
	ops->vault.fetched = false;
	check_fails(ask("secrets.get", "{}"), "paused", "may not call");
	fixture_end(&client);
}

TEST(a_refresh_names_what_changed)
{
	begin();
	CHECK(!ask("secrets.refresh", "{}"));
	server_on_secrets(fixture.server, ops, "[\"B\",\"C\"]", 9);
	waiters_call(&ops->vault.waiters, NULL);
	CHECK_HAS(client_hear(&client),
		  "{\"keys\":[\"A\",\"B\"],\"changed\":[\"B\",\"C\"],\"fetched_at\":");
	CHECK(!ask("secrets.refresh", "{}"));
	waiters_call(&ops->vault.waiters, NULL);
	CHECK_HAS(client_hear(&client), "\"changed\":[]");
	fixture_end(&client);
}

TEST(peers_are_served_as_they_were_kept)
{
	begin();
	CHECK(!ask("peers.list", "{}"));
	fake_set_peers(ops, PEERS);
	waiters_call(&ops->peerbook->waiters, NULL);
	check_result(client_hear(&client),
		     "{\"peers\":" PEERS ",\"fetched_at\":\"2026-11-20T12:00:01.000Z\"}");
	CHECK_HAS(ask("peers.list", "{\"query\":\"on\"}"), "{\"peers\":[\"on\"],");
	CHECK_INT(fake.n_peer_fetches, 1);

	/* An old list is better than none, but not than what was asked for. */
	fake.old_peers = true;
	CHECK(!ask("peers.list", "{}"));
	waiters_call(&ops->peerbook->waiters, &outage);
	CHECK_HAS(client_hear(&client), PEERS);
	CHECK(!ask("peers.list", "{\"refresh\":true}"));
	waiters_call(&ops->peerbook->waiters, &outage);
	check_fails(client_hear(&client), "unavailable", "away");
	fake.refuses = ERROR_PAUSED;
	CHECK_HAS(ask("peers.list", "{}"), PEERS);
	fixture_end(&client);
}

TEST(a_peer_is_discovered_once)
{
	begin();
	CHECK(!ask("peers.discover", "{\"peer\":\"p2\"}"));
	fake_set_peers(ops, PEERS);
	waiters_call(&ops->peerbook->waiters, NULL);
	CHECK(!client_hear(&client));
	CHECK_INT(fake.n_discoveries, 1);
	ops->peerbook->peers[1].direct_url = (char[]){ "http://p2" };
	ops->peerbook->peers[1].direct_until_ms = loop_now_ms(&fixture.loop) + 60000;
	waiters_call(&fake.waiters, NULL);
	CHECK_HAS(client_hear(&client),
		  "{\"id\":\"p2\",\"name\":\"p2\",\"url\":\"http://p2\",\"route\":\"direct\",");
	CHECK_HAS(ask("peers.discover", "[null,\"p2\"]"), "\"direct\"");
	CHECK_INT(fake.n_discoveries, 1);
	check_fails(ask("peers.discover", "{\"peer\":\"p3\"}"), "not_found", "no such peer");

	check_result(ask("peers.invalidate", "{\"peer\":\"p2\"}"), "{\"dropped\":true}");
	check_result(ask("peers.invalidate", "{\"peer\":\"p2\"}"), "{\"dropped\":false}");
	CHECK(!ask("peers.discover", "{\"peer\":\"p2\"}"));
	waiters_call(&fake.waiters, NULL);
	CHECK_HAS(client_hear(&client), "\"url\":null,\"route\":\"proxy\",");
	fixture_end(&client);
}

TEST(a_list_that_is_not_new_does_not_say_who_is_not_there)
{
	begin();
	fake_set_peers(ops, PEERS);
	check_fails(ask("peers.discover", "{\"peer\":\"p3\"}"), "not_found", "no such peer");
	ops->peerbook->fetched_at_ms -= 5000;
	CHECK_HAS(ask("peers.invalidate", "{\"peer\":\"p2\"}"), "dropped");
	CHECK(!ask("peers.invalidate", "{\"peer\":\"p3\"}"));
	fake_set_peers(ops, PEERS);
	waiters_call(&ops->peerbook->waiters, NULL);
	check_fails(client_hear(&client), "not_found", "no such peer");
	fixture_end(&client);
}

TEST(joining_waits_for_how_it_goes)
{
	struct workspace *lab;

	begin();
	CHECK(!ask("workspace.join",
		   "{\"platform_url\":\"https://lab.example\",\"workspace_id\":\"" LAB "\","
		   "\"name\":\"lab\",\"token\":\"0123456789abcdef\","
		   "\"agent_card\":{\"name\":\"x\"}}"));
	lab = agent_find(&fake.agent, "lab");
	CHECK(lab && lab->settings.joined);
	CHECK_TEXT(lab->settings.id, LAB);
	CHECK_TEXT(lab->settings.platform.url, "https://lab.example");
	CHECK_TEXT(lab->settings.agent_card, "{\"name\":\"x\"}");
	CHECK_TEXT(fake.token, "0123456789abcdef");
	lab->state = LIFECYCLE_ONLINE;
	waiters_call(&fake.join_waiters, NULL);
	CHECK_HAS(client_hear(&client),
		  "\"name\":\"lab\",\"platform_url\":\"https://lab.example\",\"state\":\"online\"");

	check_fails(ask("workspace.join", "[\"https://lab.example\",\"" LAB "\",null,\"lab\"]"),
		    "conflict", "it is there");
	check_fails(ask("workspace.join", "[\"https://lab.example\",\"x\"]"), "invalid_params",
		    "UUID");
	check_fails(ask("workspace.join", "[\"ftp://lab.example\",\"" LAB "\"]"), "invalid_params",
		    "http");
	check_fails(ask("workspace.join", "[\"https://lab.example\",\"" LAB "\",null,\"../lab\"]"),
		    "invalid_params", "name");
	fixture_end(&client);
}

TEST(a_join_without_a_name_is_called_by_its_id)
{
	begin();
	CHECK(!ask("workspace.join", "[\"https://lab.example\",\"" LAB "\"]"));
	CHECK(agent_find(&fake.agent, LAB));
	CHECK_TEXT(agent_find(&fake.agent, LAB)->settings.name, LAB);
	/* Who asked for it may go: it stays joined. */
	client_close(&client);
	fixture_turns(2);
	CHECK(agent_find(&fake.agent, LAB));
	fixture_end(&client);
}

TEST(leaving_ends_what_waits_for_the_workspace)
{
	begin();
	client_open(&other);
	fake.age_ms = 1;
	client_say(&other,
		   "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"secrets.refresh\"}"
		   "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"workspace.report\",\"params\":"
		   "{\"active_tasks\":1}}"
		   "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"workspace.refresh\"}");
	CHECK_HAS(client_hear(&other), "\"id\":6,\"result\"");
	check_result(ask("workspace.leave", "{\"forget\":true}"), "{\"left\":true}");
	CHECK(fake.forgotten);
	check_fails(client_hear(&other), "unavailable", "\"id\":5,");

	/* One that still waits finds nobody there. */
	waiters_call(&fake.waiters, NULL);
	check_fails(client_hear(&other), "not_found", "ops has left");
	client_close(&other);
	fixture_end(&client);
}

TEST(a_report_is_made_of_what_each_connection_says)
{
	begin();
	client_open(&other);
	client_say(&other,
		   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"workspace.report\",\"params\":"
		   "{\"active_tasks\":2,\"error_rate\":0.5,\"sample_error\":\"oh\"}}");
	(void)client_hear(&other);
	check_result(ask("workspace.report", "{\"active_tasks\":3,\"current_task\":\"dig\"}"),
		     "{\"report\":{\"current_task\":\"dig\",\"active_tasks\":5,\"error_rate\":0.5,"
		     "\"sample_error\":\"oh\"}}");

	/* What is left out stays; what is empty goes; what is wrong changes nothing. */
	CHECK_HAS(ask("workspace.report", "{\"active_tasks\":4}"), "\"dig\",\"active_tasks\":6");
	CHECK_HAS(ask("workspace.report", "{\"active_tasks\":9,\"error_rate\":2}"), "-32602");
	CHECK_HAS(ask("workspace.report", "{\"current_task\":\"\",\"runtime_state\":\"wedged\"}"),
		  "\"current_task\":\"\",\"active_tasks\":6");
	CHECK_TEXT(reporter_sum(&ops->reporter).runtime_state, "wedged");
	client_close(&other);
	fixture_turns(2);
	CHECK_INT(reporter_sum(&ops->reporter).active_tasks, 4);
	client_close(&client);
	fixture_turns(2);
	CHECK_INT(reporter_sum(&ops->reporter).active_tasks, 0);
	CHECK(list_empty(&ops->reporter.shares));
	fixture_end(&client);
}

TEST(tokens_are_set_and_shown_by_their_prefix)
{
	begin();
	CHECK(!ask("token.set", "{\"token\":\"0123456789abcdef\"}"));
	waiters_call(&fake.waiters, NULL);
	check_result(client_hear(&client), "{\"prefix\":\"01234567\"}");
	check_fails(ask("token.set", "{\"token\":\"short\"}"), "invalid_params", "no token");
	CHECK(!ask("token.rotate", "{}"));
	waiters_call(&fake.waiters, &outage);
	check_fails(client_hear(&client), "unavailable", "away");
	fixture_end(&client);
}

TEST(cards_and_refreshes_wait_for_the_platform)
{
	begin();
	CHECK(!ask("workspace.update_card", "{\"agent_card\":{}}"));
	waiters_call(&fake.waiters, NULL);
	check_result(client_hear(&client), "{\"updated\":true}");
	fake.refuses = ERROR_REMOVED;
	check_fails(ask("workspace.update_card", "{\"agent_card\":{}}"), "removed", "may not");
	CHECK_INT(fake.n_cards, 1);
	CHECK(!ask("workspace.refresh", "{}"));
	waiters_call(&fake.waiters, NULL);
	CHECK_HAS(client_hear(&client), "\"name\":\"ops\"");
	fixture_end(&client);
}

#define SEND(more) "{\"to\":\"" LAB "\"," more "}"

TEST(what_cannot_be_sent_is_refused_before_anybody_is_asked)
{
	begin();
	check_fails(ask("a2a.send", "{\"text\":\"x\"}"), "invalid_params", "to is missing");
	check_fails(ask("a2a.send", "{\"to\":\"" LAB "\"}"), "invalid_params", "has to be said");
	check_fails(ask("a2a.send", SEND("\"text\":\"x\",\"message\":{}")), "invalid_params",
		    "not both");
	check_fails(ask("a2a.send", SEND("\"message\":{}")), "invalid_params", "parts");
	check_fails(ask("a2a.send", SEND("\"text\":\"x\",\"route\":\"bus\"")), "invalid_params",
		    "route must be");
	check_fails(ask("a2a.send", SEND("\"text\":\"x\",\"timeout_ms\":0")), "invalid_params",
		    "timeout_ms");
	check_fails(ask("a2a.send", SEND("\"text\":\"x\",\"timeout_ms\":1800001")),
		    "invalid_params", "timeout_ms");
	check_fails(ask("a2a.send", SEND("\"text\":\"x\",\"message_id\":\"\"")), "invalid_params",
		    "message_id");
	check_fails(ask("a2a.send", "{\"to\":\"who\",\"text\":\"x\",\"route\":\"bus\"}"),
		    "invalid_params", "route must be");
	fake.refuses = ERROR_PAUSED;
	check_fails(ask("a2a.send", SEND("\"text\":\"x\"")), "paused", "may not call");
	CHECK_INT(fake.n_peer_fetches, 0);
	CHECK_INT(fake.n_calls, 0);
	fixture_end(&client);
}

TEST(a_message_is_sent_as_it_was_given)
{
	const struct courier_spec *spec = &fake.courier.spec;

	begin();
	CHECK(!ask("a2a.send", SEND("\"text\":\"a \\\"b\\\"\"")));
	CHECK_INT(fake.n_calls, 1);
	CHECK_TEXT(fake.courier.to, LAB);
	CHECK_INT(spec->route, COURIER_AUTO);
	CHECK_INT(spec->timeout_ms, COURIER_TIMEOUT_MS);
	CHECK(spec->member == &ops->membership);
	CHECK(json_text_equals(spec->text, "a \"b\""));
	CHECK_INT(spec->message.len, 0);

	CHECK(!ask("a2a.send", SEND("\"message\":{\"parts\":[{\"text\":\"x\"}],\"messageId\":"
				    "\"mine\"},\"route\":\"proxy\",\"timeout_ms\":77")));
	CHECK_INT(spec->route, COURIER_PROXY);
	CHECK_INT(spec->timeout_ms, 77);
	CHECK_TEXT(fake.courier.message_id, "mine");
	CHECK_INT(spec->text.len, 0);
	CHECK(json_text_equals(json_text_member(spec->message, "messageId"), "mine"));
	waiters_call(&fake.waiters, &outage);
	check_fails(client_hear(&client), "unavailable", "away");
	check_fails(client_hear(&client), "unavailable", "away");
	fixture_end(&client);
}

TEST(a_peer_may_be_named_by_one_who_has_the_list)
{
	begin();
	CHECK(!ask("a2a.send", "{\"to\":\"p2\",\"text\":\"x\"}"));
	CHECK_INT(fake.n_peer_fetches, 1);
	fake_set_peers(ops, PEERS);
	waiters_call(&ops->peerbook->waiters, NULL);
	CHECK(!client_hear(&client));
	CHECK_INT(fake.n_calls, 1);
	CHECK_TEXT(fake.courier.to, "p2");
	CHECK(json_text_equals(fake.courier.spec.text, "x"));
	waiters_call(&fake.waiters, &outage);
	check_fails(client_hear(&client), "unavailable", "away");

	check_fails(ask("a2a.send", "{\"to\":\"three\",\"text\":\"x\"}"), "not_found",
		    "no such peer");
	/* It was paused while the list was fetched. */
	fake.old_peers = true;
	CHECK(!ask("a2a.send", "{\"to\":\"three\",\"text\":\"x\"}"));
	fake.refuses = ERROR_PAUSED;
	waiters_call(&ops->peerbook->waiters, NULL);
	check_fails(client_hear(&client), "paused", "may not call");
	CHECK_INT(fake.n_calls, 1);
	fixture_end(&client);
}

TEST(an_answer_is_handed_on_as_it_came)
{
	static const char response[] =
		"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{\"n\":1.0,\"text\":\"hi\"}}";
	struct a2a_answer answer = {
		.kind = A2A_ANSWERED,
		.response = { response, sizeof(response) - 1 },
		.text = { "\"hi\"", 4 },
	};

	begin();
	CHECK(!ask("a2a.send", SEND("\"text\":\"x\",\"message_id\":\"m1\"")));
	fake_answer_call(A2A_DIRECT, &answer);
	CHECK_HAS(client_hear(&client),
		  "\"result\":{\"outcome\":\"answered\",\"route\":\"direct\",\"message_id\":\"m1\","
		  "\"text\":\"hi\",\"response\":{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":"
		  "{\"n\":1.0,\"text\":\"hi\"}},\"queue_id\":null}");

	answer = (struct a2a_answer){ .kind = A2A_QUEUED, .queue_id = "q-7" };
	CHECK(!ask("a2a.send", SEND("\"text\":\"x\"")));
	fake_answer_call(A2A_PROXY, &answer);
	CHECK_HAS(client_hear(&client),
		  "\"result\":{\"outcome\":\"queued\",\"route\":\"proxy\",\"message_id\":"
		  "\"made-up\",\"text\":null,\"response\":null,\"queue_id\":\"q-7\"}");
	fixture_end(&client);
}

TEST(a_call_that_cannot_begin_says_why)
{
	begin();
	fake.refuses_call = ERROR_OVERLOADED;
	check_fails(ask("a2a.send", SEND("\"text\":\"x\"")), "overloaded", "no call now");
	fixture_end(&client);
}
