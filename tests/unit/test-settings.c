/* SPDX-License-Identifier: MIT */
#include "agent/guard.h"
#include "base/setting.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/settings.h"
#include "io/url.h"
#include "lib/test.h"
#include "rpc/settings.h"

#define ID "3f2c1a8e-5b7d-4c7e-9a55-0d7f7f7a1c22"

static struct workspace_settings good_workspace(void)
{
	struct workspace_settings settings;

	CHECK_INT(workspace_settings_init(&settings), 0);
	CHECK_INT(workspace_settings_set_name(&settings, "laptop", NULL), 0);
	CHECK_INT(workspace_settings_set(&settings, "platform_url", "https://p.example", NULL), 0);
	CHECK_INT(workspace_settings_set(&settings, "workspace_id", ID, NULL), 0);
	return settings;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	FILE *file = fopen(name, "we");

	CHECK(file);
	CHECK(fputs(text, file) >= 0);
	CHECK_INT(fclose(file), 0);
	CHECK_INT(chmod(name, mode), 0);
}

/* Setting key to text fails with exactly this sentence and changes nothing. */
static void refuses(const char *key, const char *text, const char *sentence)
{
	struct workspace_settings settings = good_workspace(), before;
	struct error err = { 0 };

	CHECK_INT(workspace_settings_copy(&before, &settings), 0);
	CHECK(workspace_settings_set(&settings, key, text, &err) < 0);
	CHECK_TEXT(err.text, sentence);
	CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
	CHECK(workspace_settings_equal(&settings, &before));
	workspace_settings_fini(&before);
	workspace_settings_fini(&settings);
}

/* Setting key to text makes it print as printed. */
static void takes(const char *key, const char *text, const char *printed)
{
	const struct setting *setting = setting_find(&workspace_settings_table, key);
	struct workspace_settings settings = good_workspace();
	struct buffer out = BUFFER_INIT(4096);
	char *shown;

	CHECK_INT(workspace_settings_set(&settings, key, text, NULL), 0);
	CHECK_INT(setting_print(setting, &settings, &out), 0);
	shown = buffer_take_text(&out);
	CHECK_TEXT(shown, printed);
	free(shown);
	buffer_fini(&out);
	workspace_settings_fini(&settings);
}

TEST(a_new_workspace_has_the_documented_defaults)
{
	struct workspace_settings settings;

	CHECK_INT(workspace_settings_init(&settings), 0);
	CHECK_TEXT(settings.name, "");
	CHECK_TEXT(settings.id, "");
	CHECK(!settings.platform.url && !settings.platform.proxy && !settings.agent_card);
	CHECK(!settings.platform.allow_http);
	CHECK_INT(settings.platform.requests_per_minute, 0);
	CHECK_INT(settings.heartbeat_interval_ms, 30000);
	CHECK_INT(settings.state_poll_interval_ms, 30000);
	CHECK_INT(settings.secrets_refresh_interval_ms, 300000);
	CHECK_INT(settings.secrets_max_stale_ms, 3600000);
	CHECK_INT(settings.url_cache_ttl_ms, 300000);
	CHECK_INT(settings.on_pause, WORKSPACE_NOTIFY);
	CHECK_INT(settings.on_delete, WORKSPACE_NOTIFY);
	workspace_settings_fini(&settings);
}

TEST(the_socket_has_the_documented_limits)
{
	struct rpc_settings settings;

	rpc_settings_init(&settings);
	CHECK_INT(settings.max_connections, 1024);
	CHECK_INT(settings.max_connections_per_uid, 128);
	CHECK_INT(settings.max_calls_in_flight, 128);
	CHECK_INT(settings.max_request_bytes, 1048576);
	CHECK_INT(settings.max_output_bytes, 4194304);
	CHECK_INT(settings.partial_timeout_ms, 10000);
}

