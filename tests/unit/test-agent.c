/* SPDX-License-Identifier: MIT */
/*
 * All workspaces of the host: which there are, which come and go.
 */

#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/jsontext.h"
#include "workspace-fixture.h"

#define NAMES_MAX 4

/* As a configuration would give them. */
struct wanted {
	struct workspace_settings workspaces[NAMES_MAX];
	struct agent_settings settings;
};

static void want(struct wanted *wanted, const char *name, const char *id, const char *url)
{
	struct workspace_settings *settings = &wanted->workspaces[wanted->settings.n_workspaces++];

	CHECK(workspace_settings_init(settings) == 0);
	CHECK(workspace_settings_set_name(settings, name, NULL) == 0);
	CHECK(workspace_settings_set(settings, "workspace_id", id, NULL) == 0);
	CHECK(workspace_settings_set(settings, "platform_url", url, NULL) == 0);
	wanted->settings.workspaces = wanted->workspaces;
}

static void wanted_fini(struct wanted *wanted)
{
	for (size_t i = 0; i < wanted->settings.n_workspaces; i++)
		workspace_settings_fini(&wanted->workspaces[i]);
	*wanted = (struct wanted){ 0 };
}

/* Applies and forgets them; says what has changed. */
static const char *apply(struct fixture *fixture, struct wanted *wanted)
{
	static char text[256];
	struct buffer changed = BUFFER_INIT(sizeof(text));

	CHECK_INT(agent_apply(fixture->agent, &wanted->settings, &changed, NULL), 0);
	(void)snprintf(text, sizeof(text), "%.*s", (int)buffer_len(&changed), buffer_at(&changed));
	buffer_fini(&changed);
	wanted_fini(wanted);
	fixture_settle(fixture);
	return text;
}

static void want_two(struct wanted *wanted)
{
	*wanted = (struct wanted){ 0 };
	want(wanted, "alpha", ID, "https://platform.test");
	want(wanted, "beta", OTHER_ID, "https://platform.test");
}

static const char *summary(struct fixture *fixture)
{
	static char text[200];

	agent_summary(fixture->agent, text, sizeof(text));
	return text;
}

TEST(workspaces_come_stay_and_go_as_the_settings_say)
{
	struct workspace *alpha;
	struct wanted wanted;
	struct fixture fixture;

	fixture_init(&fixture);
	want_two(&wanted);
	CHECK_TEXT(apply(&fixture, &wanted), "[\"alpha\",\"beta\"]");
	CHECK_INT(fixture.agent->n_workspaces, 2);
	CHECK_TEXT(summary(&fixture), "alpha joining, beta joining");
	alpha = agent_find(fixture.agent, "alpha");

	want_two(&wanted);
	CHECK_TEXT(apply(&fixture, &wanted), "[]");
	CHECK(agent_find(fixture.agent, "alpha") == alpha);

	want(&wanted, "alpha", ID, "https://platform.test");
	CHECK_TEXT(apply(&fixture, &wanted), "[\"beta\"]");
	CHECK(agent_find(fixture.agent, "alpha") == alpha);
	CHECK(!agent_find(fixture.agent, "beta"));

	CHECK_TEXT(apply(&fixture, &wanted), "[\"alpha\"]");
	CHECK_TEXT(summary(&fixture), "no workspaces; join one with molecule-agentctl join");
	CHECK(list_empty(&fixture.agent->platforms));
	fixture_fini(&fixture);
}

TEST(an_interval_is_adjusted_and_an_address_is_joined_anew)
{
	struct workspace *alpha;
	struct wanted wanted;
	struct fixture fixture;

	fixture_init(&fixture);
	want_two(&wanted);
	(void)apply(&fixture, &wanted);
	alpha = agent_find(fixture.agent, "alpha");

	want_two(&wanted);
	wanted.workspaces[0].heartbeat_interval_ms = 7000;
	CHECK_TEXT(apply(&fixture, &wanted), "[\"alpha\"]");
	CHECK(agent_find(fixture.agent, "alpha") == alpha);
	CHECK_INT(alpha->settings.heartbeat_interval_ms, 7000);
	CHECK_INT(fixture.n_states, 0);

	want(&wanted, "alpha", ID, "https://other.test");
	want(&wanted, "beta", OTHER_ID, "https://platform.test");
	CHECK_TEXT(apply(&fixture, &wanted), "[\"alpha\"]");
	CHECK_TEXT(fixture.path, "leaving");
	CHECK_INT(fixture.agent->n_workspaces, 2);
	fixture_fini(&fixture);
}

TEST(equal_platforms_are_shared_and_others_are_not)
{
	struct workspace *alpha, *beta, *gamma;
	struct wanted wanted;
	struct fixture fixture;

	fixture_init(&fixture);
	want_two(&wanted);
	want(&wanted, "gamma", ID, "https://other.test");
	(void)apply(&fixture, &wanted);
	alpha = agent_find(fixture.agent, "alpha");
	beta = agent_find(fixture.agent, "beta");
	gamma = agent_find(fixture.agent, "gamma");
	CHECK(alpha->platform == beta->platform);
	CHECK(alpha->platform != gamma->platform);
	CHECK_INT(alpha->platform->n_workspaces, 2);
	CHECK(alpha->platform->beats_per_minute == 4);
	fixture_fini(&fixture);
}

