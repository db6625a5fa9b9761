/* SPDX-License-Identifier: MIT */
/*
 * What plugins.* asks of a shelf, and how its answers look.
 */

#include <stdio.h>
#include <string.h>

#include "base/jsonscan.h"
#include "lib/test.h"
#include "rpc-fixture.h"

#define OPS "7aa1b9f4-33d3-4a10-a0a8-3a1b2f0c0001"
#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct client client;

static void begin(void)
{
	fixture_init();
	CHECK(fake_add("ops", OPS, NULL));
	client_open(&client);
}

static void end(void)
{
	client_close(&client);
	fixture_turns(2);
	fixture_fini();
}

/* Asks as id 1; the answer must be JSON. */
static const char *ask(const char *method, const char *params)
{
	char request[4096];
	const char *answer;

	(void)snprintf(request, sizeof(request),
		       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}\n", method,
		       params);
	answer = client_ask(&client, request);
	if (answer)
		CHECK_INT(json_check(answer, strlen(answer), 64, 65536, NULL), 0);
	return answer;
}

static void check_result(const char *answer, const char *result)
{
	char whole[8192];

	(void)snprintf(whole, sizeof(whole), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":%s}",
		       result);
	CHECK_TEXT(answer, whole);
}

static void check_has(const char *text, const char *part)
{
	if (!text || !strstr(text, part))
		test_fail(__FILE__, __LINE__, "%s does not hold %s", text ? text : "nothing", part);
}

static void check_asked(const char *method, const char *params, const char *asked)
{
	fake.asked[0] = '\0';
	CHECK(!ask(method, params));
	CHECK_TEXT(fake.asked, asked);
	client_say(&client,
		   "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.cancel\",\"params\":{\"id\":1}}\n");
	check_has(client_hear(&client), "\"kind\":\"cancelled\"");
	CHECK(list_empty(&fake.waiters));
}

static void check_refused(const char *method, const char *params, const char *names)
{
	const char *answer = ask(method, params);

	check_has(answer, "\"kind\":\"invalid_params\"");
	check_has(answer, names);
}

static struct plugin *put(const char *name)
{
	struct plugin *plugin = plugin_new(name);

	CHECK(plugin);
	memcpy(plugin->current.dir, "v2", 3);
	memcpy(plugin->current.digest, DIGEST, sizeof(DIGEST));
	memcpy(plugin->current.installed_at, "2026-11-20T12:00:00.000Z", TIME_TEXT_SIZE);
	plugin->current.files = 3;
	plugin->current.bytes = 70;
	plugin->current.version = strdup("2.0");
	list_append(&fake.shelf.plugins, &plugin->node);
	return plugin;
}

TEST(an_installation_is_asked_for_as_it_was_said)
{
	begin();
	check_asked("plugins.install", "{\"name\":\"pdf-tools\"}", "install pdf-tools - - report");
	check_asked("plugins.install",
		    "{\"name\":\"x\",\"source\":\"github://o/x#v1\",\"report\":false,"
		    "\"sha256\":\"0123456789ABCDEF0123456789abcdef"
		    "0123456789abcdef0123456789abcdef\"}",
		    "install x github://o/x#v1 " DIGEST);
	check_asked("plugins.install", "[null,\"x\",\"local://x\"]",
		    "install x local://x - report");

	check_asked("plugins.install", "{\"name\":\"x\",\"run_setup\":true}",
		    "install x - - setup report");
	check_asked("plugins.install", "{\"name\":\"x\",\"require_setup\":true}",
		    "install x - - setup needed report");

	check_refused("plugins.install", "{}", "name is missing");
	check_refused("plugins.install", "{\"name\":\"\"}", "is no name for a plugin");
	check_refused("plugins.install", "{\"name\":\"../x\"}", "\\\"../x\\\" is no name");
	check_refused("plugins.install", "{\"name\":\"x\",\"sha256\":\"12\"}", "64 hex digits");
	check_refused("plugins.install", "{\"name\":\"x\",\"sha256\":\"\"}", "64 hex digits");
	end();
}

TEST(the_configuration_decides_whether_a_setup_is_run)
{
	enum plugin_run_setup *rule = &fake.agent.context.plugins.run_setup;

	begin();
	*rule = PLUGIN_SETUP_ALWAYS;
	check_asked("plugins.install", "{\"name\":\"x\"}", "install x - - setup report");
	check_asked("plugins.install", "{\"name\":\"x\",\"run_setup\":false}",
		    "install x - - report");
	check_refused("plugins.install",
		      "{\"name\":\"x\",\"run_setup\":false,\"require_setup\":true}", "choose");

	*rule = PLUGIN_SETUP_NEVER;
	check_asked("plugins.install", "{\"name\":\"x\"}", "install x - - report");
	check_has(ask("plugins.install", "{\"name\":\"x\",\"run_setup\":true}"),
		  "\"kind\":\"forbidden\"");
	check_has(ask("plugins.install", "{\"name\":\"x\",\"require_setup\":true}"),
		  "\"kind\":\"forbidden\"");
	end();
}

TEST(a_workspace_that_may_not_call_installs_nothing_and_has_its_plugins)
{
	begin();
	fake.refuses = ERROR_PAUSED;
	check_has(ask("plugins.install", "{\"name\":\"x\"}"), "\"kind\":\"paused\"");
	CHECK_TEXT(fake.asked, "");
	check_asked("plugins.rollback", "{\"name\":\"x\"}", "rollback x");
	check_asked("plugins.remove", "{\"name\":\"x\"}", "remove x");
	check_asked("plugins.verify", "{\"name\":\"x\"}", "verify x");
	check_asked("plugins.verify", "{}", "verify all");
	end();
}

