/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "helper/pluginfile.h"
#include "lib/test.h"

static struct pluginfile file;
static struct refusal refusal;

static int parse(const char *text)
{
	refusal = (struct refusal){ 0 };
	return pluginfile_parse(text, strlen(text), &file, &refusal);
}

static const char *complaint(const char *text)
{
	CHECK(parse(text) < 0);
	CHECK_TEXT(refusal.entry, "plugin.yaml");
	return refusal.err.text + strlen("plugin.yaml: ");
}

TEST(reads_what_it_knows_and_passes_over_the_rest)
{
	CHECK_INT(parse("# about\n"
			"version: \"1.0\" # comment\n"
			"tags: [a, b]\n"
			"nested: {name: inner, runtimes: [no], deeper: [[{sha256: no}]]}\n"
			"name: demo\n"
			"description: >\n"
			"  folded\n"
			"  text\n"
			"\n"
			"runtimes:\n"
			"- one\n"
			"- 'two'\n"
			"hooks:\n"
			"  - name: other\n"
			"42: a number\n"
			"last: no newline"),
		  0);
	CHECK_TEXT(file.name, "demo");
	CHECK_TEXT(file.version, "1.0");
	CHECK_TEXT(file.description, "folded text\n");
	CHECK_INT(file.n_runtimes, 2);
	CHECK_TEXT(file.runtimes[0], "one");
	CHECK_TEXT(file.runtimes[1], "two");
	CHECK_TEXT(file.sha256, "");
}

TEST(reads_every_way_to_write_a_text)
{
	CHECK_INT(parse("{name: demo, version: '1', description: \"caf\\xe9\"}"), 0);
	CHECK_TEXT(file.description, "caf\xc3\xa9");
	CHECK_INT(parse("---\nname: demo\ndescription: |\n  a\n  b\n...\n"), 0);
	CHECK_TEXT(file.description, "a\nb\n");
	CHECK_INT(parse("? name\n: demo\nruntimes: single\n"), 0);
	CHECK_INT(file.n_runtimes, 1);
	CHECK_INT(parse("\xef\xbb\xbfname: demo\nversion: 2\n"), 0);
	CHECK_TEXT(file.version, "2");
	CHECK_INT(parse("name: demo\r\nversion: 1\r\n"), 0);
	CHECK_TEXT(file.version, "1");
}

TEST(null_is_as_if_it_were_not_there)
{
	CHECK_INT(parse("name: demo\nversion:\ndescription: ~\nruntimes: null\nsha256:\n"), 0);
	CHECK(!file.version[0] && !file.description[0] && !file.n_runtimes && !file.sha256[0]);
	CHECK_INT(parse("name: demo\nversion: 'null'\n"), 0);
	CHECK_TEXT(file.version, "null");
}

TEST(refuses_what_is_not_a_plugins)
{
	CHECK_TEXT(complaint(""), "it has no name");
	CHECK_TEXT(complaint("version: 1\n"), "it has no name");
	CHECK_TEXT(complaint("demo"), "it is not a mapping");
	CHECK_TEXT(complaint("- name: demo\n"), "it is not a mapping");
	CHECK_TEXT(complaint("name: demo\nname: demo\n"), "it has the key name twice");
	CHECK_TEXT(complaint("name: demo\n---\nname: demo\n"), "it has more than one document");
	CHECK_TEXT(complaint("name: {a: b}\n"), "its name is not a text");
	CHECK_TEXT(complaint("name: demo\nversion: [1]\n"), "its version is not a text");
	CHECK_TEXT(complaint("name: demo\nruntimes: {a: b}\n"),
		   "its runtimes is not a list of texts");
	CHECK_TEXT(complaint("name: demo\nruntimes: [[a]]\n"),
		   "its runtimes is not a list of texts");
	CHECK_TEXT(complaint("name: demo\n[a]: b\n"), "it has a key that is no text");
	CHECK_TEXT(complaint("name: \"de\\0mo\"\n"), "its name has a NUL in it");
	CHECK(strstr(complaint("name: a/b\n"), "letters, digits"));
	CHECK(strstr(complaint("name: demo\nsha256: ABC\n"), "in lower case"));
}

TEST(refuses_what_grows)
{
	char text[32768];
	int len;

	CHECK_TEXT(complaint("a: &a [x]\nname: demo\nb: *a\n"), "it has aliases (\"*name\")");
	CHECK_TEXT(complaint("name: demo\n<<: *a\n"), "it has aliases (\"*name\")");

	len = snprintf(text, sizeof(text), "name: demo\na: ");
	memset(text + len, '[', PLUGINFILE_DEPTH_MAX);
	text[len + PLUGINFILE_DEPTH_MAX] = '\0';
	CHECK_TEXT(complaint(text), "it is nested more than 16 deep");

	memset(text, ' ', sizeof(text));
	memcpy(text, "name: ", 6);
	memset(text + 6, 'n', 65);
	text[71] = '\0';
	CHECK(strstr(complaint(text), "longer than 64 bytes"));
}

TEST(cuts_a_description_between_characters)
{
	char text[4096] = "name: demo\ndescription: x";
	size_t at = strlen(text);

	for (int i = 0; i < 1000; i++, at += 2)
		memcpy(text + at, "\xc3\xa9", 3);
	CHECK_INT(parse(text), 0);
	CHECK_INT(strlen(file.description), PLUGINFILE_DESCRIPTION_MAX - 1);
	CHECK_TEXT(file.description + PLUGINFILE_DESCRIPTION_MAX - 3, "\xc3\xa9");
}

TEST(says_where_it_is_not_yaml)
{
	CHECK(strstr(complaint("name: demo\nversion: '1\n"), "it is not YAML: "));
	CHECK(strstr(complaint("name: demo\n\tversion: 1\n"), "in line 2"));
	CHECK(strstr(complaint("name: d\xe9mo\n"), "it is not YAML: "));
}
