/* SPDX-License-Identifier: MIT */
/* Showing, comparing, and keeping a workspace that was joined. */

#include <fcntl.h>

#include "unit/config-fixture.h"

TEST(what_is_dumped_reads_back_the_same)
{
	struct config *config = parse("[daemon]\nlog_level = error\nsocket = /a /b\n"
				      "[rpc]\nmax_output_bytes = 1M\n[defaults]\n" URL
				      "[workspace a]\nworkspace_id = " ID1 "\n"
				      "agent_card = {\n \"x\": 1}\nproxy = http://q.example\n");
	struct buffer out = BUFFER_INIT(65536);
	struct config *again;
	char *text;

	CHECK_INT(config_dump(config, &out), 0);
	text = buffer_take_text(&out);
	CHECK(strstr(text, "\nsocket = /a /b\n"));
	CHECK(strstr(text, "\n[workspace a]\nplatform_url = https://p.example\n"));
	again = parse(text);
	check_changes(config, again, ".");
	free(text);
	buffer_fini(&out);
	config_free(again);
	config_free(config);
}

TEST(each_change_is_told)
{
	struct config *a = parse("[workspace a]\n" URL "workspace_id = " ID1 "\n"
				 "[workspace b]\n" URL "workspace_id = " ID2 "\n");
	struct config *b = parse("[daemon]\nlog_level = error\nstate_dir = /x\nsocket = /y\n"
				 "[rpc]\nmax_connections = 7\n"
				 "[workspace b]\n" URL "workspace_id = " ID2 "\non_pause = exit\n"
				 "[workspace c]\n" URL "workspace_id = " ID1 "\n");

	check_changes(a, a, ".");
	check_changes(a, b,
		      "[daemon] log_level [daemon] state_dir! [daemon] socket! "
		      "[rpc] max_connections [workspace a] [workspace b] [workspace c] .");
	check_changes(b, a,
		      "[daemon] log_level [daemon] state_dir! [daemon] socket! "
		      "[rpc] max_connections [workspace a] [workspace b] [workspace c] .");
	config_free(a);
	config_free(b);
}

