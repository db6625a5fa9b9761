/* SPDX-License-Identifier: MIT */
/*
 * What libcurl gives back is wiped, whole blocks as the allocator made them.
 */

#include "io/http-memory.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/util.h"

static void wiping_free(void *block)
{
	if (block)
		explicit_bzero(block, malloc_usable_size(block));
	free(block);
}

/* The allocator's own realloc() may move a block, and leaves the old one as it was. */
static void *wiping_realloc(void *block, size_t size)
{
	size_t len = block ? malloc_usable_size(block) : 0;
	void *moved;

	moved = malloc(size);
	if (!moved)
		return NULL;

	if (block)
		(void)memcpy(moved, block, MIN(len, size));
	wiping_free(block);
	return moved;
}

int http_memory_init(void)
{
	CURLcode r = curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc,
					  strdup, calloc);

	return r == CURLE_OK ? 0 : -ENOMEM;
}
