/* SPDX-License-Identifier: MIT */
/*
 * The host among others.
 */

#include "io/host.h"

#include <fcntl.h>
#include <string.h>

#include "base/backoff.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/util.h"

#define MACHINE_ID "/etc/machine-id"
#define MACHINE_ID_MAX 64 /* 32 hex digits, or a word while the first boot lasts */

uint64_t host_number(void)
{
	AUTO(free) char *id = NULL;

	if (file_read(AT_FDCWD, MACHINE_ID, MACHINE_ID_MAX, &id, NULL, NULL) < 0 ||
	    strspn(id, "0123456789abcdef") < 32)
		return (uint64_t)random_u32() << 32 | random_u32();

	return hash_text(HASH_BEGIN, id);
}
