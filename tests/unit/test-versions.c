/* SPDX-License-Identifier: MIT */
#include "helper/versions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "lib/test.h"

#define FIRST "{\"previous\":null}\n"
#define SECOND "{\"previous\":\"v1\"}\n"
#define THIRD "{\"previous\":\"v2\"}\n"

static void make_dir(const char *path)
{
	char above[256];

	(void)snprintf(above, sizeof(above), "%s", path);
	for (char *p = above; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(above, 0755);
		*p = '/';
	}
	CHECK(mkdir(above, 0755) == 0 || errno == EEXIST);
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	(void)close(fd);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_INT(fd_write_all(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void unpacked(const char *version)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "w/plugins/demo/versions/%s/tree/sub", version);
	make_dir(path);
	(void)snprintf(path, sizeof(path), "w/plugins/demo/versions/%s/tree/sub/file", version);
	make_file(path);
}

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static int activate(const char *version, const char *record)
{
	int fd = open_dir("w/plugins");
	struct versions_switch change = { "demo", version, record, strlen(record), false };
	int r = versions_activate(fd, &change, NULL);

	(void)close(fd);
	return r;
}

static void tidy(void)
{
	int fd = open_dir(".");

	CHECK_INT(versions_tidy(fd, NULL), 0);
	(void)close(fd);
}

static int note(void *data, const char *name, const struct version *current,
		const struct version *before)
{
	return buffer_printf(data, "%s %s %s / %s %s;", name, current->dir,
			     current->record ? current->record : "-", before ? before->dir : "-",
			     before && before->record ? before->record : "-");
}

static void check_list(const char *expected)
{
	struct buffer out = BUFFER_INIT(4096);
	int fd = open_dir("w/plugins");

	CHECK_INT(versions_list(fd, note, &out, NULL), 0);
	CHECK_INT(buffer_append_char(&out, '\0'), 0);
	CHECK_TEXT(buffer_at(&out), expected);
	buffer_fini(&out);
	(void)close(fd);
}

TEST(a_version_is_current_when_it_was_activated)
{
	char target[64] = "";

	unpacked("v1");
	check_list("");
	CHECK_INT(activate("v1", FIRST), 0);
	CHECK(readlink("w/plugins/demo/current", target, sizeof(target) - 1) > 0);
	CHECK_TEXT(target, "versions/v1");
	check_list("demo v1 {\"previous\":null} / - -;");

	unpacked("v2");
	CHECK_INT(activate("v2", SECOND), 0);
	check_list("demo v2 {\"previous\":\"v1\"} / v1 {\"previous\":null};");
	CHECK(is_there("w/plugins/demo/current/tree/sub/file"));
}

TEST(a_record_is_for_everybody_to_read_and_nothing_is_left_beside_it)
{
	struct stat st;

	unpacked("v1");
	(void)umask(077);
	make_file("w/plugins/demo/versions/v1/record.json.new");
	CHECK_INT(activate("v1", FIRST), 0);
	CHECK_INT(stat("w/plugins/demo/versions/v1/record.json", &st), 0);
	CHECK_INT(st.st_mode & 07777, 0644);
	CHECK(!is_there("w/plugins/demo/versions/v1/record.json.new"));
	CHECK(!is_there("w/plugins/demo/current.new"));
}

TEST(what_was_not_unpacked_is_not_activated)
{
	unpacked("v1");
	CHECK_INT(activate("v1", FIRST), 0);
	make_dir("w/plugins/demo/versions/v2");
	CHECK_INT(activate("v2", SECOND), -ENOENT);
	CHECK_INT(activate("v3", SECOND), -ENOENT);
	CHECK_INT(activate("../v3", SECOND), -EINVAL);
	CHECK_INT(activate("", SECOND), -EINVAL);
	CHECK_INT(symlink("/tmp", "w/plugins/demo/versions/v4"), 0);
	CHECK(activate("v4", SECOND) < 0);
	check_list("demo v1 {\"previous\":null} / - -;");
}

TEST(half_a_record_is_none)
{
	static const char *const halves[] = { "",   "\n",   "{",        "{\"previous\":",
					      "{}", "[]\n", "{}\n{}\n", "\n{}\n" };

	unpacked("v1");
	for (size_t i = 0; i < ARRAY_LEN(halves); i++)
		CHECK_INT(activate("v1", halves[i]), -EBADMSG);
	check_list("");
	CHECK_INT(activate("v1", "{}\n"), 0);
}

TEST(one_that_was_activated_can_be_activated_again)
{
	unpacked("v1");
	unpacked("v2");
	CHECK_INT(activate("v1", FIRST), 0);
	CHECK_INT(activate("v2", SECOND), 0);
	/* A rollback: the record says that the newer one is the one before. */
	CHECK_INT(activate("v1", THIRD), 0);
	check_list("demo v1 {\"previous\":\"v2\"} / v2 {\"previous\":\"v1\"};");
	tidy();
	check_list("demo v1 {\"previous\":\"v2\"} / v2 {\"previous\":\"v1\"};");
}

TEST(what_is_retired_is_gone_in_one_piece)
{
	int fd;

	unpacked("v1");
	CHECK_INT(activate("v1", FIRST), 0);
	fd = open_dir("w/plugins");
	CHECK_INT(versions_retire(fd, "demo", "elsewhere", NULL), -EINVAL);
	CHECK_INT(versions_retire(fd, "demo", ".trash-/x", NULL), -EINVAL);
	CHECK_INT(versions_retire(fd, "..", ".trash-1", NULL), -EINVAL);
	CHECK_INT(versions_retire(fd, "demo", ".trash-1", NULL), 0);
	CHECK_INT(versions_retire(fd, "demo", ".trash-2", NULL), -ENOENT);
	(void)close(fd);
	check_list("");
	CHECK(is_there("w/plugins/.trash-1/versions/v1/tree/sub/file"));
	tidy();
	CHECK(!is_there("w/plugins/.trash-1"));
}

TEST(tidying_up_leaves_the_current_version_and_the_one_before)
{
	unpacked("v1");
	unpacked("v2");
	unpacked("v3");
	unpacked("v4");
	CHECK_INT(activate("v2", SECOND), 0);
	CHECK_INT(activate("v3", THIRD), 0);
	make_file("w/plugins/demo/versions/v3/record.json.new");
	CHECK_INT(symlink("versions/v4", "w/plugins/demo/current.new"), 0);
	make_dir(".trash-9/a/b");

	tidy();
	check_list("demo v3 {\"previous\":\"v2\"} / v2 {\"previous\":\"v1\"};");
	CHECK(is_there("w/plugins/demo/versions/v3/tree/sub/file"));
	CHECK(is_there("w/plugins/demo/versions/v2/tree/sub/file"));
	CHECK(!is_there("w/plugins/demo/versions/v1"));
	CHECK(!is_there("w/plugins/demo/versions/v4"));
	CHECK(!is_there("w/plugins/demo/versions/v3/record.json.new"));
	CHECK(!is_there("w/plugins/demo/current.new"));
	CHECK(!is_there(".trash-9"));
}

TEST(a_plugin_that_never_came_to_be_leaves_nothing)
{
	unpacked("v1");
	tidy();
	CHECK(!is_there("w/plugins/demo"));
	CHECK(is_there("w/plugins"));
}

TEST(what_is_not_understood_is_left_alone)
{
	unpacked("v1");
	unpacked("v2");
	CHECK_INT(activate("v2", SECOND), 0);
	write_text("w/plugins/demo/versions/v2/record.json", "what is this\n");
	make_dir("w/plugins/odd name/versions/v1");
	make_dir("w/other");
	make_file("file");
	tidy();
	/* Nobody can tell what was before it. */
	CHECK(is_there("w/plugins/demo/versions/v1"));
	check_list("demo v2 - / - -;");
	CHECK(is_there("w/plugins/odd name/versions/v1"));
	CHECK(is_there("w/other"));
	CHECK(is_there("file"));

	CHECK_INT(unlink("w/plugins/demo/current"), 0);
	CHECK_INT(symlink("/etc", "w/plugins/demo/current"), 0);
	tidy();
	CHECK(is_there("w/plugins/demo/versions/v1"));
	check_list("");
}

TEST(a_link_in_place_of_a_directory_leads_nowhere)
{
	make_dir("outside/plugins/demo/versions/v1/tree");
	make_dir("w");
	CHECK_INT(symlink("../outside/plugins", "w/plugins"), 0);
	CHECK_INT(symlink("outside", "x"), 0);
	tidy();
	/* It is reached as what it is, and not through a link. */
	CHECK(!is_there("outside/plugins/demo"));
	make_dir("outside2/demo/versions/v1/tree");
	CHECK_INT(unlink("w/plugins"), 0);
	CHECK_INT(symlink("../outside2", "w/plugins"), 0);
	tidy();
	CHECK(is_there("outside2/demo/versions/v1/tree"));
}
