/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The few words that every file here speaks: who ends a variable, whose member
 * this is, how many there are.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * AUTO(fn) runs fn() on the variable when it leaves scope. The destructor is
 * named where the variable is declared, so both ends can be read at once.
 */
#define AUTO(fn) __attribute__((cleanup(fn##_auto)))
#define DEFINE_AUTO(type, fn)                 \
	static inline void fn##_auto(type *p) \
	{                                     \
		if (*p)                       \
			fn(*p);               \
	}                                     \
	struct auto_needs_a_semicolon

/* Yields the pointer and leaves NULL behind: ownership goes to the reader. */
#define TAKE(p)                             \
	({                                  \
		__typeof__(p) _taken = (p); \
		(p) = NULL;                 \
		_taken;                     \
	})

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Each argument is evaluated once; the counter lets one MIN() stand inside another. */
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define CHOOSE_(a, op, b, x, y)        \
	({                             \
		__typeof__(a) x = (a); \
		__typeof__(b) y = (b); \
		x op y ? x : y;        \
	})
#define MIN(a, b) CHOOSE_(a, <, b, PASTE(_x, __COUNTER__), PASTE(_y, __COUNTER__))
#define MAX(a, b) CHOOSE_(a, >, b, PASTE(_x, __COUNTER__), PASTE(_y, __COUNTER__))

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* AUTO(free) char *text = NULL; */
static inline void free_auto(void *p)
{
	free(*(void **)p);
}

/* AUTO(fd_close) int fd = -1; */
static inline void fd_close_auto(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
