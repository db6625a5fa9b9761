/* SPDX-License-Identifier: MIT */
#include "agent/plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/plugin-place.h"
#include "base/fd.h"
#include "lib/test.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

TEST(a_name_is_what_is_safe_as_a_directorys)
{
	static const char *const good[] = {
		"a", "0", "molecule-careful-bash", "contract_plain", "A.b-c_D", "a..b"
	};
	static const char *const bad[] = {
		"",     ".",   "..",    ".staging-x", "a/b",
		"-x",   "_x",  "a b",   "a\n",        "gr\xc3\xbc\xc3\x9f",
		"a\\b", "a\"", "a%2Fb", "a:b"
	};
	char name[PLUGIN_NAME_MAX + 2];
	struct error err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(plugin_name_is_good(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK(!plugin_name_is_good(bad[i]));
		CHECK_INT(plugin_check_name(bad[i], &err), -EINVAL);
		CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
	}

	memset(name, 'a', sizeof(name));
	name[PLUGIN_NAME_MAX] = '\0';
	CHECK(plugin_name_is_good(name));
	name[PLUGIN_NAME_MAX] = 'a';
	name[PLUGIN_NAME_MAX + 1] = '\0';
	CHECK(!plugin_name_is_good(name));
}

TEST(a_digest_is_64_hex_digits_of_either_case)
{
	char dst[PLUGIN_DIGEST_LEN + 1];
	struct error err = { 0 };

	CHECK_INT(plugin_check_digest("0123456789ABCDEF0123456789abcdef"
				      "0123456789abcdef0123456789abcDEF",
				      dst, &err),
		  0);
	CHECK_TEXT(dst, DIGEST);
	CHECK_INT(plugin_check_digest("", dst, &err), -EINVAL);
	CHECK_INT(plugin_check_digest(DIGEST "0", dst, &err), -EINVAL);
	CHECK_INT(plugin_check_digest("sha256:" DIGEST, dst, &err), -EINVAL);
	CHECK_INT(plugin_check_digest("g123456789abcdef0123456789abcdef"
				      "0123456789abcdef0123456789abcdef",
				      dst, &err),
		  -EINVAL);
	CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
}

TEST(a_versions_directory_is_called_by_its_time_and_no_two_alike)
{
	char one[PLUGIN_VERSION_SIZE], two[PLUGIN_VERSION_SIZE];

	CHECK_INT(plugin_version_name(one, 1795177345678), 0);
	CHECK_INT(plugin_version_name(two, 1795177345678), 0);
	CHECK(strncmp(one, "20261120T122225Z-", 17) == 0);
	CHECK_INT(strlen(one), PLUGIN_VERSION_SIZE - 1);
	CHECK(strcmp(one, two) != 0);
	CHECK(plugin_version_is_good(one));
	CHECK(!plugin_version_is_good(""));
	CHECK(!plugin_version_is_good(".."));
	CHECK(!plugin_version_is_good("a/b"));
	CHECK(!plugin_version_is_good("0123456789012345678901234567"));
}

static struct plugin_record sample(void)
{
	struct plugin_record record = {
		.dir = "20261120T122225Z-0123456789",
		.before = "20261119T000000Z-0123456789",
		.digest = DIGEST,
		.manifest = OTHER,
		.installed_at = "2026-11-20T12:22:25.678Z",
		.files = 7,
		.bytes = 1LL << 40,
		.setup = { true, true, false, 3 },
	};

	record.version = strdup("1.2 \"β\"\n");
	record.source = strdup("github://owner/repo#v1");
	return record;
}

static struct json_object *round_trip(const struct plugin_record *record)
{
	struct buffer out = BUFFER_INIT(PLUGIN_RECORD_MAX);
	struct json_object *object = NULL;

	CHECK_INT(plugin_record_write(record, "demo", &out), 0);
	/* One line: that is how it is told by who lists them. */
	CHECK(memchr(buffer_at(&out), '\n', buffer_len(&out)) ==
	      buffer_at(&out) + buffer_len(&out) - 1);
	CHECK_INT(json_parse(buffer_at(&out), buffer_len(&out), &object, NULL), 0);
	buffer_fini(&out);
	return object;
}

TEST(a_record_is_read_as_it_was_written)
{
	struct plugin_record record = sample(), read = { 0 };
	struct json_object *object = round_trip(&record);

	CHECK_INT(plugin_record_read(object, record.dir, &read), 0);
	CHECK_TEXT(read.dir, record.dir);
	CHECK_TEXT(read.before, record.before);
	CHECK_TEXT(read.digest, DIGEST);
	CHECK_TEXT(read.manifest, OTHER);
	CHECK_TEXT(read.installed_at, record.installed_at);
	CHECK_TEXT(read.version, record.version);
	CHECK_TEXT(read.source, record.source);
	CHECK(!read.description);
	CHECK_INT(read.files, 7);
	CHECK_INT(read.bytes, 1LL << 40);
	CHECK(read.setup.has && read.setup.ran && !read.setup.ok);
	CHECK_INT(read.setup.exit, 3);

	(void)json_object_put(object);
	plugin_record_fini(&record);
	plugin_record_fini(&read);
}

TEST(one_without_a_digest_is_no_record)
{
	static const char *const bad[] = { "{}", "{\"digest\":\"\"}", "{\"digest\":7}",
					   "{\"digest\":\"" DIGEST "\",\"previous\":\"../x\"}",
					   "{\"digest\":\"" DIGEST "\",\"previous\":\".\"}" };
	struct plugin_record read = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct json_object *object = NULL;

		CHECK_INT(json_parse(bad[i], strlen(bad[i]), &object, NULL), 0);
		CHECK_INT(plugin_record_read(object, "v", &read), -EBADMSG);
		(void)json_object_put(object);
	}
	CHECK_INT(plugin_record_read(NULL, "v", &read), -EBADMSG);
}

