/* SPDX-License-Identifier: MIT */
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/secret.h"
#include "lib/test.h"

/*
 * The calls that make a file last come through here on their way to the kernel:
 * their order is what is promised, and each can be made to fail.
 */
enum step {
	STEP_NONE,
	STEP_FILE,
	STEP_RENAME,
	STEP_DIRECTORY
};

static enum step failing;
static char steps[128];
static mode_t mode_at_birth;

static int take_step(enum step step, const char *name)
{
	CHECK(strlen(steps) + strlen(name) < sizeof(steps));
	(void)strncat(steps, name, sizeof(steps) - strlen(steps) - 1);
	if (step != failing)
		return 0;

	errno = EIO;
	return -1;
}

int fsync(int fd)
{
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	if (S_ISDIR(st.st_mode) ? take_step(STEP_DIRECTORY, "directory ") < 0
				: take_step(STEP_FILE, "file ") < 0)
		return -1;

	return (int)syscall(SYS_fsync, fd);
}

int renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	if (take_step(STEP_RENAME, "rename ") < 0)
		return -1;

	return (int)syscall(SYS_renameat2, from_dirfd, from, to_dirfd, to, 0);
}

int fchmod(int fd, mode_t mode)
{
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	mode_at_birth = st.st_mode & 07777;
	return (int)syscall(SYS_fchmod, fd, mode);
}

static void put(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, strlen(text)), strlen(text));
	CHECK(fchmod(fd, mode) == 0);
	(void)close(fd);
}

static bool contains(const char *name, const char *text)
{
	AUTO(free) char *found = NULL;
	size_t len;

	return file_read(AT_FDCWD, name, 1 << 20, &found, &len, NULL) == 0 && len == strlen(text) &&
	       strcmp(found, text) == 0;
}

static int count_entries(void)
{
	DIR *dir = opendir(".");
	int n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n - 2;
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	CHECK(lstat(name, &st) == 0);
	return st.st_mode & 07777;
}

/* Root may do what these tests show to be refused. */
static void become_nobody(void)
{
	if (geteuid() != 0)
		return;

	CHECK(chmod(".", 0777) == 0);
	CHECK(setresgid(65534, 65534, 65534) == 0);
	CHECK(setresuid(65534, 65534, 65534) == 0);
}

TEST(a_whole_file_is_read)
{
	AUTO(free) char *text = NULL;
	struct error err = { 0 };
	size_t len;

	put("f", "hello", 0644);
	CHECK_INT(file_read(AT_FDCWD, "f", 5, &text, &len, &err), 0);
	CHECK_INT(len, 5);
	CHECK_TEXT(text, "hello");
}

TEST(an_empty_file_is_an_empty_text)
{
	AUTO(free) char *text = NULL;

	put("f", "", 0644);
	CHECK_INT(file_read(AT_FDCWD, "f", 5, &text, NULL, NULL), 0);
	CHECK_TEXT(text, "");
}

TEST(a_file_that_hides_its_size_is_read)
{
	AUTO(free) char *text = NULL;
	size_t len;

	CHECK_INT(file_read(AT_FDCWD, "/proc/self/stat", 65536, &text, &len, NULL), 0);
	CHECK(len > 20 && strlen(text) == len);
}

TEST(a_file_past_the_limit_is_refused)
{
	struct error err = { 0 };
	char *text = NULL;

	put("f", "hello", 0600);
	CHECK_INT(file_read(AT_FDCWD, "f", 4, &text, NULL, &err), -EFBIG);
	CHECK_INT(err.kind, ERROR_TOO_LARGE);
	CHECK_TEXT(err.text, "cannot read f: it has more than 4 bytes");
	CHECK_INT(file_read_private(AT_FDCWD, "f", 4, &text, NULL, &err), -EFBIG);
	CHECK_INT(file_read(AT_FDCWD, "/proc/self/stat", 10, &text, NULL, &err), -EFBIG);
	CHECK(!text);
}

TEST(a_missing_file_is_told_from_a_bad_one)
{
	struct error err = { 0 };
	char *text = NULL;

	CHECK_INT(file_read(AT_FDCWD, "none", 4, &text, NULL, &err), -ENOENT);
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_TEXT(err.text, "cannot open none: No such file or directory");
	CHECK(mkdir("d", 0700) == 0);
	CHECK_INT(file_read(AT_FDCWD, "d", 4, &text, NULL, &err), -EISDIR);
	CHECK_INT(err.kind, ERROR_CONFIG);
}