TEST(each_type_is_read_and_printed)
{
	takes("allow_http", "on", "yes");
	takes("requests_per_minute", "0", "0");
	takes("requests_per_minute", "1", "1");
	takes("requests_per_minute", "100000", "100000");
	takes("workspace_id", "3F2C1A8E-5B7D-4C7E-9A55-0D7F7F7A1C22", ID);
	takes("heartbeat_interval", "1min 30s", "90s");
	takes("heartbeat_interval", "1s", "1s");
	takes("heartbeat_interval", "600s", "10min");
	takes("state_poll_interval", "5500ms", "5500ms");
	takes("secrets_refresh_interval", "0", "0s");
	takes("secrets_refresh_interval", "24h", "1d");
	takes("on_pause", "exit", "exit");
	takes("agent_card", " {\"name\": \"x\"} ", "{\"name\": \"x\"}");
	takes("org_id", "org_1", "org_1");
	takes("token_credential", "laptop.token", "laptop.token");
}

TEST(an_empty_text_is_the_default_again)
{
	takes("heartbeat_interval", "", "30s");
	takes("platform_url", " ", "");
	takes("workspace_id", "", "");
}

TEST(a_wrong_value_is_told_what_to_write)
{
	refuses("allow_http", "maybe", "allow_http is \"maybe\": write yes or no");
	refuses("requests_per_minute", "-1",
		"requests_per_minute is \"-1\": write a number from 0 to 100000");
	refuses("requests_per_minute", "100001",
		"requests_per_minute is \"100001\": write a number from 0 to 100000");
	refuses("workspace_id", "laptop", "workspace_id is \"laptop\": write a UUID, such as " ID);
	refuses("heartbeat_interval", "30",
		"heartbeat_interval is \"30\": write a duration from 1s to 10min");
	refuses("heartbeat_interval", "999ms",
		"heartbeat_interval is \"999ms\": write a duration from 1s to 10min");
	refuses("heartbeat_interval", "601s",
		"heartbeat_interval is \"601s\": write a duration from 1s to 10min");
	refuses("heartbeat_interval", "0",
		"heartbeat_interval is \"0\": write a duration from 1s to 10min");
	refuses("secrets_refresh_interval", "999ms",
		"secrets_refresh_interval is \"999ms\": write 0 or a duration from 1s to 1d");
	refuses("secrets_max_stale", "31d",
		"secrets_max_stale is \"31d\": write a duration from 0s to 30d");
	refuses("on_delete", "Exit", "on_delete is \"Exit\": write notify or exit");
	refuses("agent_card", "[1]",
		"agent_card: write a JSON object, such as {\"name\": \"laptop\"}, not an array");
	refuses("org_id", "a b", "org_id: write visible ASCII characters only, without blanks");
	refuses("token_file", "token", "token_file: write a path that begins with /");
	refuses("token_credential", "a/b",
		"token_credential: write a credential's name: letters, digits, '.', '_' and '-'");
	refuses("colour", "red", "a workspace has no \"colour\"");
}

TEST(an_agent_card_is_strict_json)
{
	static const char *const bad[] = { "{", "{'a': 1}", "{\"a\": 1,}", "{} {}",
					   "{\"a\": NaN}" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct workspace_settings settings = good_workspace();
		struct error err = { 0 };

		CHECK(workspace_settings_set(&settings, "agent_card", bad[i], &err) < 0);
		CHECK(strstr(err.text, "agent_card: write a JSON object, or the path of a file"));
		CHECK(!settings.agent_card);
		workspace_settings_fini(&settings);
	}
}

TEST(a_url_has_one_form)
{
	takes("platform_url", "HTTPS://Platform.Example.org:443/", "https://platform.example.org");
	takes("platform_url", "http://127.1:80/a//", "http://127.0.0.1/a");
	takes("platform_url", "https://[0:0::1]:8443/x", "https://[::1]:8443/x");
	takes("reported_url", "https://Agent.example/a2a", "https://agent.example/a2a");
	takes("origin", "https://App.example:443", "https://app.example");
	takes("proxy", "socks5h://Proxy.example:1080", "socks5h://proxy.example:1080");
}

