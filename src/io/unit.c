/* SPDX-License-Identifier: MIT */
/*
 * A unit's cgroup is a directory of its name, below those of its slices: in
 * /user.slice/user-1000.slice/user@1000.service/app.slice/agent.service the first
 * unit is the user's manager, and the second one of its own.
 */

#include "io/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"

#define CGROUP_MAX 65536 /* bytes: a line for each of a dozen hierarchies */

/* The path in the hierarchy that is systemd's; NULL when there is none. */
static const char *systemd_path(const char *cgroup)
{
	const char *unified = NULL;

	for (const char *line = cgroup; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, "0::", 3) == 0)
			unified = line + 3;

		/* Where the old and the unified one are mounted both, it is the old one. */
		line += strcspn(line, ":\n");
		if (strncmp(line, ":name=systemd:", 14) == 0)
			return line + 14;
	}

	return unified;
}

static bool ends_with(const char *name, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len > end_len && memcmp(name + len - end_len, end, end_len) == 0;
}

static bool is_unit(const char *name, size_t len)
{
	static const char *const kinds[] = { ".service", ".scope", ".socket", ".mount", ".swap" };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (ends_with(name, len, kinds[i]))
			return true;

	return false;
}

bool unit_of_cgroup(const char *cgroup, char dst[static UNIT_NAME_SIZE])
{
	const char *path = systemd_path(cgroup);
	bool found = false, in_manager = false;

	while (path && *path == '/') {
		const char *name = path + 1;
		size_t len = strcspn(name, "/\n");

		path = name + len;
		if (ends_with(name, len, ".slice"))
			continue;
		if (!is_unit(name, len) || len >= UNIT_NAME_SIZE)
			break;

		/* An underscore keeps the name from being one of the kernel's files. */
		(void)snprintf(dst, UNIT_NAME_SIZE, "%.*s", (int)len, name);
		if (dst[0] == '_')
			memmove(dst, dst + 1, len);
		found = true;
		if (in_manager || strncmp(dst, "user@", 5) != 0)
			break;
		in_manager = true;
	}

	return found;
}

bool unit_of_process(pid_t pid, char dst[static UNIT_NAME_SIZE])
{
	AUTO(free) char *cgroup = NULL;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	return file_read(AT_FDCWD, path, CGROUP_MAX, &cgroup, NULL, NULL) == 0 &&
	       unit_of_cgroup(cgroup, dst);
}
