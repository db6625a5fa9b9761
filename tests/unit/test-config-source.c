/* SPDX-License-Identifier: MIT */
/* What one file may say, and the sentence for each thing it may not. */

#include <syslog.h>

#include "unit/config-fixture.h"

static void refuses_as(const char *name, const char *text, size_t len, const char *sentence)
{
	struct config *config = NULL;
	struct error err = { 0 };

	CHECK(config_parse(name ? "laptop.conf" : "agentd.conf", name, text, len, &config, &err) <
	      0);
	CHECK_TEXT(err.text, sentence);
	CHECK_INT(err.kind, ERROR_CONFIG);
	CHECK(!config);
}

static void refuses(const char *text, const char *sentence)
{
	refuses_as(NULL, text, strlen(text), sentence);
}

static void refuses_workspace(const char *text, const char *sentence)
{
	refuses_as("laptop", text, strlen(text), sentence);
}

TEST(an_empty_file_is_the_defaults)
{
	struct config *config = parse("");

	CHECK_INT(config->daemon.log_level, LOG_INFO);
	CHECK_TEXT(config->daemon.sockets[0], "/run/molecule.sock");
	CHECK_TEXT(config->daemon.sockets[1], "/run/molecule/agentd.sock");
	CHECK(!config->daemon.sockets[2]);
	CHECK_TEXT(config->daemon.socket_group, "molecule");
	CHECK_INT(config->agent.stop_timeout_ms, 10000);
	CHECK_INT(config->agent.n_workspaces, 0);
	CHECK_INT(config->rpc.max_connections, 1024);
	CHECK_INT(config->agent.defaults.heartbeat_interval_ms, 30000);
	config_free(config);
}

TEST(every_section_is_read)
{
	struct config *config = parse("[daemon]\nlog_level = debug\nstop_timeout: 3s ; quick\n"
				      "[rpc] # limits\nmax_request_bytes = 2M\n"
				      "[workspace laptop]\nworkspace_id = " ID1 "\n"
				      "[ workspace\tdesktop ]\n" URL "workspace_id = " ID2 "\n"
				      "[defaults]\n" URL "heartbeat_interval = 7s\n");

	CHECK_INT(config->daemon.log_level, LOG_DEBUG);
	CHECK_INT(config->agent.stop_timeout_ms, 3000);
	CHECK_INT(config->rpc.max_request_bytes, 2097152);
	CHECK_INT(config->agent.n_workspaces, 2);
	CHECK_TEXT(config->agent.workspaces[0].name, "desktop");
	CHECK_TEXT(config->agent.workspaces[1].name, "laptop");
	CHECK_TEXT(config->agent.workspaces[1].id, ID1);
	CHECK_TEXT(config->agent.workspaces[1].platform.url, "https://p.example");
	CHECK_INT(config->agent.workspaces[1].heartbeat_interval_ms, 7000);
	CHECK(!config->agent.workspaces[1].joined);
	config_free(config);
}

TEST(a_value_goes_on_in_indented_lines)
{
	struct config *config = parse_as("laptop", "[workspace]\n"
						   "workspace_id = " ID1 "\n"
						   "platform_url = https://p.example\n"
						   "    /a/long\n"
						   "\t/path\n"
						   "agent_card =\n"
						   "  {\"name\":\n"
						   "  # a comment may stand between\n"
						   "\n"
						   "    \"x\", \"list\": [\n"
						   "    true]}\r\n");

	CHECK_TEXT(config->agent.workspaces[0].platform.url, "https://p.example/a/long/path");
	CHECK_TEXT(config->agent.workspaces[0].agent_card,
		   "{\"name\":\n\"x\", \"list\": [\ntrue]}");
	config_free(config);
}

TEST(sockets_are_a_list_over_blanks_lines_and_keys)
{
	struct config *config = parse("[daemon]\nsocket = /a /b\n  /c\nsocket = /d\n");
	char *const *sockets = config->daemon.sockets;

	CHECK_TEXT(sockets[0], "/a");
	CHECK_TEXT(sockets[1], "/b");
	CHECK_TEXT(sockets[2], "/c");
	CHECK_TEXT(sockets[3], "/d");
	CHECK(!sockets[4]);
	config_free(config);
}

TEST(an_empty_value_is_the_default_again)
{
	struct config *config = parse("[defaults]\n" URL "proxy = http://q.example\n"
				      "heartbeat_interval = 7s\n"
				      "[workspace a]\nworkspace_id = " ID1 "\nproxy =\n"
				      "heartbeat_interval =\n");

	CHECK_TEXT(config->agent.defaults.platform.proxy, "http://q.example");
	CHECK(!config->agent.workspaces[0].platform.proxy);
	CHECK_INT(config->agent.workspaces[0].heartbeat_interval_ms, 30000);
	config_free(config);
}

