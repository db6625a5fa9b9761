/* SPDX-License-Identifier: MIT */
/*
 * Leaving for good, and what the next start does of it.
 */

#include "agent/farewell.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outbox-fixture.h"

#define NOTE "state/leaving/" ID "@platform.test"

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	CHECK_INT(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

/* As a kill leaves it when the note is written, and maybe the settings are gone. */
static void cut_short(void)
{
	CHECK(mkdir("state/leaving", 0700) == 0 && mkdir("state/tokens", 0700) == 0);
	put(NOTE, "");
	put(TOKEN_FILE_NAME, "token-of-old\n");
	put(UNPROVEN_FILE_NAME, "token-of-new\n");
}

TEST(one_that_has_left_takes_all_of_it_along_and_leaves_no_note)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_begin_online(&fixture);
	CHECK(file_exists(TOKEN_FILE_NAME));
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, true, NULL), 0);
	CHECK(!file_exists(TOKEN_FILE_NAME));
	CHECK(!file_exists(NOTE));
	CHECK(file_exists("state/leaving"));
	fixture_fini(&fixture);
}

TEST(one_that_may_come_back_keeps_its_token)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_begin_online(&fixture);
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, false, NULL), 0);
	CHECK(file_exists(TOKEN_FILE_NAME));
	CHECK(!file_exists("state/leaving"));
	fixture_fini(&fixture);
}

TEST(who_changes_their_mind_keeps_the_token)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_begin_online(&fixture);
	CHECK(unlink(TOKEN_FILE_NAME) == 0 && mkdir(TOKEN_FILE_NAME, 0700) == 0);
	CHECK(agent_leave(fixture.agent, fixture.workspace, true, NULL) < 0);
	CHECK(file_exists(NOTE));
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, false, NULL), 0);
	CHECK(!file_exists(NOTE));
	fixture_fini(&fixture);
}

TEST(the_next_start_goes_on_where_a_kill_fell)
{
	struct fixture fixture;

	fixture_init(&fixture);
	cut_short();
	agent_resume(fixture.agent);
	CHECK(!file_exists(TOKEN_FILE_NAME));
	CHECK(!file_exists(UNPROVEN_FILE_NAME));
	CHECK(!file_exists(NOTE));
	agent_resume(fixture.agent);
	fixture_fini(&fixture);
}

TEST(one_that_is_still_here_or_here_again_stays)
{
	struct fixture fixture;

	fixture_init(&fixture);
	cut_short();
	fixture_begin(&fixture);
	agent_resume(fixture.agent);
	CHECK(file_exists(TOKEN_FILE_NAME));
	CHECK(!file_exists(NOTE));
	fixture_fini(&fixture);
}

TEST(one_that_cannot_be_noted_stays)
{
	struct fixture fixture;

	fixture_init(&fixture);
	put("state/leaving", "not a directory");
	fixture_begin_online(&fixture);
	CHECK(agent_leave(fixture.agent, fixture.workspace, true, NULL) < 0);
	CHECK(file_exists(TOKEN_FILE_NAME));
	CHECK_INT(fixture.workspace->state, LIFECYCLE_ONLINE);
	agent_resume(fixture.agent);
	fixture_fini(&fixture);
}

TEST(what_could_not_be_wiped_is_tried_again_at_the_start_after)
{
	struct fixture fixture;

	fixture_init(&fixture);
	cut_short();
	/* Not even root removes that as a file. */
	CHECK(unlink(TOKEN_FILE_NAME) == 0 && mkdir(TOKEN_FILE_NAME, 0700) == 0);
	agent_resume(fixture.agent);
	CHECK(file_exists(NOTE));
	CHECK(rmdir(TOKEN_FILE_NAME) == 0);
	agent_resume(fixture.agent);
	CHECK(!file_exists(NOTE));
	fixture_fini(&fixture);
}

TEST(the_note_stays_until_the_journal_is_wiped)
{
	struct workspace_key key;
	struct fixture fixture;
	struct wish wish;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	key = workspace_settings_key(&fixture.workspace->settings);
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, true, NULL), 0);
	CHECK(file_exists(NOTE));
	wish_init(&wish);
	CHECK_INT(agent_forget(fixture.agent, &key, &wish.waiter, NULL), 0);
	CHECK(file_exists(NOTE));
	fixture_settle_store(&fixture);
	CHECK_INT(wish.called, 1);
	CHECK(!file_exists(NOTE));
	fixture_fini(&fixture);
}

TEST(a_journal_that_was_not_wiped_is_by_the_next_start)
{
	struct fixture fixture;
	struct told told;

	outbox_begin(&fixture);
	outbox_deliver(&fixture, "do it", &told);
	CHECK_INT(agent_leave(fixture.agent, fixture.workspace, true, NULL), 0);
	fixture_restart(&fixture);
	CHECK(file_exists(NOTE));
	CHECK_TEXT(outbox_sql(&fixture, "SELECT count(*) FROM delegation"), "1");
	agent_resume(fixture.agent);
	fixture_settle_store(&fixture);
	CHECK_TEXT(outbox_sql(&fixture, "SELECT count(*) FROM delegation"), "0");
	CHECK(!file_exists(NOTE));
	fixture_fini(&fixture);
}