TEST(a_record_may_hold_as_little_as_a_digest)
{
	static const char text[] = "{\"digest\":\"" DIGEST "\",\"files\":\"many\",\"later\":[1]}";
	struct plugin_record read = { 0 };
	struct json_object *object = NULL;

	CHECK_INT(json_parse(text, strlen(text), &object, NULL), 0);
	CHECK_INT(plugin_record_read(object, "v1", &read), 0);
	CHECK_TEXT(read.digest, DIGEST);
	CHECK_TEXT(read.before, "");
	CHECK_INT(read.files, 0);
	CHECK(!read.version && !read.source);
	(void)json_object_put(object);
	plugin_record_fini(&read);
}

/* --- places --- */

static const struct workspace_key workspace = { "11111111-1111-4111-8111-111111111111@host" };

TEST(a_place_has_no_colon_in_it)
{
	const struct workspace_key key = { "11111111-1111-4111-8111-111111111111@host:8080_base" };

	CHECK_TEXT(plugin_place_name(&key).text,
		   "11111111-1111-4111-8111-111111111111@host_8080_base");
}

TEST(where_there_was_never_a_plugin_is_nothing_to_open)
{
	struct error err = { 0 };
	int fd = -1;

	CHECK_INT(plugin_place_open(AT_FDCWD, &workspace, false, &fd, &err), -ENOENT);
	CHECK_INT(err.kind, ERROR_NONE);
	CHECK_INT(fd, -1);
}

static int open_place(void)
{
	int fd = -1;

	CHECK_INT(plugin_place_open(AT_FDCWD, &workspace, true, &fd, NULL), 0);
	return fd;
}

TEST(a_version_that_comes_to_nothing_leaves_nothing)
{
	int dirfd = open_place(), fd = -1;
	char path[PLUGIN_PATH_SIZE], now[PLUGIN_VERSION_SIZE];
	struct stat st;

	(void)umask(077);
	CHECK_INT(plugin_place_make(dirfd, "demo", "v1", &fd, NULL), 0);
	CHECK_INT(fstat(fd, &st), 0);
	/* Agents of other users are to read it, whatever our umask is. */
	CHECK_INT(st.st_mode & 07777, 0755);
	CHECK_INT(plugin_place_exists(dirfd, "demo"), 1);
	CHECK_INT(plugin_place_current(dirfd, "demo", now), 0);
	CHECK_TEXT(now, "");

	plugin_place_prune(dirfd, plugin_place_path(path, "demo", "v1"));
	CHECK(!plugin_place_exists(dirfd, "demo"));
	(void)close(fd);
	(void)close(dirfd);
}

