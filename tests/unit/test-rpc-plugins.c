/* SPDX-License-Identifier: MIT */
/*
 * What plugins.* asks of a shelf, and how its answers look.
 */

#include <string.h>

#include "lib/test.h"
#include "rpc-fixture.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct client client;

static void begin(void)
{
	fixture_init();
	CHECK(fake_add("ops", OPS, NULL));
	client_open(&client);
}

static const char *ask(const char *method, const char *params)
{
	return client_call(&client, method, params);
}

static void check_asked(const char *method, const char *params, const char *asked)
{
	fake.asked[0] = '\0';
	CHECK(!ask(method, params));
	CHECK_TEXT(fake.asked, asked);
	client_say(&client,
		   "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.cancel\",\"params\":{\"id\":1}}\n");
	CHECK_HAS(client_hear(&client), "\"kind\":\"cancelled\"");
	CHECK(list_empty(&fake.waiters));
}

static void check_refused(const char *method, const char *params, const char *names)
{
	check_fails(ask(method, params), "invalid_params", names);
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
	fixture_end(&client);
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
	CHECK_HAS(ask("plugins.install", "{\"name\":\"x\",\"run_setup\":true}"),
		  "\"kind\":\"forbidden\"");
	CHECK_HAS(ask("plugins.install", "{\"name\":\"x\",\"require_setup\":true}"),
		  "\"kind\":\"forbidden\"");
	fixture_end(&client);
}

TEST(a_workspace_that_may_not_call_installs_nothing_and_has_its_plugins)
{
	begin();
	fake.refuses = ERROR_PAUSED;
	CHECK_HAS(ask("plugins.install", "{\"name\":\"x\"}"), "\"kind\":\"paused\"");
	CHECK_TEXT(fake.asked, "");
	check_asked("plugins.rollback", "{\"name\":\"x\"}", "rollback x");
	check_asked("plugins.remove", "{\"name\":\"x\"}", "remove x");
	check_asked("plugins.verify", "{\"name\":\"x\"}", "verify x");
	check_asked("plugins.verify", "{}", "verify all");
	fixture_end(&client);
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
	CHECK_HAS(client_hear(&client),
		  "\"result\":{\"name\":\"x\",\"version\":\"2.0\","
		  "\"path\":\"/state/x/current/tree\",\"digest\":\"" DIGEST
		  "\",\"manifest\":\"\",\"source\":null,\"files\":3,\"bytes\":70,"
		  "\"setup\":{\"ran\":false,\"ok\":null,\"exit\":null,\"why\":null,\"log\":null},"
		  "\"warnings\":[\"link left out: a\"]}}");
	buffer_fini(&install.warnings);

	CHECK(!ask("plugins.install", "{\"name\":\"x\"}"));
	waiters_call(&fake.waiters,
		     &(struct error){ .kind = ERROR_INTEGRITY, .text = "it is another one" });
	CHECK_HAS(client_hear(&client), "\"kind\":\"integrity\"");
	fixture_end(&client);
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
	CHECK_HAS(ask("plugins.list", "{}"), "\"previous\":{\"version\":null,\"digest\":\"" DIGEST
					     "\",\"installed_at\":null}}]}");

	fake.shelf.loaded = false;
	CHECK(!ask("plugins.list", "{}"));
	waiters_call(&fake.shelf.load_waiters,
		     &(struct error){ .kind = ERROR_INTERNAL, .text = "cannot list the plugins" });
	CHECK_HAS(client_hear(&client), "cannot list the plugins");
	fixture_end(&client);
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
	fixture_end(&client);
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
	fixture_end(&client);
}

TEST(what_is_under_way_is_in_the_snapshot_and_then_told)
{
	const struct shelf_progress progress = { "x", PLUGIN_FAILED, 7, 9, 1, "it is no archive" };
	struct workspace *workspace;

	begin();
	workspace = list_entry(fake.agent.workspaces.next, struct workspace, node);
	CHECK_HAS(ask("events.subscribe", "{\"types\":[\"plugin.progress\"]}"),
		  "\"snapshot\":{\"plugins\":[]}");
	CHECK(workspace_shelf(workspace, NULL));
	CHECK_HAS(ask("events.subscribe", "{\"types\":[\"plugin.progress\"]}"),
		  "\"plugins\":[{\"workspace\":\"ops\",\"name\":\"pdf-tools\","
		  "\"phase\":\"unpack\",\"bytes\":7,\"total\":null,\"files\":3}]");
	server_on_plugin(fixture.server, workspace, &progress);
	CHECK_HAS(client_hear(&client), "\"type\":\"plugin.progress\",\"workspace\":\"ops\"");
	CHECK_HAS(client_hear(&client),
		  "\"data\":{\"name\":\"x\",\"phase\":\"failed\",\"bytes\":7,\"total\":9,"
		  "\"files\":1,\"message\":\"it is no archive\"}");
	fixture_end(&client);
}
