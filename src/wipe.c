/* SPDX-License-Identifier: MIT */
/*
 * The program's free() and realloc(), which wipe what they give back.
 *
 * Our own code keeps secrets in an arena (base/secret.h). What is between it and
 * the wire - the buffers of libcurl and OpenSSL, the trees of json-c, the lines of
 * libc - makes copies, and none of these libraries can be told to wipe them all.
 * They call the functions of these names in the program that they are loaded
 * into, which is why this is part of the program and of no library of ours.
 *
 * The real ones are looked up behind us, not called by a name of their own, so
 * that an allocator or a checker that was preloaded still has both ends.
 */

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef void (*free_fn)(void *block);

static free_fn find_real_free(void)
{
	static _Atomic(free_fn) real;
	static _Thread_local bool looking;
	free_fn found = atomic_load_explicit(&real, memory_order_relaxed);
	void *symbol;

	if (found || looking)
		return found;

	looking = true;
	symbol = dlsym(RTLD_NEXT, "free");
	looking = false;
	memcpy(&found, &symbol, sizeof(found));
	atomic_store_explicit(&real, found, memory_order_relaxed);
	return found;
}

/* Like the real one it leaves errno alone. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's are reserved words */
EXPORT void free(void *block)
{
	free_fn real = find_real_free();
	int saved = errno;

	/* Without a way to give it back it is kept; that can be the linker's business only. */
	if (!block || !real)
		return;

	explicit_bzero(block, malloc_usable_size(block));
	real(block);
	errno = saved;
}

/* A block that the allocator moves leaves a copy behind; so it is we who move it. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's are reserved words */
EXPORT void *realloc(void *block, size_t size)
{
	size_t room;
	void *moved;

	if (!block)
		return malloc(size);

	if (size == 0) {
		free(block);
		return NULL;
	}

	room = malloc_usable_size(block);
	/* Shrinking by a little is not worth a move. */
	if (size <= room && size >= room / 2) {
		explicit_bzero((char *)block + size, room - size);
		return block;
	}

	moved = malloc(size);
	if (!moved)
		return NULL;

	memcpy(moved, block, size < room ? size : room);
	free(block);
	return moved;
}
