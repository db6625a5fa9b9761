/* SPDX-License-Identifier: MIT */
/*
 * A workspace in the hands of a test.
 */

#include "workspace-fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/journal.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/store.h"

#define TURNS 8 /* more than any chain of deferred work needs */

static const char *secret_in_log;

static int quiet_sink(const struct log_record *record)
{
	/* Whatever happens, no token gets into the log. */
	if (strstr(record->message, "token-of-"))
		secret_in_log = "a token";
	if (strstr(record->message, "sk-"))
		secret_in_log = "a secret";
	return 0;
}

static void on_state(void *data, struct workspace *workspace, enum lifecycle_state before)
{
	struct fixture *fixture = data;
	size_t len = strlen(fixture->path);

	fixture->n_states++;
	(void)snprintf(fixture->path + len, sizeof(fixture->path) - len, "%s%s", len ? " " : "",
		       lifecycle_state_name(workspace->state));
}

static void on_report(void *data, struct workspace *workspace)
{
}

static void on_secrets(void *data, struct workspace *workspace, const char *changed, size_t len)
{
	struct fixture *fixture = data;

	fixture->n_secrets++;
	(void)snprintf(fixture->changed, sizeof(fixture->changed), "%.*s", (int)len, changed);
}

static void on_peers(void *data, struct workspace *workspace)
{
	struct fixture *fixture = data;

	fixture->n_peers++;
}

static void on_delegation(void *data, struct workspace *workspace,
			  const struct delegation *delegation)
{
	struct fixture *fixture = data;
	size_t len = strlen(fixture->told);

	fixture->n_delegations++;
	(void)snprintf(fixture->told + len, sizeof(fixture->told) - len, "%s%s", len ? " " : "",
		       delegate_status_name(delegation->status));
}

static void on_warning(void *data, const struct agent_warning *warning, bool raised)
{
	struct fixture *fixture = data;

	if (raised)
		fixture->n_warnings_raised++;
	else
		fixture->n_warnings_gone++;
}

static void on_exit_wanted(void *data, struct workspace *workspace, int status)
{
	struct fixture *fixture = data;

	fixture->exit_status = status;
}

static int save(void *data, const struct workspace_settings *settings, struct error *err)
{
	struct fixture *fixture = data;

	if (fixture->save_error.kind == ERROR_NONE)
		return 0;

	*err = fixture->save_error;
	return -err->errnum;
}

static int forget(void *data, const char *name, struct error *err)
{
	return 0;
}

static const struct agent_events events = {
	.on_state = on_state,
	.on_report = on_report,
	.on_secrets = on_secrets,
	.on_peers = on_peers,
	.on_delegation = on_delegation,
	.on_warning = on_warning,
	.on_exit = on_exit_wanted,
	.save = save,
	.forget = forget,
};