TEST(a_byte_order_mark_and_dos_lines_do_no_harm)
{
	struct config *config = parse("\xef\xbb\xbf[daemon]\r\nlog_level = error\r\n");

	CHECK_INT(config->daemon.log_level, LOG_ERR);
	config_free(config);
}

TEST(a_long_comment_does_no_harm)
{
	char text[1000];

	memset(text, '#', sizeof(text));
	(void)snprintf(text + 900, sizeof(text) - 900, "\n[daemon]\nlog_level = error\n");
	config_free(parse(text));
}

TEST(a_line_that_inih_would_split_is_refused)
{
	char text[400], *end = text;

	end += sprintf(end, "[daemon]\nstate_dir = /");
	memset(end, 'x', 197 - strlen("state_dir = /"));
	end += 197 - strlen("state_dir = /");
	*end = '\0';
	config_free(parse(text));
	(void)snprintf(end, 2, "x");
	refuses(text, "agentd.conf:2: this line is longer than 197 bytes: go on in the next line, "
		      "which then begins with a blank");
}

TEST(bytes_that_are_no_text_are_refused)
{
	static const char nul[] = "[daemon]\nlog_level = info\0\n";

	refuses_as(NULL, nul, sizeof(nul) - 1,
		   "agentd.conf:2: there is a control character (0x00) in this line");
	refuses("[daemon]\n# caf\xe9\n",
		"agentd.conf:2: this line is not UTF-8: save the file as UTF-8");
	refuses("# \xc0\xaf\n", "agentd.conf:1: this line is not UTF-8: save the file as UTF-8");
	refuses("# \xed\xa0\x80\n",
		"agentd.conf:1: this line is not UTF-8: save the file as UTF-8");
	refuses("# \xf4\x90\x80\x80\n",
		"agentd.conf:1: this line is not UTF-8: save the file as UTF-8");
	refuses("# \xe2\x82", "agentd.conf:1: this line is not UTF-8: save the file as UTF-8");
	config_free(parse("# caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n"));
}

TEST(what_would_mean_something_else_is_refused)
{
	refuses("[daemon]\nlog_level\n",
		"agentd.conf:2: this is neither \"key = value\" nor a [section]; a line that "
		"continues the one above begins with a blank");
	refuses("[daemon]\nlog_level\nlog_level = x\n[nosuch]\n",
		"agentd.conf:2: this is neither \"key = value\" nor a [section]; a line that "
		"continues the one above begins with a blank");
	refuses("[daemon]\nlog_level = info\n  state_dir = /x\n",
		"agentd.conf:3: \"state_dir\" is indented, so it would continue the line above: "
		"remove the blanks before it");
	refuses("[daemon]\nlog_level = info\n  [rpc]\n",
		"agentd.conf:3: this section is indented, so it would continue the line above: "
		"remove the blanks before it");
	refuses("[daemon]\nsocket = /a\n  /b ; c\n",
		"agentd.conf:3: a line that continues another cannot have a comment: put it on a "
		"line of its own (or, in JSON, write \\u003b for ;)");
	refuses("[daemon\n", "agentd.conf:1: a section is a line of its own: [daemon], [rpc], "
			     "[calls], [plugins], [defaults] or [workspace NAME]");
	refuses("[daemon] log_level = info\n",
		"agentd.conf:1: a section is a line of its own: [daemon], [rpc], [calls], [plugins], [defaults] or "
		"[workspace NAME]");
	refuses("[]\n", "agentd.conf:1: a section is a line of its own: [daemon], [rpc], "
			"[calls], [plugins], [defaults] or [workspace NAME]");
	refuses("[workspace a_name_of_more_than_thirty_nine_characters]\n",
		"agentd.conf:1: this section's name is longer than 49 characters: give the "
		"workspace a file of its own, workspaces.d/NAME.conf");
	refuses("log_level = info\n",
		"agentd.conf:1: this stands before any section: write one above it, such as "
		"[daemon] (or [workspace] in a workspace's file)");
}

TEST(sections_that_do_not_belong_are_refused)
{
	refuses("[server]\n", "agentd.conf:1: unknown section [server]: there are [daemon], [rpc], "
			      "[calls], [plugins], [defaults] and [workspace NAME]");
	refuses("[workspaces]\n",
		"agentd.conf:1: unknown section [workspaces]: there are "
		"[daemon], [rpc], [calls], [plugins], [defaults] and [workspace NAME]");
	refuses("\n[workspace]\n", "agentd.conf:2: in this file a workspace has its name in the "
				   "section: write [workspace NAME]");
	refuses("[daemon]\n\n[rpc]\n[daemon]\n",
		"agentd.conf:4: [daemon] is here a second time (first in line 1): put both "
		"together, or give one another name");
	refuses("[workspace /etc]\n" URL "workspace_id = " ID1 "\n",
		"agentd.conf:1: \"/etc\" is no name for a workspace: write letters, digits, '.', "
		"'_' and '-', at most 64, the first a letter or digit");
	refuses_workspace("[daemon]\n", "laptop.conf:1: a workspace's file has one section, "
					"[workspace], and its name is the file's: put anything "
					"else in agentd.conf");
	refuses_workspace(WORKSPACE(ID1) "[workspace other]\n",
			  "laptop.conf:4: a workspace's file has one section, [workspace], and its "
			  "name is the file's: put anything else in agentd.conf");
}

