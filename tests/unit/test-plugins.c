/* SPDX-License-Identifier: MIT */
#include "platform/plugins.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/fake-http.h"
#include "lib/test.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define TOKEN "tok-3n_S3cret.42"
#define DOWNLOAD "/base/workspaces/" ID "/plugins/pdf-tools/download"
#define GITHUB "github://owner/pdf-tools#v1"
#define ESCAPED "?source=github%3A%2F%2Fowner%2Fpdf-tools%23v1"

static struct loop loop;
static struct http *http;
static struct platform_settings settings;
static struct platform *platform;

static struct plugins_download download;
static unsigned n_done, n_pieces;
static size_t n_taken;
static int takes; /* what the next piece is answered with */
static int status;
static struct error said; /* NONE: it went well */

static struct plugins_report report;
static unsigned n_reported;
static enum plugins_reported reported;

static int on_bytes(struct plugins_download *of, const char *bytes, size_t len)
{
	CHECK(of == &download);
	n_pieces++;
	if (takes == -ECANCELED)
		plugins_download_stop(of);
	if (takes == 0)
		n_taken += len;
	return takes;
}

static void on_done(struct plugins_download *of, const struct platform_reply *reply,
		    const struct error *err)
{
	CHECK(of == &download);
	n_done++;
	status = reply ? reply->status : 0;
	said = err ? *err : (struct error){ 0 };
}

static const struct plugins_download_events events = { on_bytes, on_done };

static void on_reported(struct plugins_report *of, enum plugins_reported outcome,
			const struct platform_reply *reply)
{
	CHECK(of == &report);
	n_reported++;
	reported = outcome;
}

static void settle(void)
{
	for (int i = 0; i < 6; i++)
		(void)ev_run(loop.ev, EVRUN_NOWAIT);
}

static void begin(void)
{
	settings.url = strdup("https://platform.test/base");
	CHECK(settings.url);
	CHECK(loop_init(&loop) == 0);
	CHECK(http_new(&loop, &http, NULL) == 0);
	CHECK(platform_new(&loop, http, &settings, &platform, NULL) == 0);
}

static void end(void)
{
	plugins_download_stop(&download);
	plugins_report_stop(&report);
	settle();
	platform_free(platform);
	http_free(http);
	platform_settings_fini(&settings);
	loop_fini(&loop);
}

static struct fake_request *start(const char *source, const char *url_end)
{
	const struct plugins_ask ask = {
		.id = ID,
		.token = TOKEN,
		.name = "pdf-tools",
		.source = source,
	};
	struct fake_request *request;

	CHECK(plugins_download_start(&download, platform, &events, &ask, NULL) == 0);
	settle();
	request = fake_http_find(http, "GET", url_end);
	CHECK(request);
	return request;
}

TEST(a_download_comes_as_it_is_taken)
{
	const char *const headers[] = { "X-Plugin-Source: local://pdf-tools", NULL };
	struct fake_request *request;

	begin();
	request = start(NULL, DOWNLOAD);
	CHECK_TEXT(request->bearer, TOKEN);
	CHECK_INT(request->max_body, 100 << 20);
	CHECK(request->timeout_ms >= 300000);
	CHECK_INT(download.total, -1);

	CHECK_INT(fake_stream(request, "abc", 3, 5, headers), 0);
	CHECK_INT(download.total, 5);
	CHECK_TEXT(download.source, "local://pdf-tools");
	takes = -EAGAIN;
	CHECK_INT(fake_stream(request, "de", 2, 5, headers), -EAGAIN);
	CHECK_INT(download.received, 3);
	plugins_download_resume(&download);
	CHECK_INT(request->n_resumed, 1);
	takes = 0;
	CHECK_INT(fake_stream(request, "de", 2, 5, headers), 0);
	CHECK_INT(n_done, 0);

	fake_answer(request, 200, "");
	CHECK_INT(n_done, 1);
	CHECK_INT(said.kind, ERROR_NONE);
	CHECK_INT(n_taken, 5);
	CHECK_INT(download.received, 5);
	end();
}

