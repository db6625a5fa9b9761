/* SPDX-License-Identifier: MIT */
/* Which files are read, in which order; and that what is shipped says what is true. */

#include "config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/fd.h"
#include "unit/config-fixture.h"

TEST(files_are_read_in_order_and_the_environment_comes_last)
{
	struct config_paths paths;
	struct config *config;

	make_tree(&paths);
	write_file("etc/agentd.conf", "[daemon]\nlog_level = error\nstop_timeout = 1s\n"
				      "socket = /a /b\n[defaults]\n" URL);
	write_file("etc/agentd.conf.d/20-b.conf", "[daemon]\nlog_level = warning\n");
	write_file("etc/agentd.conf.d/10-a.conf",
		   "[daemon]\nlog_level = debug\nsocket = /c\n"
		   "[workspace c]\nworkspace_id = 00000000-0000-4000-8000-000000000003\n");
	write_file("etc/agentd.conf.d/30-c.conf.bak", "[nonsense\n");
	write_file("etc/agentd.conf.d/.40-d.conf", "[nonsense\n");
	write_file("etc/workspaces.d/b.conf", "[workspace]\nworkspace_id = " ID1 "\n");
	write_file("etc/workspaces.d/b.conf.example", "[nonsense\n");
	write_file("state/workspaces.d/a.conf", "[workspace]\nworkspace_id = " ID2 "\n");

	config = load(&paths);
	CHECK_INT(config->daemon.log_level, LOG_WARNING);
	CHECK_INT(config->agent.stop_timeout_ms, 1000);
	CHECK_TEXT(config->daemon.sockets[0], "/c");
	CHECK(!config->daemon.sockets[1]);
	CHECK_INT(config->agent.n_workspaces, 3);
	CHECK_TEXT(config->agent.workspaces[0].name, "a");
	CHECK(config->agent.workspaces[0].joined);
	CHECK_TEXT(config->agent.workspaces[1].name, "b");
	CHECK(!config->agent.workspaces[1].joined);
	CHECK_TEXT(config->agent.workspaces[2].platform.url, "https://p.example");
	config_free(config);

	CHECK_INT(setenv("MOLECULE_LOG_LEVEL", "crit", 1), 0);
	CHECK_INT(setenv("MOLECULE_SOCKET", "/e", 1), 0);
	CHECK_INT(setenv("MOLECULE_STATE_DIR", "/nonexistent", 1), 0);
	config = load(&paths);
	CHECK_INT(config->daemon.log_level, LOG_CRIT);
	CHECK_TEXT(config->daemon.sockets[0], "/e");
	CHECK_TEXT(config->daemon.state_dir, "/nonexistent");
	CHECK_INT(config->agent.n_workspaces, 2);
	config_free(config);

	CHECK_INT(setenv("MOLECULE_LOG_LEVEL", "loud", 1), 0);
	load_fails(&paths, "in the environment, MOLECULE_LOG_LEVEL: log_level is \"loud\": write");
	config_paths_fini(&paths);
}

TEST(a_name_that_is_used_twice_is_told_with_both_places)
{
	struct config_paths paths;

	make_tree(&paths);
	write_file("etc/agentd.conf", "\n[workspace a]\n" URL "workspace_id = " ID1 "\n");
	write_file("etc/workspaces.d/a.conf", WORKSPACE(ID2));
	load_fails(&paths, "/etc/workspaces.d/a.conf:1: there is a workspace \"a\" already (");
	load_fails(&paths, "/etc/agentd.conf:2): give this one another name, or remove one");
	config_paths_fini(&paths);
}

TEST(a_file_that_was_asked_for_has_to_be_there)
{
	struct config_paths paths;

	make_tree(&paths);
	load_fails(&paths, "cannot open ");
	load_fails(&paths, "etc/agentd.conf: No such file or directory");
	paths.file_required = false;
	config_free(load(&paths));
	config_paths_fini(&paths);
}