TEST(a_url_holds_nothing_that_does_not_belong)
{
	refuses("platform_url", "https://u:p@p.example",
		"platform_url: a URL must not hold a user or password: others may read this file");
	refuses("proxy", "http://u@p.example:3128",
		"proxy: a URL must not hold a user or password: others may read this file");
	refuses("platform_url", "http://%36",
		"platform_url: write the host in plain ASCII (an international name in its "
		"xn-- form)");
	refuses("platform_url", "http:/%30/a://",
		"platform_url: write the host in plain ASCII (an international name in its "
		"xn-- form)");
	refuses("platform_url", "https://p.example/?x=1",
		"platform_url: leave out what begins with ? or #");
	refuses("platform_url", "https://p.example/#x",
		"platform_url: leave out what begins with ? or #");
	refuses("platform_url", "p.example",
		"platform_url: write a URL such as https://platform.example.org");
	refuses("platform_url", "ftp://p.example",
		"platform_url: write a URL such as https://platform.example.org");
	refuses("platform_url", "socks5://p.example",
		"platform_url: write a URL such as https://platform.example.org");
	refuses("platform_url", "https://p.example /",
		"platform_url: a URL has neither blanks nor letters beyond ASCII");
	refuses("platform_url", "https://ex%ff.example",
		"platform_url: write the host in plain ASCII (an international name in its xn-- "
		"form)");
	refuses("origin", "https://p.example/x",
		"origin: write scheme, host and perhaps port only, such as https://app.example.org");
	refuses("proxy", "http://p.example/x",
		"proxy: write a URL such as http://proxy.example.org:3128 (or socks5h://)");
	refuses("platform_url", "http://[fe80::1%25eth0]/",
		"platform_url: an address with a zone (%eth0) means something else on each host: "
		"write a global address or a name");
}

TEST(loopback_is_known_by_address_and_name)
{
	CHECK(url_is_loopback("http://127.0.0.1:8080"));
	CHECK(url_is_loopback("http://127.9.9.9"));
	CHECK(url_is_loopback("http://[::1]:80/x"));
	CHECK(url_is_loopback("http://localhost"));
	CHECK(!url_is_loopback("http://128.0.0.1"));
	CHECK(!url_is_loopback("http://[::2]"));
	CHECK(!url_is_loopback("http://localhost.example"));
	CHECK(!url_is_loopback("http://127.0.0.1.example"));
	CHECK(!url_is_loopback("http://127.0.0.1:80@example.org"));
	CHECK(!url_is_loopback("http://[::1].example"));
	CHECK(!url_is_loopback("http://"));
}

TEST(a_name_is_fit_for_a_file)
{
	static const char *const bad[] = { "", ".x", "-x", "_x", "a/b", "a b", "\xc3\xa4" };
	struct workspace_settings settings = good_workspace();
	char longest[WORKSPACE_NAME_MAX + 2];
	struct error err = { 0 };

	memset(longest, 'x', sizeof(longest) - 1);
	longest[WORKSPACE_NAME_MAX + 1] = '\0';
	CHECK(workspace_settings_set_name(&settings, longest, &err) < 0);
	longest[WORKSPACE_NAME_MAX] = '\0';
	CHECK_INT(workspace_settings_set_name(&settings, longest, NULL), 0);
	CHECK_INT(workspace_settings_set_name(&settings, "A1.b_c-d", NULL), 0);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(workspace_settings_set_name(&settings, bad[i], &err) < 0);
	CHECK_TEXT(err.text, "\"\xc3\xa4\" is no name for a workspace: write letters, digits, '.', "
			     "'_' and '-', at most 64, the first a letter or digit");
	CHECK_TEXT(settings.name, "A1.b_c-d");
	workspace_settings_fini(&settings);
}

