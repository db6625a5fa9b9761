/* SPDX-License-Identifier: MIT */
/*
 * The least that unpacking can take: inflate an archive and drop what comes out;
 * make as many files as are in it, of as many bytes. Nothing that unpacks can be
 * faster than both, on one CPU.
 *
 *     bench-unpack ARCHIVE FOLDER FILES FOLDERS BYTES
 *
 * Prints one JSON object with the milliseconds of each.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <zlib.h>

#include "base/parse.h"
#include "base/util.h"

#define PIECE 65536

static char piece[PIECE];

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int64_t number(const char *text)
{
	int64_t value;

	if (parse_int64(text, 1, 1 << 30, &value) < 0) {
		errno = EINVAL;
		die(text);
	}
	return value;
}

static void inflate_all(const char *path)
{
	static unsigned char input[PIECE];
	z_stream stream = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = Z_OK;

	if (fd < 0 || inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
		die(path);

	while (r != Z_STREAM_END) {
		if (!stream.avail_in) {
			ssize_t n = read(fd, input, sizeof(input));

			if (n <= 0)
				die(path);
			stream.next_in = input;
			stream.avail_in = (uInt)n;
		}
		stream.next_out = (unsigned char *)piece;
		stream.avail_out = sizeof(piece);
		r = inflate(&stream, Z_NO_FLUSH);
		if (r != Z_OK && r != Z_STREAM_END)
			die("inflate");
	}
	(void)inflateEnd(&stream);
	(void)close(fd);
}

static void create_files(const char *folder, int64_t n_files, int64_t n_folders, int64_t bytes)
{
	int dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[64];

	if (dirfd < 0)
		die(folder);
	for (int64_t i = 0; i < n_folders; i++) {
		(void)snprintf(name, sizeof(name), "folder-%lld", (long long)i);
		if (mkdirat(dirfd, name, 0755) < 0)
			die(name);
	}
	for (int64_t i = 0; i < n_files; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), "folder-%lld/file-%lld.txt",
			       (long long)(i % n_folders), (long long)i);
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, piece, (size_t)bytes) != bytes || close(fd) < 0)
			die(name);
	}
	(void)close(dirfd);
}

int main(int argc, char *argv[])
{
	double began, inflated;

	if (argc != 6 || number(argv[5]) > PIECE) {
		(void)fprintf(stderr, "usage: bench-unpack ARCHIVE FOLDER FILES FOLDERS BYTES\n");
		return 64;
	}

	began = now_ms();
	inflate_all(argv[1]);
	inflated = now_ms();
	create_files(argv[2], number(argv[3]), number(argv[4]), number(argv[5]));
	(void)printf("{\"inflate_ms\": %.3f, \"create_ms\": %.3f}\n", inflated - began,
		     now_ms() - inflated);
	return 0;
}
