/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The unit tests' frame: TEST(a_sentence_it_proves) { CHECK(...); }. Tests
 * register themselves; each runs in a child process, so that one which dies
 * takes no other with it, in an empty temporary directory of its own. Output
 * is TAP, which meson understands.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

void test_register(struct test *test);

/* Ends the test that runs. */
_Noreturn void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Ends it too, as one that cannot be run here; why goes into the output. */
_Noreturn void test_skip(const char *why);

#define TEST(test_name)                                                                 \
	static void test_name(void);                                                    \
	static struct test test_##test_name = { .name = #test_name, .run = test_name }; \
	__attribute__((constructor)) static void register_##test_name(void)             \
	{                                                                               \
		test_register(&test_##test_name);                                       \
	}                                                                               \
	static void test_name(void)

#define CHECK(condition)                                                        \
	do {                                                                    \
		if (!(condition))                                               \
			test_fail(__FILE__, __LINE__, "CHECK(%s)", #condition); \
	} while (0)

/* Compare and show both. */
#define CHECK_INT(a, b)                                                                    \
	do {                                                                               \
		long long _x = (long long)(a), _y = (long long)(b);                        \
		if (_x != _y)                                                              \
			test_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #a, _x, _y); \
	} while (0)
#define CHECK_TEXT(a, b)                                                              \
	do {                                                                          \
		const char *_x = (a), *_y = (b);                                      \
		if (!test_same(_x, _y))                                               \
			test_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #a, \
				  _x ? _x : "(null)", _y ? _y : "(null)");            \
	} while (0)

#define CHECK_HAS(text, part)                                                                \
	do {                                                                                 \
		const char *_text = (text), *_part = (part);                                 \
		if (!_text || !strstr(_text, _part))                                         \
			test_fail(__FILE__, __LINE__, "%s is \"%s\", without \"%s\"", #text, \
				  _text ? _text : "(null)", _part);                          \
	} while (0)

bool test_same(const char *a, const char *b);

/*
 * For what a test makes in the middle of a line: it lives as long as the test,
 * which is a process of its own, and is no leak. Returns memory, which is not
 * NULL.
 */
void *test_keep(void *memory);
