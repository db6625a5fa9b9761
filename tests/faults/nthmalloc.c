/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a program: the n-th allocation fails, or all from the n-th on.
 *
 * Which one, another process says while this one runs: the environment variable
 * NTHMALLOC names a file that both have mapped, see struct order.
 *
 * Counted is what the program asks for itself, or what inih, libsystemd and libc
 * ask for on its behalf - told by the innermost caller that is not libc. Left
 * alone are libraries that cannot do without: libev ends the program when one of
 * its arrays cannot grow, by design; json-c 0.16 takes a name that it could not
 * copy for one that it could; libcurl 7.88 divides by a size that it did not get;
 * the user database of glibc 2.36 follows the pointer that it did not get; and
 * where there is no room for a library's thread-local data, the linker aborts.
 * That is theirs to mend, and would hide what is ours.
 */

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEPTH 24
#define EXPORT __attribute__((visibility("default")))

struct order {
	_Atomic int64_t at;      /* which allocation is to fail; 0: none, and nothing is counted */
	_Atomic int64_t forever; /* and all after it */
	_Atomic int64_t counted;
	_Atomic int64_t failed;
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static struct order *order;
static __thread bool looking;

static bool begins_with_one(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strncmp(text, *words, strlen(*words)) == 0)
			return true;
	return false;
}

/* Whose wish it is: that of the innermost frame outside of libc and of this file. */
static bool is_counted(void)
{
	static const char *const passed[] = { "libc.so", "libnthmalloc", NULL };
	static const char *const spared[] = { "ld-linux", "libev.so",  "libjson-c",  "libcurl",
					      "libssl",   "libcrypto", "libnghttp2", NULL };
	static const char *const spared_calls[] = { "getgr", "getpw", NULL };
	void *frames[DEPTH];
	int n = backtrace(frames, DEPTH);

	for (int i = 1; i < n; i++) {
		const char *library, *symbol;
		Dl_info info;

		if (!dladdr(frames[i], &info) || !info.dli_fname)
			continue;
		library = strrchr(info.dli_fname, '/');
		library = library ? library + 1 : info.dli_fname;
		symbol = info.dli_sname ? info.dli_sname : "";
		if (begins_with_one(library, spared) || begins_with_one(symbol, spared_calls))
			return false;
		/* The program brings a realloc() of its own. */
		if (!begins_with_one(library, passed) && strcmp(symbol, "realloc") != 0)
			return true;
	}
	return false;
}

static bool must_fail(void)
{
	int64_t at, now;
	bool counted;

	if (!order || looking)
		return false;

	at = atomic_load(&order->at);
	if (!at)
		return false;

	/* The unwinder may ask for memory, too. */
	looking = true;
	counted = is_counted();
	looking = false;
	if (!counted)
		return false;

	now = atomic_fetch_add(&order->counted, 1) + 1;
	if (now != at && !(now > at && atomic_load(&order->forever)))
		return false;

	atomic_fetch_add(&order->failed, 1);
	errno = ENOMEM;
	return true;
}

EXPORT void *malloc(size_t size)
{
	return must_fail() ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
	return must_fail() ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc(void *p, size_t size)
{
	return must_fail() ? NULL : __libc_realloc(p, size);
}

EXPORT void *reallocarray(void *p, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, all);
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("NTHMALLOC");
	void *frames[1];
	void *shared;
	int fd;

	/* Loads the unwinder. */
	(void)backtrace(frames, 1);

	fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;

	shared = mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (shared != MAP_FAILED)
		order = shared;
}
