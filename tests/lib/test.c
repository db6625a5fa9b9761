/* SPDX-License-Identifier: MIT */
/*
 * Runs the registered tests, or those whose names are given, one child process
 * each, and prints TAP.
 */

#include "lib/test.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SKIP 77 /* as Automake has it */

static struct test *first;
static struct test **last = &first;

void test_register(struct test *test)
{
	*last = test;
	last = &test->next;
}

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	(void)printf("# %s:%d: ", file, line);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)printf("\n");
	(void)fflush(NULL);
	_exit(1);
}

_Noreturn void test_skip(const char *why)
{
	(void)printf("# %s\n", why);
	(void)fflush(NULL);
	_exit(EXIT_SKIP);
}

bool test_same(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;

	return strcmp(a, b) == 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	/* Not through a link: what it leads to is none of ours. */
	if (type != FTW_SL)
		(void)chmod(path, 0700);
	return remove(path);
}

/* Returns to the caller only in the child. */
static int run_in_child(const struct test *test, const char *dir)
{
	int status;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -1;

	if (pid == 0) {
		if (chdir(dir) < 0)
			_exit(2);
		test->run();
		/* exit(), not _exit(): the leak checker looks then. */
		exit(0);
	}

	if (waitpid(pid, &status, 0) < 0)
		return -1;

	if (WIFSIGNALED(status))
		(void)printf("# %s: killed by signal %d\n", test->name, WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool run_one(const struct test *test, int number)
{
	char dir[] = "/tmp/unit-XXXXXX";
	int status;
	bool good;

	if (!mkdtemp(dir)) {
		perror("mkdtemp");
		exit(2);
	}

	status = run_in_child(test, dir);
	good = status == 0 || status == EXIT_SKIP;
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	(void)printf("%sok %d - %s%s\n", good ? "" : "not ", number, test->name,
		     status == EXIT_SKIP ? " # SKIP" : "");
	return good;
}

static bool is_wanted(const struct test *test, char *const names[])
{
	if (!names[0])
		return true;

	for (; *names; names++)
		if (strcmp(*names, test->name) == 0)
			return true;

	return false;
}

int main(int argc, char *argv[])
{
	int failed = 0, number = 0;

	for (struct test *test = first; test; test = test->next)
		if (is_wanted(test, argv + 1) && !run_one(test, ++number))
			failed++;

	(void)printf("1..%d\n", number);
	return failed || !number ? 1 : 0;
}

void *test_keep(void *memory)
{
	/* Where a leak check looks, and finds that nothing is lost. */
	static struct kept {
		struct kept *next;
		void *memory;
	} * all;
	struct kept *kept = malloc(sizeof(*kept));

	if (!kept || !memory)
		test_fail(__FILE__, __LINE__, "no memory");

	*kept = (struct kept){ all, memory };
	all = kept;
	return memory;
}
