/* SPDX-License-Identifier: MIT */
/*
 * What a hole in a library would do, for tests: preloaded into molecule-unpack it
 * takes the place of a function that is called inside of the sandbox and tries
 * there what INTRUDER says. Then the process ends, with a status that tells
 * whether it worked or was refused, unless the kernel has ended it before.
 *
 * INTRUDER is "reader:" or "keeper:" and one of the names below; INTRUDER_PATH
 * what those open that are about a file, or what is to be said to the keeper.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define WORKED 42
#define REFUSED 43

struct archive;
struct archive_entry;

#define EXPORT __attribute__((visibility("default")))

EXPORT int archive_read_next_header(struct archive *archive, struct archive_entry **entry);

static const char *attempt, *target;
static char lies[1 << 20];
static size_t lies_len;
static int (*real_next_header)(struct archive *, struct archive_entry **);
static int (*real_syncfs)(int);

static void read_lies(void)
{
	int fd = open(target, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, lies, sizeof(lies));

	lies_len = n > 0 ? (size_t)n : 0;
	(void)close(fd);
}

/* Before the environment is gone, and while files can be opened. */
__attribute__((constructor)) static void prepare(void)
{
	const char *text = getenv("INTRUDER"), *path = getenv("INTRUDER_PATH");

	attempt = text ? strdup(text) : "";
	target = path ? strdup(path) : "/etc/shadow";
	if (strcmp(attempt, "reader:lie") == 0)
		read_lies();
	real_next_header = dlsym(RTLD_NEXT, "archive_read_next_header");
	real_syncfs = dlsym(RTLD_NEXT, "syncfs");
}

static long try_openat2(int dirfd, const char *path)
{
	struct open_how how = { .flags = O_RDONLY };

	return syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

static long try_connect(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)connect(fd, (const struct sockaddr *)&address, sizeof(address));
	return fd;
}

static long try_exec(void)
{
	char *const argv[] = { (char *)(uintptr_t) "/bin/true", NULL };

	return execve(argv[0], argv, NULL);
}

static long try_memory(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? -1 : 0;
}

static long try_much_memory(void)
{
	size_t size = (size_t)256 << 20;
	char *bytes = malloc(size);

	if (!bytes)
		return -1;
	for (size_t i = 0; i < size; i += 4096)
		*(volatile char *)(bytes + i) = 1;
	return 0;
}

static long try_open(void)
{
	return syscall(SYS_openat, AT_FDCWD, target, O_RDONLY);
}

static long try_openat2_anywhere(void)
{
	return try_openat2(AT_FDCWD, target);
}

static long try_openat2_from_staging(void)
{
	return try_openat2(3, target);
}

static long try_upward(void)
{
	return try_openat2(3, "../outside/canary");
}

static long try_mkdir_outside(void)
{
	return mkdirat(3, "../outside/evil", 0755);
}

static long try_unlink_outside(void)
{
	return unlinkat(3, "../outside/canary", 0);
}

static long try_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long try_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long try_kill(void)
{
	return kill(getppid(), 0);
}

static long try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), 0, 0);
}

static long try_symlink(void)
{
	return symlinkat("/etc", 3, "link");
}

static long try_link(void)
{
	return linkat(3, "tree/plugin.yaml", 3, "link", 0);
}

static long try_mknod(void)
{
	return mknodat(3, "fifo", S_IFIFO | 0600, 0);
}

static long try_setuid(void)
{
	return setuid(0);
}

/* To the keeper, in its own language; then nothing, to the end of the archive. */
static long try_lie(void)
{
	char rest[4096];

	for (size_t done = 0; done < lies_len;) {
		ssize_t n = write(STDOUT_FILENO, lies + done, lies_len - done);

		if (n < 0)
			_exit(REFUSED);
		done += (size_t)n;
	}
	while (read(STDIN_FILENO, rest, sizeof(rest)) > 0)
		;
	return 0;
}

static void intrude(const char *place)
{
	static const struct {
		const char *name;
		long (*run)(void);
	} attempts[] = {
		{ "open", try_open },
		{ "openat2", try_openat2_anywhere },
		{ "openat2-from-staging", try_openat2_from_staging },
		{ "upward", try_upward },
		{ "mkdir-outside", try_mkdir_outside },
		{ "unlink-outside", try_unlink_outside },
		{ "socket", try_socket },
		{ "connect", try_connect },
		{ "exec", try_exec },
		{ "fork", try_fork },
		{ "kill", try_kill },
		{ "ptrace", try_ptrace },
		{ "symlink", try_symlink },
		{ "link", try_link },
		{ "mknod", try_mknod },
		{ "setuid", try_setuid },
		{ "memory", try_memory },
		{ "much-memory", try_much_memory },
		{ "lie", try_lie },
	};
	size_t len = strlen(place);

	if (strncmp(attempt, place, len) != 0)
		return;
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		if (strcmp(attempt + len, attempts[i].name) == 0)
			_exit(attempts[i].run() >= 0 ? WORKED : REFUSED);
	abort();
}

int archive_read_next_header(struct archive *archive, struct archive_entry **entry)
{
	intrude("reader:");
	return real_next_header(archive, entry);
}

/* The keeper's last call before it says that it is done. */
EXPORT int syncfs(int fd)
{
	intrude("keeper:");
	return real_syncfs(fd);
}