TEST(links_and_fifos_are_not_followed_nor_waited_for)
{
	struct error err = { 0 };
	char *text = NULL;

	put("f", "x", 0600);
	CHECK(symlink("f", "l") == 0);
	CHECK_INT(file_read(AT_FDCWD, "l", 4, &text, NULL, &err), -ELOOP);
	CHECK_TEXT(err.text, "cannot open l: it is a symbolic link");
	CHECK(mkfifo("p", 0600) == 0);
	CHECK_INT(file_read_private(AT_FDCWD, "p", 4, &text, NULL, &err), -EINVAL);
	CHECK_TEXT(err.text, "cannot read p: it is not a regular file");
	CHECK(file_read(AT_FDCWD, "/dev/zero", 4, &text, NULL, &err) < 0);
	CHECK(!text);
}

TEST(a_private_file_is_read_into_secret_memory)
{
	char *text = NULL;
	size_t len;

	put("token", "s3cret", 0600);
	CHECK_INT(file_read_private(AT_FDCWD, "token", 100, &text, &len, NULL), 0);
	CHECK_INT(len, 6);
	CHECK_TEXT(text, "s3cret");
	CHECK(secret_bytes() > 0);
	secret_free(text);
}

TEST(a_token_others_can_read_is_refused)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666 };
	struct error err = { 0 };
	char *text = NULL;

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		put("token", "s3cret", modes[i]);
		CHECK_INT(file_read_private(AT_FDCWD, "token", 100, &text, NULL, &err), -EPERM);
		CHECK_INT(err.kind, ERROR_CONFIG);
		CHECK(!text);
	}
	CHECK_TEXT(err.text, "cannot trust token: it is open to others (mode 666, must be 600)");
	CHECK_INT(file_check_private(AT_FDCWD, "token", &err), -EPERM);
	CHECK_INT(file_check_private(AT_FDCWD, "nothing", &err), -ENOENT);
	put("token", "s3cret", 0400);
	CHECK_INT(file_check_private(AT_FDCWD, "token", &err), 0);
	CHECK_INT(file_read_private(AT_FDCWD, "token", 100, &text, NULL, &err), 0);
	secret_free(text);
}

TEST(a_token_with_a_second_name_is_refused)
{
	struct error err = { 0 };
	char *text = NULL;

	put("token", "s3cret", 0600);
	CHECK(link("token", "copy") == 0);
	CHECK_INT(file_read_private(AT_FDCWD, "token", 100, &text, NULL, &err), -EMLINK);
	CHECK(strstr(err.text, "2 names"));
}

TEST(a_token_of_somebody_else_is_refused)
{
	struct error err = { 0 };
	char *text = NULL;

	if (geteuid() != 0)
		return;

	put("token", "s3cret", 0600);
	CHECK(chown("token", 12345, 12345) == 0);
	CHECK_INT(file_read_private(AT_FDCWD, "token", 100, &text, NULL, &err), -EPERM);
	CHECK_TEXT(err.text, "cannot trust token: it belongs to user 12345, not to us or root");
}

struct acl_entry {
	uint16_t tag, allowed;
	uint32_t id;
};

static int set_list(const char *name, const struct acl_entry entries[], size_t n)
{
	unsigned char list[4 + 16 * sizeof(*entries)] = { 2, 0, 0, 0 };

	memcpy(list + 4, entries, n * sizeof(*entries));
	return setxattr(name, "system.posix_acl_access", list, 4 + n * sizeof(*entries), 0);
}

TEST(a_credential_whose_access_list_admits_only_us_is_read)
{
	struct acl_entry entries[] = {
		{ 0x01, 4, UINT32_MAX }, { 0x02, 4, 65534 },      { 0x04, 0, UINT32_MAX },
		{ 0x10, 4, UINT32_MAX }, { 0x20, 0, UINT32_MAX },
	};
	struct error err = { 0 };
	char *text = NULL;

	/* The file must be root's, and we somebody else; not every file system has lists. */
	put("token", "s3cret", 0400);
	if (geteuid() != 0 || set_list("token", entries, ARRAY_LEN(entries)) < 0)
		return;

	CHECK_INT(mode_of("token"), 0440);
	put("other", "s3cret", 0400);
	entries[1].id = 12345;
	CHECK(set_list("other", entries, ARRAY_LEN(entries)) == 0);

	/* As root the list admits somebody else. */
	CHECK_INT(file_read_private(AT_FDCWD, "token", 100, &text, NULL, &err), -EPERM);
	become_nobody();
	CHECK_INT(file_read_private(AT_FDCWD, "token", 100, &text, NULL, &err), 0);
	CHECK_TEXT(text, "s3cret");
	secret_free(text);
	text = NULL;
	CHECK(file_read_private(AT_FDCWD, "other", 100, &text, NULL, &err) < 0);
	CHECK(!text);
}