TEST(new_intervals_begin_at_once)
{
	struct agent_settings settings;
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_begin_online(&fixture);
	fixture.settings.heartbeat_interval_ms = 1000;
	fixture.settings.state_poll_interval_ms = 1000;
	settings = (struct agent_settings){ .workspaces = &fixture.settings, .n_workspaces = 1 };
	CHECK_INT(agent_apply(fixture.agent, &settings, NULL, NULL), 0);
	CHECK((double)agenda_left_ms(&fixture.workspace->agenda, AGENDA_BEAT) / 1e3 <= 1.1);
	CHECK((double)agenda_left_ms(&fixture.workspace->agenda, AGENDA_POLL) / 1e3 <= 1.1);
	CHECK_INT(fixture.workspace->state, LIFECYCLE_ONLINE);
	fixture_fini(&fixture);
}

TEST(workspaces_are_found_by_name_and_id)
{
	struct error err = { 0 };
	struct wanted wanted;
	struct fixture fixture;

	fixture_init(&fixture);
	CHECK(!agent_only(fixture.agent, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);

	wanted = (struct wanted){ 0 };
	want(&wanted, "alpha", ID, "https://platform.test");
	(void)apply(&fixture, &wanted);
	CHECK(agent_only(fixture.agent, &err) == agent_find(fixture.agent, "alpha"));
	CHECK(agent_find(fixture.agent, ID) == agent_find(fixture.agent, "alpha"));
	CHECK(agent_find(fixture.agent, "0F8FAD5B-D9CB-469F-A165-70867728950E"));
	CHECK(!agent_find(fixture.agent, OTHER_ID));
	CHECK(!agent_find(fixture.agent, "Alpha"));

	want_two(&wanted);
	(void)apply(&fixture, &wanted);
	CHECK(!agent_only(fixture.agent, &err));
	CHECK_INT(err.kind, ERROR_CONFLICT);
	fixture_fini(&fixture);
}

static int join(struct fixture *fixture, const char *token, struct error *err)
{
	struct workspace *workspace = NULL;
	int r;

	r = agent_join(fixture->agent, &fixture->settings, token, &workspace, err);
	CHECK((r == 0) == (workspace != NULL));
	if (r == 0)
		fixture->workspace = workspace;
	return r;
}

TEST(who_joins_with_a_token_has_it_on_disk_first)
{
	struct error err = { 0 };
	struct fixture fixture;

	fixture_init(&fixture);
	CHECK_INT(join(&fixture, "token-of-new", &err), 0);
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-new");
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-new");
	fixture_fini(&fixture);
}

TEST(nobody_joins_twice)
{
	struct error err = { 0 };
	struct fixture fixture;

	fixture_init(&fixture);
	CHECK_INT(join(&fixture, NULL, &err), 0);
	CHECK(join(&fixture, NULL, &err) < 0);
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK(workspace_settings_set_name(&fixture.settings, "other", NULL) == 0);
	CHECK(join(&fixture, NULL, &err) < 0);
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK_INT(fixture.agent->n_workspaces, 1);

	fixture_set(&fixture, "platform_url", "https://other.test");
	CHECK_INT(join(&fixture, NULL, &err), 0);
	fixture_fini(&fixture);
}

TEST(a_join_that_cannot_be_kept_leaves_nothing)
{
	struct error err = { 0 };
	struct fixture fixture;

	fixture_init(&fixture);
	fixture.save_error = (struct error){ .kind = ERROR_INTERNAL, .errnum = EROFS };
	CHECK_INT(join(&fixture, "token-of-new", &err), -EROFS);
	CHECK_INT(fixture.agent->n_workspaces, 0);
	CHECK(list_empty(&fixture.agent->platforms));
	CHECK(!file_exists(TOKEN_FILE_NAME));
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(a_join_with_what_is_no_token_leaves_nothing)
{
	struct error err = { 0 };
	struct fixture fixture;

	fixture_init(&fixture);
	CHECK(join(&fixture, "two words", &err) < 0);
	CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
	CHECK_INT(fixture.agent->n_workspaces, 0);
	fixture_fini(&fixture);
}

/* It may be there from a time before this workspace was left. */
TEST(a_good_token_is_not_overwritten_by_one_that_has_not_worked)
{
	struct error err = { 0 };
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_put_token(&fixture, "token-of-old");
	fixture.save_error = (struct error){ .kind = ERROR_INTERNAL, .errnum = EROFS };
	CHECK_INT(join(&fixture, "token-of-new", &err), -EROFS);
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-old");

	fixture.save_error.kind = ERROR_NONE;
	CHECK_INT(join(&fixture, "token-of-new", &err), 0);
	fixture_settle(&fixture);
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-old");
	CHECK_TEXT(file_line(UNPROVEN_FILE_NAME), "token-of-new");

	/* Both are asked about; whoever is first, the one that was given is taken when it works. */
	while (strcmp(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-new") != 0)
		fixture_answer(&fixture, GET_STATE, 503, "");
	fixture_answer(&fixture, GET_STATE, 200, STATE("online"));
	CHECK_TEXT(file_line(TOKEN_FILE_NAME), "token-of-new");
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-new");
	fixture_fini(&fixture);
}

TEST(who_leaves_keeps_the_token_unless_it_is_to_be_forgotten)
{
	struct error err = { 0 };
	struct fixture fixture;

	fixture_init(&fixture);
	CHECK_INT(join(&fixture, "token-of-new", &err), 0);
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, false, &err), 0);
	CHECK(file_exists(TOKEN_FILE_NAME));
	CHECK_INT(fixture.agent->n_workspaces, 0);
	CHECK_TEXT(fixture.path, "leaving");

	CHECK_INT(join(&fixture, NULL, &err), 0);
	CHECK_TEXT(fixture_expect(&fixture, GET_STATE)->bearer, "token-of-new");
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, true, &err), 0);
	CHECK(!file_exists(TOKEN_FILE_NAME));
	fixture_expect_quiet(&fixture);
	fixture_fini(&fixture);
}