static int open_state(void)
{
	int fd = open("state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static struct workspace_settings joined_workspace(const struct config *config)
{
	struct workspace_settings settings;

	CHECK_INT(workspace_settings_copy(&settings, &config->agent.defaults), 0);
	CHECK_INT(workspace_settings_set_name(&settings, "laptop", NULL), 0);
	CHECK_INT(workspace_settings_set(&settings, "platform_url", "https://p.example", NULL), 0);
	CHECK_INT(workspace_settings_set(&settings, "workspace_id", ID1, NULL), 0);
	settings.joined = true;
	return settings;
}

TEST(a_joined_workspace_is_kept_and_forgotten)
{
	struct workspace_settings settings;
	struct config_paths paths;
	struct config *config;
	struct stat st;
	int fd;

	make_tree(&paths);
	paths.file_required = false;
	CHECK_INT(rmdir("state/workspaces.d"), 0);
	fd = open_state();
	config = load(&paths);
	settings = joined_workspace(config);
	CHECK_INT(workspace_settings_set(&settings, "agent_card", "{\n\"a\": \"x ; y\"\n}", NULL),
		  0);
	CHECK_INT(config_save_workspace(fd, &settings, &config->agent.defaults, NULL), 0);
	config_free(config);

	CHECK_INT(stat("state/workspaces.d/laptop.conf", &st), 0);
	CHECK_INT(st.st_mode & 0777, 0600);
	config = load(&paths);
	CHECK_INT(config->agent.n_workspaces, 1);
	CHECK(workspace_settings_equal(&config->agent.workspaces[0], &settings));

	CHECK_INT(workspace_settings_set(&settings, "agent_card", "", NULL), 0);
	CHECK_INT(config_save_workspace(fd, &settings, &config->agent.defaults, NULL), 0);
	CHECK(access("state/workspaces.d/laptop.card.json", F_OK) < 0);

	CHECK_INT(config_forget_workspace(fd, "laptop", NULL), 0);
	CHECK_INT(config_forget_workspace(fd, "laptop", NULL), 0);
	config_free(config);
	config = load(&paths);
	CHECK_INT(config->agent.n_workspaces, 0);
	CHECK_INT(rmdir("state/workspaces.d"), 0); /* nothing is left behind */

	config_free(config);
	workspace_settings_fini(&settings);
	config_paths_fini(&paths);
	close(fd);
}

TEST(a_joined_workspace_follows_defaults_it_did_not_overrule)
{
	struct workspace_settings settings;
	struct config_paths paths;
	struct config *config;
	int fd;

	make_tree(&paths);
	write_file("etc/agentd.conf", "[defaults]\nproxy = http://q.example\nallow_http = yes\n"
				      "heartbeat_interval = 7s\n");
	fd = open_state();
	config = load(&paths);
	settings = joined_workspace(config);
	CHECK_INT(workspace_settings_set(&settings, "proxy", "", NULL), 0);
	CHECK_INT(workspace_settings_set(&settings, "allow_http", "", NULL), 0);
	CHECK_INT(config_save_workspace(fd, &settings, &config->agent.defaults, NULL), 0);
	config_free(config);

	write_file("etc/agentd.conf", "[defaults]\nproxy = http://r.example\nallow_http = yes\n"
				      "heartbeat_interval = 8s\n");
	config = load(&paths);
	CHECK(!config->agent.workspaces[0].platform.proxy);
	CHECK(!config->agent.workspaces[0].platform.allow_http);
	CHECK_INT(config->agent.workspaces[0].heartbeat_interval_ms, 8000);
	config_free(config);
	workspace_settings_fini(&settings);
	config_paths_fini(&paths);
	close(fd);
}

static uint32_t next_random(void)
{
	static uint64_t state = 42;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

/* Text of characters that mean something somewhere, after a beginning that makes it valid. */
static const char *random_text(char *dst, const char *beginning, const char *letters, size_t max)
{
	size_t len = strlen(beginning), end = len + next_random() % max;

	memcpy(dst, beginning, len);
	while (len < end)
		dst[len++] = letters[next_random() % strlen(letters)];
	dst[len] = '\0';
	return dst;
}

static void randomise(struct workspace_settings *settings)
{
	static const char path[] = "abcdefghijk/////....====::##;;[[]]\\\"'___%$ ";
	static const char url[] = "abcXYZ/=:._-~";
	char text[2000];
	uint32_t r = next_random();

	setting_for_each(setting, &workspace_settings_table)
	{
		r = next_random();
		if (setting->type == SETTING_BOOL)
			(void)setting_set(setting, settings, r & 1 ? "yes" : "no", NULL);
		else if (setting->type == SETTING_CHOICE)
			(void)setting_set(setting, settings, setting->choices[r & 1], NULL);
		else if (setting->type == SETTING_DURATION)
			*(int64_t *)(void *)((char *)settings + setting->offset) =
				setting->min + r % (setting->max - setting->min);
	}
	settings->platform.requests_per_minute = 1 + next_random() % 100000;
	(void)workspace_settings_set(settings, "token_file",
				     random_text(text, "/nonexistent/", path, 400), NULL);
	(void)workspace_settings_set(settings, "platform_url",
				     random_text(text, "https://h.example/", url, 1500), NULL);
	(void)workspace_settings_set(settings, "reported_url",
				     random_text(text, "https://g.example/", url, 1500), NULL);
	(void)workspace_settings_set(settings, "org_id", random_text(text, "o", "abc=:#;[]{}", 300),
				     NULL);
	(void)snprintf(text, sizeof(text), "{\"%c\":\n\t\"; # [x]\"}", (int)('a' + r % 26));
	(void)workspace_settings_set(settings, "agent_card", text, NULL);
}

TEST(whatever_is_saved_loads_back_equal)
{
	struct config_paths paths;
	int fd, kept = 0;

	make_tree(&paths);
	paths.file_required = false;
	fd = open_state();
	for (int i = 0; i < 300; i++) {
		struct config *config = load(&paths);
		struct workspace_settings settings = joined_workspace(config);
		struct error err = { 0 };
		int r;

		randomise(&settings);
		r = config_save_workspace(fd, &settings, &config->agent.defaults, &err);
		config_free(config);
		if (r == 0) {
			config = load(&paths);
			CHECK(workspace_settings_equal(&config->agent.workspaces[0], &settings));
			config_free(config);
			kept++;
		} else if (!strstr(err.text, "cannot be kept")) {
			CHECK_TEXT(err.text, "");
		}
		workspace_settings_fini(&settings);
	}
	CHECK(kept > 20 && kept < 300);
	config_paths_fini(&paths);
	close(fd);
}

TEST(what_a_file_cannot_carry_is_not_saved)
{
	static const char *const bad[] = { "/a ", "/a ;b", "/a\nb", "/a\x7f" };
	struct workspace_settings settings;
	struct config *config = parse("");
	struct config_paths paths;
	struct error err = { 0 };
	int fd;

	make_tree(&paths);
	fd = open_state();
	settings = joined_workspace(config);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK_INT(workspace_settings_set(&settings, "token_file", bad[i], NULL), 0);
		CHECK(config_save_workspace(fd, &settings, &config->agent.defaults, &err) < 0);
		CHECK_TEXT(err.text, "token_file cannot be kept: it has control characters, a "
				     "blank at an end, or a ; behind a blank");
	}
	CHECK(access("state/workspaces.d/laptop.conf", F_OK) < 0);
	workspace_settings_fini(&settings);
	config_free(config);
	config_paths_fini(&paths);
	close(fd);
}

TEST(a_workspace_that_would_not_load_is_not_saved)
{
	struct workspace_settings settings;
	struct config *config = parse("");
	struct config_paths paths;
	int fd;

	make_tree(&paths);
	fd = open_state();
	settings = joined_workspace(config);
	CHECK_INT(workspace_settings_set(&settings, "workspace_id", "", NULL), 0);
	CHECK(config_save_workspace(fd, &settings, &config->agent.defaults, NULL) < 0);
	(void)strcpy(settings.name, "../x");
	CHECK(config_save_workspace(fd, &settings, &config->agent.defaults, NULL) < 0);
	CHECK(config_forget_workspace(fd, "../x", NULL) < 0);
	workspace_settings_fini(&settings);
	config_free(config);
	config_paths_fini(&paths);
	close(fd);
}