TEST(a_source_goes_as_one_argument)
{
	begin();
	(void)start(GITHUB, DOWNLOAD ESCAPED);
	end();
}

TEST(a_source_without_end_is_refused)
{
	char source[4000];
	const struct plugins_ask ask = { ID, TOKEN, "pdf-tools", source };
	struct error err = { 0 };

	begin();
	memset(source, '#', sizeof(source));
	source[sizeof(source) - 1] = '\0';
	CHECK(plugins_download_start(&download, platform, &events, &ask, &err) < 0);
	CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
	end();
}

TEST(a_stopped_download_is_heard_of_no_more)
{
	struct fake_request *request;

	begin();
	request = start(NULL, DOWNLOAD);
	takes = -ECANCELED;
	CHECK_INT(fake_stream(request, "abc", 3, 3, NULL), -ECANCELED);
	settle();
	CHECK_INT(fake_http_count(http), 0);
	CHECK_INT(n_done, 0);
	end();
}

/* An error as the platform has it, and what it is to a caller. */
static void check_error(int answer, const char *body, enum error_kind kind, const char *text)
{
	begin();
	n_done = 0;
	fake_answer(start(NULL, DOWNLOAD), answer, body);
	CHECK_INT(n_done, 1);
	CHECK_INT(n_pieces, 0);
	CHECK_INT(status, answer);
	CHECK_INT(said.kind, kind);
	CHECK_INT(said.http_status, answer);
	CHECK_TEXT(said.text, text);
	end();
}

TEST(an_error_is_told_in_the_words_of_the_platform)
{
	check_error(400, "{\"error\":\"invalid plugin source\"}", ERROR_INVALID_PARAMS,
		    "cannot download plugin pdf-tools: platform.test refuses the request "
		    "(HTTP 400) (\"invalid plugin source\")");
	check_error(404, "{\"error\":\"failed to fetch plugin from local\"}", ERROR_NOT_FOUND,
		    "cannot download plugin pdf-tools: platform.test does not have it "
		    "(\"failed to fetch plugin from local\")");
	check_error(413, "{\"error\":\"staged plugin exceeds size limit\"}", ERROR_TOO_LARGE,
		    "cannot download plugin pdf-tools: platform.test refuses the request "
		    "(HTTP 413) (\"staged plugin exceeds size limit\")");
	check_error(422, "{\"error\":\"plugin manifest integrity check failed\"}", ERROR_INTEGRITY,
		    "cannot download plugin pdf-tools: platform.test refuses the request "
		    "(HTTP 422) (\"plugin manifest integrity check failed\")");
	check_error(422, "{\"error\":\"unpinned github source\"}", ERROR_INVALID_PARAMS,
		    "cannot download plugin pdf-tools: platform.test refuses the request "
		    "(HTTP 422) (\"unpinned github source\")");
	check_error(502, "{\"error\":\"failed to fetch plugin from github\"}", ERROR_PLATFORM,
		    "cannot download plugin pdf-tools: platform.test has a problem "
		    "(HTTP 502) (\"failed to fetch plugin from github\")");
	CHECK(error_is_retryable(&said));
	check_error(401, "{\"error\":\"invalid token\"}", ERROR_UNAUTHORIZED,
		    "cannot download plugin pdf-tools: platform.test does not accept the token "
		    "(\"invalid token\")");
	/* Of something in between, which knows nothing of plugins. */
	check_error(502, "<html>", ERROR_UNAVAILABLE,
		    "cannot download plugin pdf-tools: platform.test has a problem (HTTP 502)");
}