TEST(warnings_go_with_their_workspace)
{
	struct error err = { 0 };
	struct fixture fixture;

	fixture_init(&fixture);
	CHECK_INT(join(&fixture, "token-of-new", &err), 0);
	agent_warn(&fixture.agent->context, "daemon", "", AGENT_WARNING, "about the daemon");
	fixture_answer(&fixture, GET_STATE, 404, "");
	CHECK_INT(fixture.n_warnings_raised, 2);
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, false, &err), 0);
	CHECK_INT(fixture.n_warnings_gone, 1);
	CHECK(agent_has_warnings(&fixture.agent->context));
	agent_unwarn(&fixture.agent->context, "daemon", "");
	CHECK(!agent_has_warnings(&fixture.agent->context));
	fixture_fini(&fixture);
}

TEST(a_warning_is_told_once_and_may_change_its_words)
{
	struct fixture fixture;

	fixture_init(&fixture);
	agent_warn(&fixture.agent->context, "code", "", AGENT_WARNING, "first");
	agent_warn(&fixture.agent->context, "code", "", AGENT_CRITICAL, "second %d", 2);
	CHECK_INT(fixture.n_warnings_raised, 1);
	CHECK_TEXT(
		list_entry(fixture.agent->context.warnings.next, struct agent_warning, node)->text,
		"second 2");
	agent_unwarn(&fixture.agent->context, "code", "");
	agent_unwarn(&fixture.agent->context, "code", "");
	CHECK_INT(fixture.n_warnings_gone, 1);
	fixture_fini(&fixture);
}

TEST(a_summary_is_cut_to_fit)
{
	char text[16];
	struct wanted wanted;
	struct fixture fixture;

	fixture_init(&fixture);
	want_two(&wanted);
	(void)apply(&fixture, &wanted);
	agent_summary(fixture.agent, text, sizeof(text));
	CHECK(strlen(text) < sizeof(text));
	CHECK(strncmp(text, "alpha", 5) == 0);
	fixture_fini(&fixture);
}

TEST(stopping_ends_all_traffic)
{
	struct wanted wanted;
	struct fixture fixture;

	fixture_init(&fixture);
	want_two(&wanted);
	(void)apply(&fixture, &wanted);
	CHECK(fake_http_count(fixture.http) > 0);
	agent_stop(fixture.agent, NULL, NULL);
	fixture_expect_quiet(&fixture);
	CHECK_TEXT(summary(&fixture), "alpha leaving, beta leaving");
	fixture_fini(&fixture);
}

/* As they stand in an answer. */
static size_t metrics_size(struct fixture *fixture)
{
	struct buffer text = BUFFER_INIT(1 << 20), json = BUFFER_INIT(1 << 20);
	size_t size;

	agent_write_metrics(fixture->agent, &text);
	CHECK_INT(text.failed, 0);
	CHECK_INT(json_write_string(&json, buffer_at(&text), buffer_len(&text)), 0);
	size = buffer_len(&json);
	buffer_fini(&text);
	buffer_fini(&json);
	return size;
}

TEST(metrics_of_ten_thousand_workspaces_fit_into_an_answer)
{
	struct wanted wanted = { 0 };
	struct fixture fixture;
	size_t one, two;

	fixture_init(&fixture);
	want(&wanted, "alpha", ID, "https://platform.test");
	(void)apply(&fixture, &wanted);
	one = metrics_size(&fixture);
	want(&wanted, "alpha", ID, "https://platform.test");
	want(&wanted, "beta-with-20-letters", OTHER_ID, "https://platform.test");
	(void)apply(&fixture, &wanted);
	two = metrics_size(&fixture);
	CHECK(two > one);
	/* The default of max_output_bytes, with room for what others count. */
	CHECK(one + 10000 * (two - one) < (4 << 20) - (256 << 10));
	fixture_fini(&fixture);
}