/* The whole is refused, for the sake of this key, with this sentence. */
static void check_refuses(const struct workspace_settings *settings, const char *key,
			  const char *sentence)
{
	const char *blamed = NULL;
	struct error err = { 0 };

	CHECK(workspace_settings_check(settings, &blamed, &err) < 0);
	CHECK_TEXT(blamed, key);
	CHECK(strstr(err.text, sentence));
}

static void check_accepts(const struct workspace_settings *settings)
{
	struct error err = { 0 };
	const char *blamed;
	int r = workspace_settings_check(settings, &blamed, &err);

	CHECK_TEXT(err.text, "");
	CHECK_INT(r, 0);
}

TEST(a_workspace_needs_a_platform_and_an_id)
{
	struct workspace_settings settings = good_workspace();

	check_accepts(&settings);
	CHECK_INT(workspace_settings_set(&settings, "workspace_id", "", NULL), 0);
	check_refuses(&settings, "workspace_id", "workspace_id is missing: write");
	CHECK_INT(workspace_settings_set(&settings, "platform_url", "", NULL), 0);
	check_refuses(&settings, "platform_url", "platform_url is missing: write");
	workspace_settings_fini(&settings);
}

TEST(a_token_does_not_cross_a_network_in_the_clear)
{
	struct workspace_settings settings = good_workspace();

	CHECK_INT(workspace_settings_set(&settings, "platform_url", "http://p.example", NULL), 0);
	check_refuses(&settings, "platform_url", "write https://, or allow_http = yes");
	CHECK_INT(workspace_settings_set(&settings, "allow_http", "yes", NULL), 0);
	check_accepts(&settings);
	CHECK_INT(workspace_settings_set(&settings, "allow_http", "no", NULL), 0);
	CHECK_INT(workspace_settings_set(&settings, "platform_url", "http://[::1]:8080", NULL), 0);
	check_accepts(&settings);
	workspace_settings_fini(&settings);
}

TEST(a_token_file_is_closed_to_others)
{
	struct workspace_settings settings = good_workspace();
	char path[4096];

	CHECK(getcwd(path, sizeof(path) - 10));
	strncat(path, "/token", 10);
	CHECK_INT(workspace_settings_set(&settings, "token_file", path, NULL), 0);
	check_accepts(&settings); /* it may come later */

	write_file("token", "tok_12345678", 0640);
	check_refuses(&settings, "token_file", "is open to others (mode 640): run chmod 600 on it");
	CHECK_INT(chmod("token", 0604), 0);
	check_refuses(&settings, "token_file", "is open to others (mode 604)");
	CHECK_INT(chmod("token", 0600), 0);
	check_accepts(&settings);

	CHECK_INT(rename("token", "other"), 0);
	CHECK_INT(symlink("other", "token"), 0);
	check_refuses(&settings, "token_file", "is no regular file");

	CHECK_INT(workspace_settings_set(&settings, "token_credential", "x", NULL), 0);
	check_refuses(&settings, "token_credential", "are both given: keep one");
	workspace_settings_fini(&settings);
}

TEST(a_ca_file_has_to_be_there)
{
	struct workspace_settings settings = good_workspace();

	CHECK_INT(workspace_settings_set(&settings, "ca_file", "/nonexistent/ca.pem", NULL), 0);
	check_refuses(&settings, "ca_file",
		      "ca_file: cannot read /nonexistent/ca.pem: No such file or directory");
	workspace_settings_fini(&settings);
}

/* A value for a setting that is not its default. */
static const char *other_value(const struct setting *setting)
{
	switch (setting->type) {
	case SETTING_BOOL:
		return "yes";
	case SETTING_COUNT:
		return "77";
	case SETTING_SIZE:
		return "2M";
	case SETTING_DURATION:
		return "77s";
	case SETTING_CHOICE:
		return setting->choices[1];
	case SETTING_UUID:
		return "00000000-0000-4000-8000-000000000001";
	case SETTING_TEXT:
	case SETTING_LIST:
		break;
	}
	if (strcmp(setting->name, "agent_card") == 0)
		return "{\"a\": [1]}";
	if (setting->check == guard_check_network)
		return "10.0.0.0/8 fd00::/8";
	if (setting->check == platform_check_path)
		return "/x";
	return setting->check == platform_check_url || setting->check == platform_check_origin ||
			       setting->check == platform_check_proxy
		       ? "https://other.example:8443"
		       : "other";
}

