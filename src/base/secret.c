/* SPDX-License-Identifier: MIT */
/*
 * The arena of secrets. A slab holds chunks of one size class and is never
 * given back; what it is and where is kept outside of it, so that a slab holds
 * secrets and nothing else, and an overflow of one cannot reach the books.
 * Free chunks of a class are chained through their first bytes.
 *
 * A slab is asked to stay out of swap (mlock), of core files (MADV_DONTDUMP)
 * and of children (MADV_WIPEONFORK: a fork() reads zeros, so that a helper has
 * no secret even before it forgets them; nothing here may therefore be needed
 * by a child that goes on). Pages are locked as they are touched: a class with
 * one secret costs one page.
 */

#include "base/secret.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB_SIZE ((size_t)65536)

/* Two for each power of two, so that at most a third of a chunk is for nothing. */
static const uint32_t class_size[] = {
	32,   48,   64,   96,   128,  192,   256,   384,   512,   768,   1024,  1536,
	2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152, 65536,
};
#define CLASSES ARRAY_LEN(class_size)

struct slab {
	char *base;
	size_t size;
	size_t fresh; /* bytes at the front that were handed out once */
	size_t class; /* CLASSES: one large secret */
};

struct chunk {
	struct chunk *next;
};

static struct {
	pthread_mutex_t lock;
	struct slab *slabs; /* sorted by address */
	size_t n_slabs, room;
	size_t newest[CLASSES]; /* its slab's number + 1: where fresh chunks come from */
	struct chunk *free[CLASSES];
	size_t bytes;
	bool unlocked; /* some slab could not be locked */
} arena = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The number of the first slab that begins after p: the one before it may hold p. */
static size_t slab_after(const void *p)
{
	size_t low = 0, high = arena.n_slabs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((uintptr_t)arena.slabs[middle].base <= (uintptr_t)p)
			low = middle + 1;
		else
			high = middle;
	}

	return low;
}

static bool make_room(void)
{
	size_t room = arena.room ? arena.room * 2 : 16;
	struct slab *slabs;

	if (arena.n_slabs < arena.room)
		return true;

	slabs = reallocarray(arena.slabs, room, sizeof(*slabs));
	if (!slabs)
		return false;

	arena.slabs = slabs;
	arena.room = room;
	return true;
}

static void renumber(size_t from, int by)
{
	for (size_t i = 0; i < CLASSES; i++)
		if (arena.newest[i] > from)
			arena.newest[i] += (size_t)by;
}

static bool lock_pages(void *base, size_t size)
{
	if (mlock2(base, size, MLOCK_ONFAULT) == 0)
		return true;

	return errno == ENOSYS && mlock(base, size) == 0;
}

/* The new slab's number + 1, or 0. */
static size_t slab_new(size_t class, size_t size)
{
	size_t at;
	char *base;

	if (!make_room())
		return 0;

	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return 0;

	if (!lock_pages(base, size))
		arena.unlocked = true;
	(void)madvise(base, size, MADV_DONTDUMP);
	(void)madvise(base, size, MADV_WIPEONFORK);

	at = slab_after(base);
	memmove(arena.slabs + at + 1, arena.slabs + at,
		(arena.n_slabs - at) * sizeof(*arena.slabs));
	arena.slabs[at] = (struct slab){ .base = base, .size = size, .class = class };
	arena.n_slabs++;
	arena.bytes += size;
	renumber(at, 1);
	return at + 1;
}

static void slab_remove(size_t at)
{
	(void)munmap(arena.slabs[at].base, arena.slabs[at].size);
	arena.bytes -= arena.slabs[at].size;
	arena.n_slabs--;
	memmove(arena.slabs + at, arena.slabs + at + 1,
		(arena.n_slabs - at) * sizeof(*arena.slabs));
	renumber(at + 1, -1);
}

static void *alloc_large(size_t size)
{
	size_t number, page = (size_t)sysconf(_SC_PAGESIZE);

	if (size > SIZE_MAX - page)
		return NULL;

	number = slab_new(CLASSES, (size + page - 1) & ~(page - 1));
	return number ? arena.slabs[number - 1].base : NULL;
}

static bool slab_is_full(const struct slab *slab)
{
	return slab->size - slab->fresh < class_size[slab->class];
}

static void *alloc_chunk(size_t class)
{
	struct chunk *chunk = arena.free[class];
	struct slab *slab;

	if (chunk) {
		arena.free[class] = chunk->next;
		chunk->next = NULL; /* the rest of it was wiped */
		return chunk;
	}

	if (!arena.newest[class] || slab_is_full(&arena.slabs[arena.newest[class] - 1])) {
		size_t number = slab_new(class, SLAB_SIZE);

		if (!number)
			return NULL;
		arena.newest[class] = number;
	}

	slab = &arena.slabs[arena.newest[class] - 1];
	slab->fresh += class_size[class];
	return slab->base + slab->fresh - class_size[class];
}

void *secret_alloc(size_t size)
{
	size_t class = 0;
	void *secret;

	while (class < CLASSES && size > class_size[class])
		class ++;

	(void)pthread_mutex_lock(&arena.lock);
	secret = class < CLASSES ? alloc_chunk(class) : alloc_large(size);
	(void)pthread_mutex_unlock(&arena.lock);
	return secret;
}

static void free_locked(char *secret)
{
	size_t at = slab_after(secret);
	size_t offset, chunk_size;
	struct slab *slab;

	assert(at > 0);
	slab = &arena.slabs[--at];
	offset = (size_t)(secret - slab->base);
	assert(offset < slab->size);

	if (slab->class == CLASSES) {
		assert(offset == 0);
		explicit_bzero(secret, slab->size);
		slab_remove(at);
		return;
	}

	chunk_size = class_size[slab->class];
	assert(offset % chunk_size == 0 && offset < slab->fresh);
	explicit_bzero(secret, chunk_size);
	((struct chunk *)(void *)secret)->next = arena.free[slab->class];
	arena.free[slab->class] = (struct chunk *)(void *)secret;
}

void secret_free(void *secret)
{
	if (!secret)
		return;

	(void)pthread_mutex_lock(&arena.lock);
	free_locked(secret);
	(void)pthread_mutex_unlock(&arena.lock);
}

char *secret_dup(const char *bytes, size_t len)
{
	char *secret = len < SIZE_MAX ? secret_alloc(len + 1) : NULL;

	if (secret && len)
		memcpy(secret, bytes, len);
	return secret;
}

bool secret_locked(void)
{
	bool locked;

	(void)pthread_mutex_lock(&arena.lock);
	locked = !arena.unlocked;
	(void)pthread_mutex_unlock(&arena.lock);
	return locked;
}

size_t secret_bytes(void)
{
	size_t bytes;

	(void)pthread_mutex_lock(&arena.lock);
	bytes = arena.bytes;
	(void)pthread_mutex_unlock(&arena.lock);
	return bytes;
}

bool secret_equals(const char *a, size_t a_len, const char *b, size_t b_len)
{
	volatile unsigned char differs = 0;

	if (a_len != b_len)
		return false;

	for (size_t i = 0; i < a_len; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);

	return !differs;
}

void secret_forget_all(void)
{
	/* Without the lock: another thread of the parent may have held it. */
	for (size_t i = 0; i < arena.n_slabs; i++) {
		explicit_bzero(arena.slabs[i].base, arena.slabs[i].size);
		(void)munmap(arena.slabs[i].base, arena.slabs[i].size);
	}

	arena.n_slabs = 0;
	arena.bytes = 0;
	memset(arena.newest, 0, sizeof(arena.newest));
	memset(arena.free, 0, sizeof(arena.free));
}