TEST(replacing_creates_with_the_exact_mode)
{
	struct error err = { 0 };

	(void)umask(0077);
	CHECK_INT(file_replace(AT_FDCWD, "new", "abc", 3, 0640, &err), 0);
	CHECK_INT(mode_of("new"), 0640);
	CHECK(contains("new", "abc"));
	CHECK_INT(count_entries(), 1);
}

TEST(replacing_swaps_the_file_and_leaves_readers_the_old_one)
{
	char old[4] = "";
	int fd;

	put("f", "old", 0644);
	fd = open("f", O_RDONLY);
	CHECK_INT(file_replace(AT_FDCWD, "f", "new and longer", 14, 0600, NULL), 0);
	CHECK_INT(read(fd, old, 3), 3);
	CHECK_TEXT(old, "old");
	CHECK(contains("f", "new and longer"));
	CHECK_INT(mode_of("f"), 0600);
	CHECK_INT(count_entries(), 1);
	(void)close(fd);
}

TEST(a_secret_file_is_not_open_to_others_for_an_instant)
{
	(void)umask(0);
	CHECK_INT(file_replace(AT_FDCWD, "f", "secret", 6, 0600, NULL), 0);
	CHECK_INT(mode_at_birth, 0600);
}

TEST(bytes_are_on_disk_before_the_name_and_the_name_before_we_return)
{
	CHECK_INT(file_replace(AT_FDCWD, "f", "secret", 6, 0600, NULL), 0);
	CHECK_TEXT(steps, "file rename directory ");
}

TEST(a_failed_write_keeps_the_old_file_and_leaves_nothing)
{
	struct error err = { 0 };

	put("f", "old", 0600);
	(void)signal(SIGXFSZ, SIG_IGN);
	CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 2, 2 }) == 0);
	CHECK_INT(file_replace(AT_FDCWD, "f", "new", 3, 0600, &err), -EFBIG);
	CHECK(strstr(err.text, "cannot write f: "));
	CHECK(contains("f", "old"));
	CHECK_INT(count_entries(), 1);
}

TEST(a_failed_rename_keeps_the_old_file_and_leaves_nothing)
{
	struct error err = { 0 };

	put("f", "old", 0600);
	failing = STEP_RENAME;
	CHECK_INT(file_replace(AT_FDCWD, "f", "new", 3, 0600, &err), -EIO);
	CHECK_TEXT(err.text, "cannot write f: Input/output error");
	CHECK(contains("f", "old"));
	CHECK_INT(count_entries(), 1);
}

TEST(bytes_that_do_not_reach_the_disk_do_not_get_the_name)
{
	struct error err = { 0 };

	put("f", "old", 0600);
	failing = STEP_FILE;
	CHECK_INT(file_replace(AT_FDCWD, "f", "new", 3, 0600, &err), -EIO);
	CHECK(contains("f", "old"));
	CHECK_INT(count_entries(), 1);
}

TEST(a_name_that_may_not_last_is_told)
{
	struct error err = { 0 };

	put("f", "old", 0600);
	failing = STEP_DIRECTORY;
	CHECK_INT(file_replace(AT_FDCWD, "f", "new", 3, 0600, &err), -EIO);
	CHECK_TEXT(err.text, "cannot make f last: Input/output error");
	CHECK_INT(file_remove(AT_FDCWD, "f", &err), -EIO);
}

TEST(a_directory_is_not_replaced_by_a_file)
{
	CHECK(mkdir("f", 0700) == 0);
	CHECK_INT(file_replace(AT_FDCWD, "f", "new", 3, 0600, NULL), -EISDIR);
	CHECK_INT(count_entries(), 1);
}

TEST(a_directory_we_may_not_write_to_is_told)
{
	struct error err = { 0 };

	CHECK(mkdir("d", 0755) == 0);
	put("d/f", "old", 0644);
	become_nobody();
	CHECK(chdir("d") == 0);
	if (access(".", W_OK) == 0)
		return;
	CHECK_INT(file_replace(AT_FDCWD, "f", "new", 3, 0600, &err), -EACCES);
	CHECK_INT(err.kind, ERROR_CONFIG);
	CHECK(contains("f", "old"));
}

TEST(a_link_is_replaced_and_not_followed)
{
	struct stat st;

	put("target", "safe", 0600);
	CHECK(symlink("target", "f") == 0);
	CHECK_INT(file_replace(AT_FDCWD, "f", "new", 3, 0600, NULL), 0);
	CHECK(lstat("f", &st) == 0 && S_ISREG(st.st_mode));
	CHECK(contains("target", "safe"));
}