TEST(what_is_no_file_is_refused_without_waiting)
{
	struct config_paths paths;

	make_tree(&paths);
	CHECK_INT(mkfifo("etc/agentd.conf", 0600), 0);
	load_fails(&paths, "etc/agentd.conf is no regular file");
	config_paths_fini(&paths);
}

TEST(a_card_is_found_beside_the_file_that_names_it)
{
	struct config_paths paths;
	struct config *config;

	make_tree(&paths);
	write_file("etc/agentd.conf", "");
	write_file("etc/workspaces.d/a.conf", WORKSPACE(ID1) "agent_card = card.json\n");
	write_file("etc/workspaces.d/card.json", "{\"a\":\n1}\n");
	config = load(&paths);
	CHECK_TEXT(config->agent.workspaces[0].agent_card, "{\"a\":\n1}");
	config_free(config);

	write_file("etc/workspaces.d/card.json", "[]");
	load_fails(&paths, "/etc/workspaces.d/a.conf:4: ");
	load_fails(&paths, "/etc/workspaces.d/card.json: agent_card: write a JSON object");
	config_paths_fini(&paths);
}

TEST(a_token_file_that_others_read_is_told_with_its_line)
{
	struct config_paths paths;
	char *token, text[5000];

	make_tree(&paths);
	token = here("token");
	write_file("etc/agentd.conf", "");
	write_file("token", "tok_12345678");
	CHECK_INT(chmod("token", 0644), 0);
	(void)snprintf(text, sizeof(text), "%stoken_file = %s\n", WORKSPACE(ID1), token);
	write_file("etc/workspaces.d/a.conf", text);
	load_fails(&paths, "/etc/workspaces.d/a.conf:4: token_file: ");
	load_fails(&paths, " is open to others (mode 644): run chmod 600 on it");
	CHECK_INT(chmod("token", 0600), 0);
	config_free(load(&paths));
	free(token);
	config_paths_fini(&paths);
}

TEST(a_user_has_places_of_its_own)
{
	struct config_paths paths;
	struct config *config;
	char *home = here("home"), *expected;

	CHECK_INT(setenv("HOME", home, 1), 0);
	CHECK_INT(unsetenv("XDG_CONFIG_HOME") | unsetenv("XDG_RUNTIME_DIR"), 0);
	CHECK_INT(setenv("XDG_STATE_HOME", "/xdg/state", 1), 0);
	CHECK_INT(setenv("STATE_DIRECTORY", "/not/this", 1), 0);
	CHECK_INT(config_paths_init(&paths, NULL, true, NULL), 0);
	expected = here("home/.config/molecule/agentd.conf");
	CHECK_TEXT(paths.file, expected);
	CHECK(!paths.file_required);
	load_fails(&paths, "there is no socket to listen on: set XDG_RUNTIME_DIR, or write socket");
	config_paths_fini(&paths);

	CHECK_INT(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
	CHECK_INT(setenv("XDG_CONFIG_HOME", "relative", 1), 0);
	CHECK_INT(config_paths_init(&paths, NULL, true, NULL), 0);
	CHECK_TEXT(paths.file, expected);
	config = load(&paths);
	CHECK_TEXT(config->daemon.state_dir, "/xdg/state/molecule");
	CHECK_TEXT(config->daemon.sockets[0], "/run/user/7/molecule.sock");
	CHECK(!config->daemon.sockets[1]);
	CHECK(!config->daemon.socket_group);
	config_free(config);
	config_paths_fini(&paths);
	free(expected);
	free(home);
}

TEST(the_system_has_places_of_its_own)
{
	char *link = here("public"), *target = here("private");
	struct config_paths paths;
	struct error err = { 0 };

	CHECK_INT(setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1), 0);
	CHECK_INT(config_paths_init(&paths, NULL, false, NULL), 0);
	CHECK_TEXT(paths.state_dir, "/var/lib/one");
	config_paths_fini(&paths);

	CHECK_INT(mkdir("private", 0700) | symlink("private", "public"), 0);
	CHECK_INT(setenv("STATE_DIRECTORY", link, 1), 0);
	CHECK_INT(config_paths_init(&paths, NULL, false, NULL), 0);
	CHECK_TEXT(paths.state_dir, target);
	config_paths_fini(&paths);
	free(link);
	free(target);

	CHECK_INT(unsetenv("HOME") | unsetenv("XDG_CONFIG_HOME"), 0);
	CHECK(config_paths_init(&paths, NULL, true, &err) < 0);
	CHECK_TEXT(err.text,
		   "neither XDG_CONFIG_HOME nor HOME is set: set one to an absolute path");
}

