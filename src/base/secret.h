/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Memory for tokens and secrets: locked against swap, kept out of core files,
 * wiped when it is freed. It comes from an arena that grows by slabs; size
 * classes are two for each power of two, from 32 bytes (a token and its NUL take
 * 48) to 64 KiB, what is larger gets pages of its own.
 *
 * (libcrypto's secure heap does the same for a size fixed at start. A daemon
 * that holds one workspace or fifty thousand cannot name that size.)
 *
 * When the kernel refuses to lock a slab it is used all the same, and
 * secret_locked() says so: one warning is better than no service.
 *
 * Any thread may use it. A child made by fork() reads zeros in place of the
 * secrets; it must not go on as if it had them.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

void *secret_alloc(size_t size); /* zeroed; NULL without memory */
void secret_free(void *secret);  /* takes NULL; wipes */

/* A copy with a NUL behind it. */
char *secret_dup(const char *bytes, size_t len);

/* AUTO(secret_free) char *token = NULL; */
static inline void secret_free_auto(void *p)
{
	secret_free(*(void **)p);
}

/* Whether all slabs so far could be locked, and the bytes they take. */
bool secret_locked(void);
size_t secret_bytes(void);

/* Whether both are equal, in a time that depends on the lengths only. */
bool secret_equals(const char *a, size_t a_len, const char *b, size_t b_len);

/*
 * Wipes and unmaps every slab: for a process that needs none any more, such as a
 * child after fork() (not after vfork(), whose memory is its parent's). Every
 * pointer that secret_alloc() gave is dead. Takes no lock: no other thread may
 * be using secrets.
 */
void secret_forget_all(void);
