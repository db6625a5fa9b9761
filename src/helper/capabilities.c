/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own call: libcap would be one more library in a sandbox.
 */

#include "helper/capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

int capabilities_drop(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 }, now[ARRAY_LEN(none)];

	if (syscall(SYS_capget, &header, now) == 0 && !now[0].permitted && !now[1].permitted)
		return 0;

	return (int)syscall(SYS_capset, &header, none);
}