TEST(settings_that_differ_in_any_key_are_not_equal)
{
	setting_for_each(setting, &workspace_settings_table)
	{
		struct workspace_settings a = good_workspace(), b = good_workspace(), copy;
		bool of_platform =
			setting->offset >= offsetof(struct workspace_settings, platform) &&
			setting->offset < offsetof(struct workspace_settings, token_file);
		struct platform_settings platform;

		CHECK(workspace_settings_equal(&a, &b));
		CHECK_INT(setting_set(setting, &b, other_value(setting), NULL), 0);
		CHECK(!workspace_settings_equal(&a, &b));
		CHECK_INT(platform_settings_equal(&a.platform, &b.platform), !of_platform);

		CHECK_INT(workspace_settings_copy(&copy, &b), 0);
		CHECK(workspace_settings_equal(&copy, &b));
		CHECK_INT(platform_settings_copy(&platform, &b.platform), 0);
		CHECK(platform_settings_equal(&platform, &b.platform));

		platform_settings_fini(&platform);
		workspace_settings_fini(&copy);
		workspace_settings_fini(&a);
		workspace_settings_fini(&b);
	}
}

TEST(a_workspace_is_also_its_name_and_where_it_came_from)
{
	struct workspace_settings a = good_workspace(), b = good_workspace();

	b.joined = true;
	CHECK(!workspace_settings_equal(&a, &b));
	b.joined = false;
	CHECK_INT(workspace_settings_set_name(&b, "desktop", NULL), 0);
	CHECK(!workspace_settings_equal(&a, &b));
	workspace_settings_fini(&a);
	workspace_settings_fini(&b);
}

TEST(what_is_printed_reads_back_the_same)
{
	setting_for_each(setting, &workspace_settings_table)
	{
		struct workspace_settings a = good_workspace(), b = good_workspace();
		struct buffer out = BUFFER_INIT(4096);
		char *text;

		CHECK_INT(setting_set(setting, &a, other_value(setting), NULL), 0);
		CHECK_INT(setting_print(setting, &a, &out), 0);
		text = buffer_take_text(&out);
		CHECK_INT(setting_set(setting, &b, text, NULL), 0);
		CHECK(setting_equal(setting, &a, &b));
		free(text);
		buffer_fini(&out);
		workspace_settings_fini(&a);
		workspace_settings_fini(&b);
	}
}

TEST(every_setting_has_a_line_of_help_and_a_default_that_it_takes)
{
	const struct setting_table *const tables[] = { &workspace_settings_table,
						       &rpc_settings_table, &call_settings_table,
						       &plugin_settings_table };

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		setting_for_each(setting, tables[i])
		{
			CHECK(setting->help && strlen(setting->help) < 80);
			CHECK(strlen(setting->name) < 30);
			if (setting->type != SETTING_TEXT && setting->type != SETTING_UUID &&
			    setting->type != SETTING_LIST)
				CHECK(setting->initial);
		}
	}
}

TEST(the_nearest_key_is_the_one_that_was_meant)
{
	const struct setting_table *table = &workspace_settings_table;

	CHECK_TEXT(setting_nearest(table, "heartbeat_intervall")->name, "heartbeat_interval");
	CHECK_TEXT(setting_nearest(table, "platform-url")->name, "platform_url");
	CHECK_TEXT(setting_nearest(table, "orgid")->name, "org_id");
	CHECK(!setting_nearest(table, "colour_of_the_sky"));
	CHECK(!setting_nearest(table, "x"));
	CHECK(!setting_nearest(table, "a_name_that_is_much_longer_than_any_key_could_ever_be"));
}
