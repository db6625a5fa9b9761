/* SPDX-License-Identifier: MIT */
#include "base/secret.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/test.h"

static bool is_zero(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;

	return true;
}

TEST(secrets_come_zeroed_in_every_size)
{
	for (size_t size = 0; size < 300000; size = size * 3 / 2 + 1) {
		char *secret = secret_alloc(size);

		CHECK(secret);
		CHECK(is_zero(secret, size));
		CHECK_INT((uintptr_t)secret % 16, 0);
		memset(secret, 's', size);
		secret_free(secret);
	}
}

TEST(a_freed_secret_is_wiped_and_its_place_used_again)
{
	char *first = secret_dup("correct horse", 13), *second;

	CHECK_TEXT(first, "correct horse");
	secret_free(first);
	/* The arena keeps its slabs, so that this may be looked at. */
	CHECK(!memmem(first, 32, "horse", 5));
	second = secret_alloc(32);
	CHECK(second == first);
	CHECK(is_zero(second, 32));
	secret_free(second);
}

TEST(a_copy_ends_with_a_nul_and_may_hold_some)
{
	char *secret = secret_dup("a\0b", 3);
	char *empty = secret_dup(NULL, 0);

	CHECK(memcmp(secret, "a\0b", 4) == 0);
	CHECK_TEXT(empty, "");
	CHECK(!secret_dup("x", SIZE_MAX));
	CHECK(!secret_alloc(SIZE_MAX - 10));
	secret_free(secret);
	secret_free(empty);
	secret_free(NULL);
}

TEST(many_secrets_do_not_touch_each_other)
{
	enum {
		N = 3000
	};
	static unsigned char *secrets[N];
	static size_t sizes[N];
	size_t before = secret_bytes();

	for (size_t round = 0; round < 4; round++) {
		for (size_t i = round % 2; i < N; i += round + 1) {
			secret_free(secrets[i]);
			sizes[i] = (i * 7919 + round * 31) % 700 + (i % 500 == 0 ? 70000 : 0);
			secrets[i] = secret_alloc(sizes[i]);
			CHECK(secrets[i]);
			CHECK(is_zero((char *)secrets[i], sizes[i]));
			memset(secrets[i], (int)(i % 251) + 1, sizes[i]);
		}
	}
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < sizes[i]; k++)
			CHECK_INT(secrets[i][k], i % 251 + 1);
	CHECK(secret_bytes() > before);
	for (size_t i = 0; i < N; i++)
		secret_free(secrets[i]);
}

TEST(fifty_thousand_tokens_cost_forty_eight_bytes_each)
{
	size_t before = secret_bytes();

	for (int i = 0; i < 50000; i++)
		CHECK(secret_dup("token-of-forty-three-characters-as-they-are", 43));
	CHECK(secret_bytes() - before <= 50000 * 48 + 2 * 65536);
	secret_forget_all();
}

TEST(a_large_secret_gives_its_pages_back)
{
	size_t before = secret_bytes();
	char *secret = secret_alloc(1 << 20);

	CHECK_INT(secret_bytes() - before, 1 << 20);
	secret_free(secret);
	CHECK_INT(secret_bytes(), before);
}

/* The VmFlags line of the mapping that holds p. */
static bool mapping_has_flag(const void *p, const char *flag)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long long from, to;
	bool inside = false, has = false;
	char line[512];

	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2 && strchr(line, '-'))
			inside = (uintptr_t)p >= from && (uintptr_t)p < to;
		if (inside && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line, flag);
	}
	(void)fclose(file);
	return has;
}

TEST(secrets_stay_out_of_core_files_swap_and_children)
{
	char *secret = secret_dup("swordfish", 9);

	CHECK(mapping_has_flag(secret, " dd"));
	CHECK(mapping_has_flag(secret, " wf"));
	CHECK_INT(mapping_has_flag(secret, " lo"), secret_locked());
	secret_free(secret);
}

TEST(a_forked_child_reads_zeros_and_can_go_on)
{
	char *secret = secret_dup("swordfish", 9);
	int status;
	pid_t pid;

	secret_free(secret_alloc(32));
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		bool wiped = is_zero(secret, 32);
		char *own;

		secret_free(secret);
		own = secret_dup("own", 3);
		_exit(wiped && own && strcmp(own, "own") == 0 ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK_TEXT(secret, "swordfish");
	secret_free(secret);
}

TEST(what_cannot_be_locked_is_used_and_told)
{
	struct rlimit none = { 0, 0 };
	char *secret;

	CHECK(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
	/* Root may lock past the limit. */
	if (geteuid() == 0)
		CHECK(setresuid(65534, 65534, 65534) == 0);
	CHECK(secret_locked());
	secret = secret_dup("swordfish", 9);
	CHECK_TEXT(secret, "swordfish");
	CHECK(!secret_locked());
	secret_free(secret);
}

TEST(forgetting_unmaps_and_starts_afresh)
{
	char *small = secret_alloc(10), *large = secret_alloc(100000);
	unsigned char resident;

	CHECK(small && large);
	secret_forget_all();
	CHECK_INT(secret_bytes(), 0);
	CHECK(mincore((void *)((uintptr_t)small & ~(uintptr_t)4095), 1, &resident) < 0);
	small = secret_dup("new", 3);
	CHECK_TEXT(small, "new");
	secret_free(small);
}

TEST(secrets_compare_by_content_and_length)
{
	CHECK(secret_equals("abc", 3, "abc", 3));
	CHECK(secret_equals("", 0, "", 0));
	CHECK(!secret_equals("abc", 3, "abd", 3));
	CHECK(!secret_equals("abc", 3, "abcd", 4));
	CHECK(!secret_equals("\0a", 2, "\0b", 2));
}

static void *churn(void *seed)
{
	for (size_t i = 0; i < 20000; i++) {
		size_t size = (i * 31 + (uintptr_t)seed * 977) % 2000 + 1;
		char *secret = secret_alloc(size);

		if (!secret || !is_zero(secret, size))
			return seed;
		memset(secret, 's', size);
		secret_free(secret);
	}
	return NULL;
}

TEST(threads_may_share_the_arena)
{
	pthread_t threads[4];
	void *bad;

	for (uintptr_t i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0);
	for (int i = 0; i < 4; i++) {
		CHECK(pthread_join(threads[i], &bad) == 0);
		CHECK(!bad);
	}
}

TEST(freeing_what_is_no_secret_is_caught)
{
	char stranger[64];
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)close(STDERR_FILENO);
		secret_free(secret_alloc(1));
		secret_free(stranger);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}