TEST(what_did_not_come_whole_is_no_plugin)
{
	struct fake_request *request;

	begin();
	request = start(NULL, DOWNLOAD);
	CHECK_INT(fake_stream(request, "abc", 3, 5, NULL), 0);
	fake_fail(request, HTTP_BROKEN);
	CHECK_INT(n_done, 1);
	CHECK_INT(said.kind, ERROR_UNAVAILABLE);
	CHECK_TEXT(said.text, "cannot download plugin pdf-tools: platform.test is out of reach "
			      "(as scripted)");

	request = start(NULL, DOWNLOAD);
	fake_fail(request, HTTP_TOO_LARGE);
	CHECK_INT(said.kind, ERROR_TOO_LARGE);
	CHECK(strstr(said.text, "is larger than 104857600 bytes"));

	request = start(NULL, DOWNLOAD);
	fake_fail(request, HTTP_TIMED_OUT);
	CHECK_INT(said.kind, ERROR_UNAVAILABLE);
	CHECK(strstr(said.text, "platform.test did not send all of it in time"));

	/* A success, but not this one. */
	fake_answer(start(NULL, DOWNLOAD), 206, "abc");
	CHECK_INT(said.kind, ERROR_PLATFORM);
	end();
}

TEST(a_web_page_is_no_plugin_though_it_is_a_200)
{
	const char *const headers[] = { "Content-Type: text/html; charset=utf-8", NULL };
	struct fake_request *request;

	begin();
	request = start(NULL, DOWNLOAD);
	CHECK_INT(fake_stream(request, "<html>", 6, 6, headers), -ECANCELED);
	CHECK_INT(n_pieces, 0);
	CHECK_INT(n_done, 0);
	settle();
	CHECK_INT(n_done, 1);
	CHECK_INT(fake_http_count(http), 0);
	CHECK_TEXT(said.text, "cannot download plugin pdf-tools: the answer is no archive but "
			      "text/html; charset=utf-8; check platform_url, and what stands in "
			      "between");
	end();
}

static void start_report(const char *source)
{
	const struct plugins_installed installed = {
		.id = ID,
		.token = TOKEN,
		.name = "pdf-tools",
		.source = source,
		.version = "1.2",
		.digest = "aa",
	};

	CHECK(plugins_report_start(&report, platform, &installed, on_reported, NULL) == 0);
	settle();
}

static struct fake_request *find_report(const char *place)
{
	struct fake_request *request = fake_http_find(http, "POST", place);

	CHECK(request);
	CHECK_TEXT(request->bearer, TOKEN);
	return request;
}

TEST(a_platform_that_records_is_told_once)
{
	struct fake_request *request;

	begin();
	start_report(GITHUB);
	request = find_report("/base/workspaces/" ID "/plugin-install-report");
	CHECK_TEXT(request->body, "{\"name\":\"pdf-tools\",\"source\":\"" GITHUB "\","
				  "\"version\":\"1.2\",\"digest\":\"aa\"}");
	fake_answer(request, 204, "");
	CHECK_INT(n_reported, 1);
	CHECK_INT(reported, PLUGINS_RECORDED);
	settle();
	CHECK_INT(fake_http_count(http), 0);
	end();
}

TEST(an_older_platform_is_asked_in_its_own_way)
{
	struct fake_request *request;

	begin();
	start_report(NULL);
	fake_answer(find_report("/plugin-install-report"), 404, "404 page not found");
	settle();
	CHECK_INT(n_reported, 0);
	request = find_report("/base/workspaces/" ID "/plugins");
	CHECK_TEXT(request->body, "{\"source\":\"pdf-tools\"}");
	fake_answer(request, 503, "{\"error\":\"workspace container not running\"}");
	CHECK_INT(n_reported, 1);
	CHECK_INT(reported, PLUGINS_NOT_RECORDED);
	end();
}

TEST(a_report_that_does_not_get_there_is_no_record)
{
	begin();
	start_report(NULL);
	fake_fail(find_report("/plugin-install-report"), HTTP_UNREACHABLE);
	CHECK_INT(n_reported, 1);
	CHECK_INT(reported, PLUGINS_UNREPORTED);

	start_report(NULL);
	fake_answer(find_report("/plugin-install-report"), 404, "");
	settle();
	fake_fail(find_report("/plugins"), HTTP_TIMED_OUT);
	CHECK_INT(n_reported, 2);
	CHECK_INT(reported, PLUGINS_UNREPORTED);
	end();
}