/* From here on every fchmod() fails. */
static void break_fchmod(void)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchmod, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_LEN(lines), .filter = lines };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

TEST(a_version_that_cannot_be_made_is_neither_open_nor_there)
{
	int dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct error err = { 0 };

	CHECK(mkdir("demo", 0755) == 0 && mkdir("demo/versions", 0755) == 0);
	break_fchmod();
	CHECK_INT(plugin_place_make(dirfd, "demo", "v1", &fd, &err), -EIO);
	CHECK_INT(fd, -1);
	CHECK(!plugin_place_exists(dirfd, "demo"));
	CHECK(close(dirfd) == 0);
}

TEST(what_is_not_empty_is_not_pruned)
{
	int dirfd = open_place(), one = -1, two = -1;
	char path[PLUGIN_PATH_SIZE];

	CHECK_INT(plugin_place_make(dirfd, "demo", "v1", &one, NULL), 0);
	CHECK_INT(plugin_place_make(dirfd, "demo", "v2", &two, NULL), 0);
	plugin_place_prune(dirfd, plugin_place_path(path, "demo", "v1"));
	CHECK(!plugin_place_exists(dirfd, "demo/versions/v1"));
	CHECK(plugin_place_exists(dirfd, "demo/versions/v2"));
	(void)close(one);
	(void)close(two);
	(void)close(dirfd);
}

TEST(current_is_one_of_our_versions_or_nothing)
{
	static const char *const odd[] = { "/etc", "versions/..", "versions/a/b", "v1",
					   "versions/" };
	int dirfd = open_place(), fd = -1;
	char now[PLUGIN_VERSION_SIZE];

	CHECK_INT(plugin_place_make(dirfd, "demo", "v1", &fd, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		CHECK_INT(symlinkat(odd[i], dirfd, "demo/current"), 0);
		CHECK_INT(plugin_place_current(dirfd, "demo", now), 0);
		CHECK_TEXT(now, "");
		CHECK_INT(unlinkat(dirfd, "demo/current", 0), 0);
	}
	CHECK_INT(symlinkat("versions/v1", dirfd, "demo/current"), 0);
	CHECK_INT(plugin_place_current(dirfd, "demo", now), 0);
	CHECK_TEXT(now, "v1");
	(void)close(fd);
	(void)close(dirfd);
}

TEST(a_directory_that_others_may_write_to_is_not_entered)
{
	int dirfd = open_place(), fd = -1;
	struct error err = { 0 };

	CHECK_INT(mkdirat(dirfd, "demo", 0755), 0);
	CHECK_INT(fchmodat(dirfd, "demo", 0777, 0), 0);
	CHECK_INT(plugin_place_make(dirfd, "demo", "v1", &fd, &err), -EPERM);
	CHECK_INT(err.kind, ERROR_CONFIG);
	CHECK_INT(symlinkat("/tmp", dirfd, "link"), 0);
	CHECK(plugin_place_make(dirfd, "link", "v1", &fd, &err) < 0);
	(void)close(dirfd);
}

TEST(what_is_forgotten_is_moved_aside_in_one_piece)
{
	char name[PLUGIN_TRASH_SIZE];
	int dirfd, fd = -1, version = -1;

	CHECK_INT(plugin_place_forget(AT_FDCWD, &workspace, name, &fd, NULL), 0);
	CHECK_TEXT(name, "");

	dirfd = open_place();
	CHECK_INT(plugin_place_make(dirfd, "demo", "v1", &version, NULL), 0);
	CHECK_INT(plugin_place_forget(AT_FDCWD, &workspace, name, &fd, NULL), 0);
	CHECK(strncmp(name, PLUGIN_TRASH_PREFIX, strlen(PLUGIN_TRASH_PREFIX)) == 0);
	CHECK(plugin_place_exists(fd, name));
	CHECK_INT(plugin_place_open(AT_FDCWD, &workspace, false, &dirfd, NULL), -ENOENT);

	CHECK_INT(plugin_place_forget(AT_FDCWD, &workspace, name, &fd, NULL), 0);
	CHECK_TEXT(name, "");
	(void)close(fd);
	(void)close(version);
}