TEST(keys_that_do_not_belong_are_refused)
{
	refuses("[daemon]\nloglevel = info\n",
		"agentd.conf:2: unknown key \"loglevel\": did you mean log_level?");
	refuses("[daemon]\ncolour = red\n",
		"agentd.conf:2: unknown key \"colour\": see agentd.conf(5) for those there are");
	refuses("[rpc]\nlog_level = info\n",
		"agentd.conf:2: \"log_level\" does not belong here: write it in [daemon]");
	refuses("[daemon]\n" URL, "agentd.conf:2: \"platform_url\" does not belong here: write it "
				  "in [defaults] or a workspace");
	refuses("[daemon]\n= info\n",
		"agentd.conf:2: unknown key \"\": see agentd.conf(5) for those there are");
	refuses("[daemon]\nlog_level = info\n\nlog_level = debug\n",
		"agentd.conf:4: log_level is given twice (first in line 2): remove one");
	refuses("[defaults]\nworkspace_id = " ID1 "\n",
		"agentd.conf:2: workspace_id belongs to one workspace: it cannot be a default");
	refuses("[defaults]\ntoken_file = /x\n",
		"agentd.conf:2: token_file belongs to one workspace: it cannot be a default");
}

TEST(a_token_in_a_file_that_others_may_read_is_refused_and_not_repeated)
{
	static const char sentence[] =
		"laptop.conf:2: a token does not belong in a file that others may read: put it in "
		"a file of its own (chmod 600) and write token_file = /PATH, or write "
		"token_credential = NAME for a systemd credential";

	refuses_workspace("[workspace]\ntoken = s3cr3t-s3cr3t\n", sentence);
	refuses_workspace("[workspace]\nauth_token = s3cr3t-s3cr3t\n", sentence);
	refuses_workspace("[workspace]\ntoken_file = s3cr3t-s3cr3t\n",
			  "laptop.conf:2: token_file: write a path that begins with /");
}

TEST(values_are_refused_with_their_line)
{
	refuses("[daemon]\n\nlog_level = loud\n",
		"agentd.conf:3: log_level is \"loud\": write emerg, alert, crit, error, warning, "
		"notice, info or debug");
	refuses("[daemon]\nsocket = run.sock\n",
		"agentd.conf:2: socket: write a path that begins with /");
	refuses("[rpc]\nmax_request_bytes = 1K\n",
		"agentd.conf:2: max_request_bytes is \"1K\": write a size from 4K to 64M");
	refuses_workspace("[workspace]\n" URL, "laptop.conf:1: workspace_id is missing: write "
					       "workspace_id = UUID, the id that the platform gave "
					       "the workspace");
	refuses_workspace("", "laptop.conf:1: platform_url is missing: write platform_url = "
			      "https://HOST, the address of the platform");
	refuses_workspace("[workspace]\nworkspace_id = " ID1 "\nplatform_url = http://p.example\n",
			  "laptop.conf:3: platform_url: http:// would send the token readable for "
			  "all on the way: write https://, or allow_http = yes where you trust the "
			  "network");
	refuses_workspace(WORKSPACE(ID1) "ca_file = /nonexistent/ca.pem\n",
			  "laptop.conf:4: ca_file: cannot read /nonexistent/ca.pem: No such file "
			  "or directory; write the path of a PEM file");
	refuses_workspace(WORKSPACE(ID1) "agent_card = /nonexistent/card.json\n",
			  "laptop.conf:4: agent_card: cannot open /nonexistent/card.json: No such "
			  "file or directory");
}

TEST(a_socket_has_a_path_that_fits)
{
	char text[200], expected[200];

	(void)snprintf(text, sizeof(text), "[daemon]\nsocket = /%0106d\n", 0);
	config_free(parse(text));
	(void)snprintf(text, sizeof(text), "[daemon]\nsocket = /%0107d\n", 0);
	(void)snprintf(expected, sizeof(expected),
		       "agentd.conf:2: socket: the path of a socket may have at most 107 bytes");
	refuses(text, expected);
}

TEST(two_workspaces_are_two)
{
	refuses("[workspace a]\n" URL "workspace_id = " ID1 "\n"
		"[workspace b]\nplatform_url = https://P.example:443/\nworkspace_id = " ID1 "\n",
		"agentd.conf:4: this is the same workspace of the same platform as \"a\" "
		"(agentd.conf:1): remove one of them");
	config_free(parse("[workspace a]\n" URL "workspace_id = " ID1 "\n"
			  "[workspace b]\nplatform_url = https://q.example\nworkspace_id = " ID1
			  "\n"));
}