void fixture_init(struct fixture *fixture)
{
	char here[256];

	*fixture = (struct fixture){ .dirfd = -1 };
	log_set_sink(quiet_sink);
	log_set_level(LOG_DEBUG);
	CHECK(getcwd(here, sizeof(here)));
	CHECK(setenv("HOME", here, 1) == 0);
	CHECK(mkdir("state", 0700) == 0);
	fixture->dirfd = open("state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fixture->dirfd >= 0);
	CHECK(loop_init(&fixture->loop) == 0);
	CHECK(http_new(&fixture->loop, &fixture->http, NULL) == 0);
	CHECK(agent_new(&fixture->loop, fixture->http, fixture->dirfd, &events, fixture,
			&fixture->agent, NULL) == 0);

	CHECK(workspace_settings_init(&fixture->settings) == 0);
	CHECK(workspace_settings_set_name(&fixture->settings, "laptop", NULL) == 0);
	fixture_set(fixture, "workspace_id", ID);
	fixture_set(fixture, "platform_url", "https://platform.test");
	/* No timer ends by itself while a test runs. */
	fixture->settings.heartbeat_interval_ms = INT32_MAX;
	fixture->settings.state_poll_interval_ms = INT32_MAX;
	fixture->settings.secrets_refresh_interval_ms = INT32_MAX;
}

void fixture_open_store(struct fixture *fixture)
{
	CHECK(store_new(&fixture->loop, fixture->dirfd, "state", journal_migrations,
			&fixture->store, NULL) == 0);
	fixture->agent->context.store = fixture->store;
	CHECK(store_start(fixture->store, NULL) == 0);
}

void fixture_restart(struct fixture *fixture)
{
	agent_free(fixture->agent);
	CHECK_INT(fake_http_count(fixture->http), 0);
	store_free(fixture->store);
	fixture->workspace = NULL;
	CHECK(agent_new(&fixture->loop, fixture->http, fixture->dirfd, &events, fixture,
			&fixture->agent, NULL) == 0);
	fixture_open_store(fixture);
}

void fixture_settle_store(struct fixture *fixture)
{
	struct store_stats stats;

	fixture_settle(fixture);
	store_stats(fixture->store, &stats);
	while (stats.queued) {
		(void)ev_run(fixture->loop.ev, EVRUN_ONCE);
		fixture_settle(fixture);
		store_stats(fixture->store, &stats);
	}
}

void fixture_fini(struct fixture *fixture)
{
	agent_free(fixture->agent);
	store_free(fixture->store);
	CHECK_INT(fake_http_count(fixture->http), 0);
	http_free(fixture->http);
	workspace_settings_fini(&fixture->settings);
	loop_fini(&fixture->loop);
	CHECK(close(fixture->dirfd) == 0);
	if (secret_in_log)
		test_fail(__FILE__, __LINE__, "%s is in the log", secret_in_log);
}

void fixture_set(struct fixture *fixture, const char *key, const char *text)
{
	CHECK(workspace_settings_set(&fixture->settings, key, text, NULL) == 0);
}

void fixture_put_token(struct fixture *fixture, const char *token)
{
	struct token stored = { 0 };

	CHECK(token_store(&stored, fixture->dirfd, &fixture->settings, token, NULL) == 0);
	token_fini(&stored);
}

void fixture_begin(struct fixture *fixture)
{
	struct agent_settings settings = { .workspaces = &fixture->settings, .n_workspaces = 1 };

	call_settings_init(&settings.calls);

	CHECK(agent_apply(fixture->agent, &settings, NULL, NULL) == 0);
	fixture->workspace = agent_find(fixture->agent, "laptop");
	CHECK(fixture->workspace);
	/* Those that start together are spread over a while. */
	if (agenda_has(&fixture->workspace->agenda, AGENDA_JOIN))
		fixture_expire(fixture, AGENDA_JOIN);
}

void fixture_begin_online(struct fixture *fixture)
{
	fixture_put_token(fixture, "token-of-old");
	fixture_begin(fixture);
	fixture_answer(fixture, GET_STATE, 200, STATE("offline"));
	fixture_answer(fixture, POST_BEAT, 200, "{\"status\":\"ok\"}");
	fixture_answer(fixture, GET_STATE, 200, STATE("online"));
	fixture_answer_rest(fixture);
	CHECK_INT(fixture->workspace->state, LIFECYCLE_ONLINE);
	fixture_expect_quiet(fixture);
}

void fixture_settle(struct fixture *fixture)
{
	for (int i = 0; i < TURNS; i++)
		(void)ev_run(fixture->loop.ev, EVRUN_NOWAIT);
}

struct fake_request *fixture_expect(struct fixture *fixture, const char *method, const char *end)
{
	struct fake_request *request;

	fixture_settle(fixture);
	request = fake_http_find(fixture->http, method, end);
	if (!request)
		test_fail(__FILE__, __LINE__, "no %s ...%s in flight, but %u others; %s", method,
			  end, fake_http_count(fixture->http), fixture->path);
	return request;
}

void fixture_answer(struct fixture *fixture, const char *method, const char *end, int status,
		    const char *body)
{
	fake_answer(fixture_expect(fixture, method, end), status, body);
	fixture_settle(fixture);
}

void fixture_fail(struct fixture *fixture, const char *method, const char *end)
{
	fake_fail(fixture_expect(fixture, method, end), HTTP_UNREACHABLE);
	fixture_settle(fixture);
}

void fixture_expect_quiet(struct fixture *fixture)
{
	fixture_settle(fixture);
	CHECK_INT(fake_http_count(fixture->http), 0);
}

void fixture_answer_rest(struct fixture *fixture)
{
	struct fake_request *request;

	fixture_settle(fixture);
	request = fake_http_find(fixture->http, GET_SECRETS);
	if (request)
		fake_answer(request, 200, "{}");
	request = fake_http_find(fixture->http, GET_PROBE);
	if (request)
		fake_answer(request, 200, "[]");
	request = fake_http_find(fixture->http, GET_PEERS);
	if (request)
		fake_answer(request, 200, "[]");
	fixture_settle(fixture);
}

void fixture_expire(struct fixture *fixture, enum agenda_item item)
{
	struct agenda *agenda = &fixture->workspace->agenda;

	CHECK(agenda_has(agenda, item));
	agenda_drop(agenda, item);
	agenda->on_due(agenda, item, loop_now_ms(&fixture->loop));
	fixture_settle(fixture);
}

static void on_wish(struct waiter *waiter, const struct error *err)
{
	struct wish *wish = container_of(waiter, struct wish, waiter);

	wish->called++;
	wish->err = err ? *err : (struct error){ 0 };
}

void wish_init(struct wish *wish)
{
	*wish = (struct wish){ .called = 0 };
	waiter_init(&wish->waiter, on_wish);
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

const char *file_line(const char *path)
{
	static char line[1024];
	AUTO(free) char *text = NULL;

	CHECK(file_read(AT_FDCWD, path, sizeof(line) - 1, &text, NULL, NULL) == 0);
	(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
	return line;
}
