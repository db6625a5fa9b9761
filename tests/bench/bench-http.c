/* SPDX-License-Identifier: MIT */
/*
 * What a request costs us: a closed loop of POSTs against a server that does
 * nothing (nginx with `return 200`), so that what is measured is this side.
 *
 *     bench-http URL [REQUESTS [IN-FLIGHT [CA-FILE]]]
 *
 * Prints requests a second, and the CPU time of this process for each.
 */

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/parse.h"
#include "io/http.h"

#define BODY                                                                           \
	"{\"workspace_id\":\"f2b4a3f0-0000-4000-8000-000000000001\",\"error_rate\":0," \
	"\"sample_error\":\"\",\"active_tasks\":0,\"uptime_seconds\":100,\"current_task\":\"\"}"

static struct loop loop;
static struct http *http;
static struct http_spec spec = {
	.method = "POST",
	.bearer = "QnVpbGRpbmcgYmxvY2tzIG9mIGEgdG9rZW4tYmVhcmVy",
	.body = BODY,
	.body_len = sizeof(BODY) - 1,
	.max_body = 65536,
	.timeout_ms = 10000,
	.allow_http = true,
};
static int64_t n_left, n_out, n_failed;

static void start(struct http_request *request)
{
	struct error err;

	if (http_request_start(request, http, &spec, &err) < 0) {
		(void)fprintf(stderr, "bench-http: %s\n", err.text);
		exit(1);
	}
	n_left--;
	n_out++;
}

static void on_done(struct http_request *request, const struct http_result *result)
{
	n_out--;
	if (result->outcome != HTTP_ANSWERED || result->status != 200) {
		if (n_failed++ == 0)
			(void)fprintf(stderr, "bench-http: %s, status %d: %s\n",
				      http_outcome_name(result->outcome), result->status,
				      result->why ? result->why : "");
	}
	if (n_left)
		start(request);
	else if (!n_out)
		loop_stop(&loop);
}

static double cpu_us(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* n requests, as many of them at once as there are structs. */
static void run(struct http_request *requests, int64_t n_requests, int64_t n)
{
	n_left = n;
	for (int64_t i = 0; i < n_requests && n_left; i++) {
		http_request_init(&requests[i], on_done);
		start(&requests[i]);
	}
	loop_run(&loop);
}

int main(int argc, char *argv[])
{
	AUTO(free) struct http_request *requests = NULL;
	int64_t n = 100000, at_once = 1, began_ms, ms;
	struct error err;
	double cpu;

	if (argc < 2 || argc > 5 || (argc > 2 && parse_int64(argv[2], 1, INT32_MAX, &n) < 0) ||
	    (argc > 3 && parse_int64(argv[3], 1, 10000, &at_once) < 0)) {
		(void)fprintf(stderr, "usage: bench-http URL [REQUESTS [IN-FLIGHT [CA-FILE]]]\n");
		return 2;
	}

	spec.url = argv[1];
	spec.ca_file = argc > 4 ? argv[4] : NULL;
	requests = calloc((size_t)at_once, sizeof(*requests));
	if (!requests || loop_init(&loop) < 0 || http_new(&loop, &http, &err) < 0)
		return 1;

	run(requests, at_once, at_once); /* connections, caches, pools */
	began_ms = loop_now_ms(&loop);
	cpu = cpu_us();
	run(requests, at_once, n);
	cpu = cpu_us() - cpu;
	ms = loop_now_ms(&loop) - began_ms;

	(void)printf("%lld requests, %lld at once: %.0f/s, %.1f us of CPU each, %lld failed\n",
		     (long long)n, (long long)at_once,
		     (double)n * 1e3 / (double)MAX(ms, (int64_t)1), cpu / (double)n,
		     (long long)n_failed);
	http_free(http);
	loop_fini(&loop);
	return n_failed ? 1 : 0;
}
