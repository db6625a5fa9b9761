/* SPDX-License-Identifier: MIT */
/*
 * What a POST costs whoever uses libcurl and nothing else: one handle, one
 * request at a time. What a daemon adds is measured beside it.
 *
 *     bench-curl new|kept URL FILE MS [HEADER...]
 *
 * Each request has a new connection, or all have one that is kept. FILE is the
 * body. Prints one JSON object, as bench-load does; the CPU time is that of this
 * process.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "base/parse.h"
#include "base/util.h"

#define BODY_MAX 65536
#define SAMPLES_MAX (1u << 20) /* more than ten seconds of the fastest */

static struct {
	char body[BODY_MAX];
	size_t body_len, n_read; /* n_read: of the answers, so that somebody has looked at them */
	uint32_t *samples;
	size_t n_samples;
} bench;

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "bench-curl: %s\n", what);
	exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void read_body(const char *path)
{
	FILE *file = fopen(path, "re");

	if (!file)
		die("cannot open the body");
	bench.body_len = fread(bench.body, 1, sizeof(bench.body), file);
	(void)fclose(file);
}

static size_t on_answer(char *bytes, size_t size, size_t n, void *data)
{
	bench.n_read += n;
	return n;
}

static CURL *prepare(const char *url, struct curl_slist *headers, bool keep)
{
	CURL *easy = curl_easy_init();

	if (!easy)
		die("no curl");
	(void)curl_easy_setopt(easy, CURLOPT_URL, url);
	(void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, bench.body);
	(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)bench.body_len);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
	(void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, keep ? 0L : 1L);
	(void)curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, keep ? 0L : 1L);
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	return easy;
}

static void post(CURL *easy)
{
	long status = 0;

	if (curl_easy_perform(easy) != CURLE_OK ||
	    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status != 200)
		die("a POST has failed");
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

static void measure(CURL *easy, int64_t ms)
{
	int64_t began_ns = clock_ns(CLOCK_MONOTONIC), now_ns = began_ns, n = 0;
	int64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	while (now_ns < began_ns + ms * 1000000) {
		int64_t asked_ns = now_ns;

		post(easy);
		now_ns = clock_ns(CLOCK_MONOTONIC);
		n++;
		if (bench.n_samples < SAMPLES_MAX)
			bench.samples[bench.n_samples++] =
				(uint32_t)MIN(now_ns - asked_ns, (int64_t)UINT32_MAX);
	}
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;

	qsort(bench.samples, bench.n_samples, sizeof(*bench.samples), compare);
	(void)printf("{\"rate\": %.1f, \"cpu_us\": %.4f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
		     "\"n\": %lld}\n",
		     (double)n / (double)(now_ns - began_ns) * 1e9,
		     (double)cpu_ns / (double)n / 1e3, percentile_us(.5), percentile_us(.99),
		     (long long)n);
}

int main(int argc, char *argv[])
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	int64_t ms = 0;
	CURL *easy;

	if (argc < 5 || (strcmp(argv[1], "new") != 0 && strcmp(argv[1], "kept") != 0) ||
	    parse_int64(argv[4], 1, 600000, &ms) < 0) {
		(void)fprintf(stderr, "usage: bench-curl new|kept URL FILE MS [HEADER...]\n");
		return 64;
	}
	for (int i = 5; i < argc; i++)
		headers = curl_slist_append(headers, argv[i]);
	read_body(argv[3]);
	bench.samples = calloc(SAMPLES_MAX, sizeof(*bench.samples));
	if (!headers || !bench.samples)
		die("no memory");

	easy = prepare(argv[2], headers, argv[1][0] == 'k');
	post(easy); /* the connection, and what else comes once */
	measure(easy, ms);
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	free(bench.samples);
	return bench.n_read ? 0 : 1;
}
