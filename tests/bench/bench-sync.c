/* SPDX-License-Identifier: MIT */
/*
 * A page into a file, and on disk, again and again: what any journal does, and
 * no journal can be faster.
 *
 *     bench-sync [-t MS] [-p PAGES] FILE
 *
 * With PAGES it writes over the first so many, which were on disk before, else
 * behind the end. Prints one JSON object: how often a second, and how long.
 */

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/util.h"

#define PAGE 4096
#define PAGES_MAX 65536
#define SAMPLES_MAX (1u << 20)

static struct {
	int64_t ms, pages;
	char page[PAGE];
	uint32_t *samples;
	size_t n_samples;
} bench = { .ms = 1000 };

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void write_page(int fd, int64_t at)
{
	if (pwrite(fd, bench.page, PAGE, at * PAGE) != PAGE)
		die("pwrite");
}

static int prepare(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path);
	for (int64_t i = 0; i < bench.pages; i++)
		write_page(fd, i);
	if (fsync(fd) < 0)
		die("fsync");
	return fd;
}

static void measure(int fd)
{
	int64_t before_ns = now_ns(), end_ns = before_ns + bench.ms * 1000000;

	for (int64_t i = 0; before_ns < end_ns && bench.n_samples < SAMPLES_MAX; i++) {
		int64_t after_ns;

		write_page(fd, bench.pages ? i % bench.pages : i);
		if (fdatasync(fd) < 0)
			die("fdatasync");
		after_ns = now_ns();
		bench.samples[bench.n_samples++] =
			(uint32_t)MIN(after_ns - before_ns, (int64_t)UINT32_MAX);
		before_ns = after_ns;
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double percentile_us(double which)
{
	size_t at = (size_t)((double)bench.n_samples * which);

	return bench.samples[MIN(at, bench.n_samples - 1)] / 1e3;
}

static int read_options(int argc, char *argv[])
{
	int option;

	while ((option = getopt(argc, argv, "t:p:")) != -1) {
		bool good = (option == 't' && parse_int64(optarg, 1, 600000, &bench.ms) == 0) ||
			    (option == 'p' && parse_int64(optarg, 1, PAGES_MAX, &bench.pages) == 0);

		if (!good)
			return -1;
	}
	return argc - optind == 1 ? 0 : -1;
}

int main(int argc, char *argv[])
{
	double sum_ns = 0;

	if (read_options(argc, argv) < 0) {
		(void)fprintf(stderr, "usage: bench-sync [-t MS] [-p PAGES] FILE\n");
		return 64;
	}
	bench.samples = calloc(SAMPLES_MAX, sizeof(*bench.samples));
	if (!bench.samples)
		die("calloc");

	measure(prepare(argv[optind]));
	for (size_t i = 0; i < bench.n_samples; i++)
		sum_ns += bench.samples[i];
	qsort(bench.samples, bench.n_samples, sizeof(*bench.samples), compare);
	(void)printf("{\"rate\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f}\n",
		     (double)bench.n_samples / sum_ns * 1e9, percentile_us(.5), percentile_us(.99));
	return 0;
}