TEST(the_answer_to_an_installation_says_what_there_is_now)
{
	static const char warning[] = "\"link left out: a\"";
	struct plugin_install install = { .warnings = BUFFER_INIT(256) };

	begin();
	CHECK(!ask("plugins.install", "{\"name\":\"x\"}"));
	CHECK_INT(buffer_append_text(&install.warnings, warning), 0);
	fake.outcome = (struct shelf_outcome){ .plugin = put("x"), .install = &install };
	waiters_call(&fake.waiters, NULL);
	check_has(client_hear(&client),
		  "\"result\":{\"name\":\"x\",\"version\":\"2.0\","
		  "\"path\":\"/state/x/current/tree\",\"digest\":\"" DIGEST
		  "\",\"manifest\":\"\",\"source\":null,\"files\":3,\"bytes\":70,"
		  "\"setup\":{\"ran\":false,\"ok\":null,\"exit\":null,\"why\":null,\"log\":null},"
		  "\"warnings\":[\"link left out: a\"]}}");
	buffer_fini(&install.warnings);

	CHECK(!ask("plugins.install", "{\"name\":\"x\"}"));
	waiters_call(&fake.waiters,
		     &(struct error){ .kind = ERROR_INTEGRITY, .text = "it is another one" });
	check_has(client_hear(&client), "\"kind\":\"integrity\"");
	end();
}

TEST(the_list_waits_until_it_is_known)
{
	struct plugin *plugin;

	begin();
	CHECK(!ask("plugins.list", "{}"));
	plugin = put("a");
	fake.shelf.loaded = true;
	waiters_call(&fake.shelf.load_waiters, NULL);
	check_result(client_hear(&client),
		     "{\"plugins\":[{\"name\":\"a\",\"version\":\"2.0\",\"description\":null,"
		     "\"digest\":\"" DIGEST "\",\"manifest\":null,\"source\":null,"
		     "\"installed_at\":\"2026-11-20T12:00:00.000Z\",\"files\":3,\"bytes\":70,"
		     "\"path\":\"/state/a/current/tree\",\"previous\":null}]}");

	memcpy(plugin->before.dir, "v1", 3);
	memcpy(plugin->before.digest, DIGEST, sizeof(DIGEST));
	check_has(ask("plugins.list", "{}"), "\"previous\":{\"version\":null,\"digest\":\"" DIGEST
					     "\",\"installed_at\":null}}]}");

	fake.shelf.loaded = false;
	CHECK(!ask("plugins.list", "{}"));
	waiters_call(&fake.shelf.load_waiters,
		     &(struct error){ .kind = ERROR_INTERNAL, .text = "cannot list the plugins" });
	check_has(client_hear(&client), "cannot list the plugins");
	end();
}

TEST(drift_is_answered_as_it_was_found)
{
	struct buffer drift = BUFFER_INIT(256);

	begin();
	CHECK(!ask("plugins.verify", "{}"));
	fake.outcome = (struct shelf_outcome){ .drift = &drift };
	waiters_call(&fake.waiters, NULL);
	check_result(client_hear(&client), "{\"ok\":true,\"drift\":[],\"truncated\":false}");

	CHECK(!ask("plugins.verify", "{}"));
	CHECK_INT(buffer_append_text(&drift, "{\"name\":\"a\",\"path\":\"b\",\"what\":\"mode\"}"),
		  0);
	fake.outcome.drift_cut = true;
	waiters_call(&fake.waiters, NULL);
	check_result(client_hear(&client),
		     "{\"ok\":false,\"drift\":[{\"name\":\"a\",\"path\":\"b\",\"what\":\"mode\"}],"
		     "\"truncated\":true}");
	buffer_fini(&drift);
	end();
}

TEST(a_rollback_and_a_removal_are_answered)
{
	begin();
	CHECK(!ask("plugins.rollback", "{\"name\":\"x\"}"));
	fake.outcome = (struct shelf_outcome){ .plugin = put("x") };
	waiters_call(&fake.waiters, NULL);
	check_result(client_hear(&client),
		     "{\"name\":\"x\",\"version\":\"2.0\",\"digest\":\"" DIGEST "\"}");

	CHECK(!ask("plugins.remove", "{\"name\":\"x\"}"));
	waiters_call(&fake.waiters, NULL);
	check_result(client_hear(&client), "{\"removed\":true}");
	end();
}

TEST(what_is_under_way_is_in_the_snapshot_and_then_told)
{
	const struct shelf_progress progress = { "x", PLUGIN_FAILED, 7, 9, 1, "it is no archive" };
	struct workspace *workspace;

	begin();
	workspace = list_entry(fake.agent.workspaces.next, struct workspace, node);
	check_has(ask("events.subscribe", "{\"types\":[\"plugin.progress\"]}"),
		  "\"snapshot\":{\"plugins\":[]}");
	CHECK(workspace_shelf(workspace, NULL));
	check_has(ask("events.subscribe", "{\"types\":[\"plugin.progress\"]}"),
		  "\"plugins\":[{\"workspace\":\"ops\",\"name\":\"pdf-tools\","
		  "\"phase\":\"unpack\",\"bytes\":7,\"total\":null,\"files\":3}]");
	server_on_plugin(fixture.server, workspace, &progress);
	check_has(client_hear(&client), "\"type\":\"plugin.progress\",\"workspace\":\"ops\"");
	check_has(client_hear(&client),
		  "\"data\":{\"name\":\"x\",\"phase\":\"failed\",\"bytes\":7,\"total\":9,"
		  "\"files\":1,\"message\":\"it is no archive\"}");
	end();
}