/* What is shipped says all there is, and nothing else. */

/* Inlined, gcc 12 takes what is returned for a pointer to a local variable. */
__attribute__((noinline)) static char *shipped(const char *name)
{
	char path[1024], *text;

	(void)snprintf(path, sizeof(path), "%s/%s", SOURCE_ROOT, name);
	CHECK_INT(file_read(AT_FDCWD, path, 1 << 20, &text, NULL, NULL), 0);
	return text;
}

TEST(the_manual_has_every_key_with_its_default)
{
	char *page = shipped("docs/man/agentd.conf.5.scd"), head[100], *at, *end;

	for (const struct config_section_kind *kind = config_sections; kind->name; kind++) {
		setting_for_each(setting, kind->table)
		{
			(void)snprintf(head, sizeof(head), "\n*%s* = ", setting->name);
			at = strstr(page, head);
			if (!at)
				test_fail(__FILE__, __LINE__, "there is no %s", setting->name);

			/* Up to the next key: its default, in words a test can find. */
			end = strstr(at + 1, "\n*");
			if (end)
				*end = '\0';
			if (setting->initial) {
				(void)snprintf(head, sizeof(head), "Default: _%s_",
					       setting->initial);
				if (!strstr(at, head))
					CHECK_TEXT(at, head);
			}
			if (end)
				*end = '\n';
		}
	}
	free(page);
}

TEST(the_shipped_file_has_every_key_commented_with_its_default)
{
	char *text = shipped("etc/agentd.conf"), line[200], *section;

	for (const struct config_section_kind *kind = config_sections; kind->name; kind++) {
		(void)snprintf(line, sizeof(line), "\n[%s]\n", kind->name);
		section = strstr(text, line);
		CHECK(section);
		setting_for_each(setting, kind->table)
		{
			if (kind->table == &workspace_settings_table &&
			    setting->flags & SETTING_OWN)
				continue;
			(void)snprintf(line, sizeof(line), "\n#%s =%s%s\n", setting->name,
				       setting->initial ? " " : "",
				       setting->initial ? setting->initial : "");
			if (!strstr(section, line))
				CHECK_TEXT(section, line);
		}
	}
	free(text);
}

TEST(the_shipped_file_says_the_defaults)
{
	struct config *config, *defaults = parse("");
	char *text = shipped("etc/agentd.conf");

	config = parse(text);
	check_changes(config, defaults, ".");
	config_free(config);

	/* With all keys uncommented too. */
	for (char *p = text; *p; p++)
		if (*p == '#' && (p == text || p[-1] == '\n') && p[1] >= 'a' && p[1] <= 'z')
			*p = ' ', memmove(p, p + 1, strlen(p));
	config = parse(text);
	check_changes(config, defaults, ".");
	config_free(config);
	config_free(defaults);
	free(text);
}

TEST(the_shipped_example_is_a_workspace)
{
	char *text = shipped("etc/workspaces.d/laptop.conf.example");
	struct config *config = parse_as("laptop", text);

	CHECK_INT(config->agent.n_workspaces, 1);
	config_free(config);
	free(text);
}