TEST(a_name_that_is_a_path_is_refused)
{
	CHECK_INT(file_replace(AT_FDCWD, "a/b", "x", 1, 0600, NULL), -EINVAL);
	CHECK_INT(file_replace(AT_FDCWD, "", "x", 1, 0600, NULL), -EINVAL);
	CHECK_INT(count_entries(), 0);
}

TEST(removing_is_done_once_and_not_minded_twice)
{
	struct error err = { 0 };

	put("f", "x", 0600);
	CHECK_INT(file_remove(AT_FDCWD, "f", &err), 0);
	CHECK_INT(count_entries(), 0);
	CHECK_INT(file_remove(AT_FDCWD, "f", &err), 0);
	CHECK(mkdir("d", 0700) == 0);
	CHECK_INT(file_remove(AT_FDCWD, "d", &err), -EISDIR);
}

TEST(leftovers_are_removed_and_nothing_else)
{
	put(".tmp-0123456789abcdef", "x", 0600);
	put(".tmp", "x", 0600);
	put("f", "x", 0600);
	CHECK(mkdir(".tmp-dir", 0700) == 0);
	CHECK(symlink("f", ".tmp-link") == 0);
	file_clean_leftovers(AT_FDCWD);
	CHECK(access(".tmp-0123456789abcdef", F_OK) < 0);
	CHECK_INT(count_entries(), 4);
	CHECK(contains("f", "x"));
}

TEST(a_private_directory_is_made_and_opened)
{
	struct error err = { 0 };
	int fd;

	(void)umask(0);
	CHECK_INT(dir_open_private(AT_FDCWD, "none", 0, &fd, &err), -ENOENT);
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_INT(dir_open_private(AT_FDCWD, "d", 0700, &fd, &err), 0);
	CHECK_INT(mode_of("d"), 0700);
	CHECK_INT(file_replace(fd, "f", "x", 1, 0600, &err), 0);
	CHECK(contains("d/f", "x"));
	(void)close(fd);
	CHECK_INT(dir_open_private(AT_FDCWD, "d", 0755, &fd, &err), 0);
	CHECK_INT(mode_of("d"), 0700);
	(void)close(fd);
}

TEST(a_directory_others_can_write_to_is_refused)
{
	struct error err = { 0 };
	int fd;

	CHECK(mkdir("d", 0700) == 0 && chmod("d", 0720) == 0);
	CHECK_INT(dir_open_private(AT_FDCWD, "d", 0700, &fd, &err), -EPERM);
	CHECK(chmod("d", 0702) == 0);
	CHECK_INT(dir_open_private(AT_FDCWD, "d", 0700, &fd, &err), -EPERM);
	CHECK_INT(err.kind, ERROR_CONFIG);
	CHECK(chmod("d", 0700) == 0 && symlink("d", "l") == 0);
	CHECK(dir_open_private(AT_FDCWD, "l", 0700, &fd, &err) < 0);
	CHECK_TEXT(err.text,
		   "cannot trust directory l: it is a symbolic link; name what it leads to");
	put("f", "x", 0600);
	CHECK(dir_open_private(AT_FDCWD, "f", 0700, &fd, &err) < 0);
	if (geteuid() == 0) {
		CHECK(chown("d", 12345, 12345) == 0);
		CHECK_INT(dir_open_private(AT_FDCWD, "d", 0700, &fd, &err), -EPERM);
	}
}

TEST(reading_takes_all_that_comes_and_no_more_than_the_limit)
{
	char bytes[16];
	int ends[2];
	size_t len;

	CHECK(pipe(ends) == 0);
	CHECK_INT(fd_write_all(ends[1], "0123456789", 10), 0);
	(void)close(ends[1]);
	CHECK_INT(fd_read_all(ends[0], bytes, 10, &len), 0);
	CHECK_INT(len, 10);
	(void)close(ends[0]);

	CHECK(pipe(ends) == 0);
	CHECK_INT(fd_write_all(ends[1], "0123456789", 10), 0);
	CHECK_INT(fd_read_all(ends[0], bytes, 9, &len), -EFBIG);
	CHECK_INT(fd_write_all(-1, "x", 1), -EBADF);
}

TEST(a_descriptor_becomes_nonblocking)
{
	int ends[2];
	char c;

	CHECK(pipe(ends) == 0);
	CHECK_INT(fd_set_nonblocking(ends[0]), 0);
	CHECK(read(ends[0], &c, 1) < 0 && errno == EAGAIN);
	CHECK_INT(fd_set_nonblocking(-1), -EBADF);
}
