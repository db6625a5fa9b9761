/* SPDX-License-Identifier: MIT */
/*
 * Gives a fuzzer the files of a folder, once each, without libFuzzer: its
 * corpus as an ordinary test. A folder without files is a failure: it would
 * prove nothing.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "fuzz.h"

#define FILE_MAX ((size_t)16 << 20)

static int replay_file(int dirfd, const char *name)
{
	AUTO(free) char *text = NULL;
	AUTO(free) uint8_t *exact = NULL;
	struct error err = { 0 };
	size_t len;
	int r;

	r = file_read(dirfd, name, FILE_MAX, &text, &len, &err);
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return r;
	}

	/* Of exactly its length, so that a sanitizer sees a byte read too many. */
	exact = malloc(len ? len : 1);
	if (!exact)
		return -ENOMEM;
	memcpy(exact, text, len);
	(void)LLVMFuzzerTestOneInput(exact, len);
	return 0;
}

int main(int argc, char *argv[])
{
	struct dirent *entry;
	int n = 0;
	DIR *dir;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 64;
	}

	dir = opendir(argv[1]);
	if (!dir) {
		perror(argv[1]);
		return 1;
	}

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)fprintf(stderr, "%s\n", entry->d_name);
		if (replay_file(dirfd(dir), entry->d_name) < 0)
			return 1;
		n++;
	}

	(void)closedir(dir);
	(void)printf("%d files\n", n);
	return n ? 0 : 1;
}
