/* SPDX-License-Identifier: MIT */
#include "agent/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "lib/test.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define STORED "state/tokens/" ID "@platform.test"
#define SDK "home/.molecule/" ID "/.auth_token"

/* A directory of everything that a token may come from. */
struct place {
	int dirfd;
	struct workspace_settings settings;
	struct token token;
	struct error err;
};

static void make_dir(const char *path)
{
	CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
}

static void write_bytes(const char *path, const char *bytes, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK(fd_write_all(fd, bytes, len) == 0);
	CHECK(fchmod(fd, mode) == 0);
	CHECK(close(fd) == 0);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	write_bytes(path, text, strlen(text), mode);
}

static void set(struct place *place, const char *key, const char *text)
{
	CHECK(workspace_settings_set(&place->settings, key, text, NULL) == 0);
}

static void place_init(struct place *place)
{
	char here[256], home[300], credentials[300];

	*place = (struct place){ .dirfd = -1 };
	CHECK(getcwd(here, sizeof(here)));
	(void)snprintf(home, sizeof(home), "%s/home", here);
	(void)snprintf(credentials, sizeof(credentials), "%s/credentials", here);
	CHECK(setenv("HOME", home, 1) == 0);
	CHECK(setenv("CREDENTIALS_DIRECTORY", credentials, 1) == 0);
	make_dir("state");
	make_dir("state/tokens");
	make_dir("home");
	make_dir("home/.molecule");
	make_dir("home/.molecule/" ID);
	make_dir("credentials");

	place->dirfd = open("state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(place->dirfd >= 0);
	CHECK(workspace_settings_init(&place->settings) == 0);
	CHECK(workspace_settings_set_name(&place->settings, "laptop", NULL) == 0);
	set(place, "workspace_id", ID);
	set(place, "platform_url", "https://platform.test");
}

static void place_fini(struct place *place)
{
	token_fini(&place->token);
	workspace_settings_fini(&place->settings);
	CHECK(close(place->dirfd) == 0);
}

static int load(struct place *place, const char *refused)
{
	place->err = (struct error){ 0 };
	return token_load(&place->token, place->dirfd, &place->settings, refused, &place->err);
}

static void check_loads(struct place *place, const char *refused, const char *text,
			enum token_source source)
{
	CHECK_INT(load(place, refused), 0);
	CHECK_TEXT(place->token.text, text);
	CHECK_INT(place->token.source, source);
}

TEST(there_may_be_no_token_anywhere)
{
	struct place place;

	place_init(&place);
	set(&place, "token_file", "/nonexistent/token");
	set(&place, "token_credential", "agent-token");
	check_loads(&place, NULL, NULL, TOKEN_NONE);
	place_fini(&place);
}

TEST(what_has_worked_comes_first_and_the_sdk_last)
{
	char here[256], file[300];
	struct place place;

	place_init(&place);
	CHECK(getcwd(here, sizeof(here)));
	(void)snprintf(file, sizeof(file), "%s/token", here);
	set(&place, "token_file", file);
	set(&place, "token_credential", "agent-token");

	write_file(SDK, "token-of-the-sdk\n", 0600);
	check_loads(&place, NULL, "token-of-the-sdk", TOKEN_SDK);
	write_file("token", "token-of-a-file", 0600);
	check_loads(&place, NULL, "token-of-a-file", TOKEN_FILE);
	write_file("credentials/agent-token", "token-of-systemd\n", 0400);
	check_loads(&place, NULL, "token-of-systemd", TOKEN_CREDENTIAL);
	write_file(STORED, "token-that-worked\n", 0600);
	check_loads(&place, NULL, "token-that-worked", TOKEN_STATE);
	place_fini(&place);
}

TEST(one_that_was_refused_is_passed_over)
{
	struct place place;

	place_init(&place);
	write_file(STORED, "token-that-worked\n", 0600);
	write_file(SDK, "token-of-the-sdk\n", 0600);
	check_loads(&place, "token-that-worked", "token-of-the-sdk", TOKEN_SDK);
	check_loads(&place, "token-of-the-sdk", "token-that-worked", TOKEN_STATE);

	write_file(SDK, "token-that-worked\n", 0600);
	check_loads(&place, "token-that-worked", NULL, TOKEN_NONE);
	place_fini(&place);
}

TEST(refuses_a_token_others_can_read)
{
	static const mode_t modes[] = { 0640, 0604, 0660, 0644, 0620, 0777 };
	struct place place;

	place_init(&place);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		write_file(STORED, "token-that-worked\n", modes[i]);
		CHECK(load(&place, NULL) < 0);
		CHECK_INT(place.err.kind, ERROR_CONFIG);
		CHECK(!place.token.text);
	}
	place_fini(&place);
}

TEST(refuses_a_token_behind_a_link)
{
	struct place place;

	place_init(&place);
	write_file("elsewhere", "token-that-worked\n", 0600);
	CHECK(symlink("../../elsewhere", STORED) == 0);
	CHECK(load(&place, NULL) < 0);
	CHECK(unlink(STORED) == 0);
	CHECK(link("elsewhere", STORED) == 0);
	CHECK(load(&place, NULL) < 0);
	place_fini(&place);
}

TEST(refuses_what_cannot_be_a_token_and_does_not_repeat_it)
{
	static const char *const odd[] = {
		"",
		"\n",
		"short\n",
		"token with blanks\n",
		" token-that-worked\n",
		"token-that-worked \n",
		"token-that\tworked\n",
		"token-that-worked\nand-another-one\n",
		"ROTATE_TO_REVEAL_TOKEN\n",
		"token-\xc3\xa4\xc3\xb6\xc3\xbc-that\n",
		"token\x7fthat-worked\n",
	};
	struct place place;

	place_init(&place);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		write_file(STORED, odd[i], 0600);
		CHECK(load(&place, NULL) < 0);
		CHECK_INT(place.err.kind, ERROR_CONFIG);
		CHECK(!strstr(place.err.text, "that-") && !strstr(place.err.text, "blanks"));
		CHECK(!strstr(place.err.text, "REVEAL") && !strstr(place.err.text, "short"));
		CHECK(!place.token.text);
	}

	write_bytes(STORED, "token-that\0worked\n", 18, 0600);
	CHECK(load(&place, NULL) < 0);
	place_fini(&place);
}

TEST(takes_a_token_of_any_length_it_may_have)
{
	char text[TOKEN_MAX + 3];
	struct place place;

	place_init(&place);
	memset(text, 't', sizeof(text));
	text[TOKEN_MAX] = '\n';
	text[TOKEN_MAX + 1] = '\0';
	write_file(STORED, text, 0600);
	CHECK_INT(load(&place, NULL), 0);
	CHECK_INT(strlen(place.token.text), TOKEN_MAX);

	text[TOKEN_MAX] = 't';
	write_file(STORED, text, 0600);
	CHECK(load(&place, NULL) < 0);
	place_fini(&place);
}

TEST(line_ends_of_any_kind_are_no_part_of_a_token)
{
	static const char *const ends[] = { "", "\n", "\r\n", "\n\n" };
	char text[64];
	struct place place;

	place_init(&place);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		(void)snprintf(text, sizeof(text), "token-that-worked%s", ends[i]);
		write_file(STORED, text, 0600);
		check_loads(&place, NULL, "token-that-worked", TOKEN_STATE);
	}
	place_fini(&place);
}

TEST(a_bad_token_is_not_passed_over_in_silence)
{
	struct place place;

	place_init(&place);
	write_file(STORED, "bad\n", 0600);
	write_file(SDK, "token-of-the-sdk\n", 0600);
	CHECK(load(&place, NULL) < 0);
	place_fini(&place);
}

TEST(a_failed_load_leaves_the_token_in_memory)
{
	struct place place;

	place_init(&place);
	write_file(STORED, "token-that-worked\n", 0600);
	CHECK_INT(load(&place, NULL), 0);
	write_file(STORED, "bad\n", 0600);
	CHECK(load(&place, NULL) < 0);
	CHECK_TEXT(place.token.text, "token-that-worked");
	place_fini(&place);
}

TEST(a_credential_needs_a_directory_of_credentials)
{
	struct place place;

	place_init(&place);
	set(&place, "token_credential", "agent-token");
	CHECK(unsetenv("CREDENTIALS_DIRECTORY") == 0);
	CHECK(load(&place, NULL) < 0);
	CHECK(strstr(place.err.text, "LoadCredential="));
	place_fini(&place);
}

TEST(what_is_stored_is_private_and_can_be_loaded)
{
	struct token again = { 0 };
	struct place place;
	struct stat st;

	place_init(&place);
	CHECK_INT(token_store(&place.token, place.dirfd, &place.settings, "token-to-store", NULL),
		  0);
	CHECK_TEXT(place.token.text, "token-to-store");
	CHECK_INT(place.token.source, TOKEN_STATE);
	CHECK(stat(STORED, &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0600);

	CHECK_INT(token_load(&again, place.dirfd, &place.settings, NULL, NULL), 0);
	CHECK_TEXT(again.text, "token-to-store");
	token_fini(&again);
	place_fini(&place);
}

TEST(a_token_of_one_platform_is_not_offered_to_another)
{
	static const char *const others[] = {
		"https://platform.test:8443",
		"https://platform.test/base",
		"https://other.test",
		"http://platform.test:8080",
	};
	struct place place;

	place_init(&place);
	CHECK_INT(token_store(&place.token, place.dirfd, &place.settings, "token-to-store", NULL),
		  0);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		set(&place, "platform_url", others[i]);
		check_loads(&place, NULL, NULL, TOKEN_NONE);
	}
	set(&place, "platform_url", "https://platform.test");
	check_loads(&place, NULL, "token-to-store", TOKEN_STATE);
	place_fini(&place);
}

TEST(a_token_of_one_workspace_is_not_offered_for_another)
{
	struct place place;

	place_init(&place);
	CHECK_INT(token_store(&place.token, place.dirfd, &place.settings, "token-to-store", NULL),
		  0);
	set(&place, "workspace_id", "7c9e6679-7425-40de-944b-e07fc1f90ae7");
	check_loads(&place, NULL, NULL, TOKEN_NONE);
	place_fini(&place);
}

TEST(when_the_disk_does_not_take_it_the_old_one_stands_in_both_places)
{
	struct place place;

	place_init(&place);
	CHECK_INT(token_store(&place.token, place.dirfd, &place.settings, "the-old-token", NULL),
		  0);
	/* A file where the folder should be: it stops root, too. */
	CHECK(rename("state/tokens", "state/aside") == 0);
	write_file("state/tokens", "", 0600);
	CHECK(token_store(&place.token, place.dirfd, &place.settings, "the-new-token", &place.err) <
	      0);
	CHECK_TEXT(place.token.text, "the-old-token");
	CHECK(!strstr(place.err.text, "the-new-token"));

	CHECK(unlink("state/tokens") == 0);
	CHECK(rename("state/aside", "state/tokens") == 0);
	check_loads(&place, NULL, "the-old-token", TOKEN_STATE);
	place_fini(&place);
}

TEST(an_unproven_token_takes_nobodys_place_and_can_be_dropped)
{
	struct place place;

	place_init(&place);
	CHECK_INT(token_store(&place.token, place.dirfd, &place.settings, "the-old-token", NULL),
		  0);
	CHECK_INT(token_store_unproven(place.dirfd, &place.settings, "the-new-token", NULL), 0);
	check_loads(&place, NULL, "the-old-token", TOKEN_STATE);

	CHECK(access(STORED ".unproven", F_OK) == 0);
	token_drop_unproven(place.dirfd, &place.settings);
	CHECK(access(STORED ".unproven", F_OK) < 0);
	token_drop_unproven(place.dirfd, &place.settings);
	place_fini(&place);
}

TEST(a_forgotten_token_is_gone_from_both_places)
{
	struct place place;

	place_init(&place);
	CHECK_INT(token_store(&place.token, place.dirfd, &place.settings, "token-to-store", NULL),
		  0);
	CHECK_INT(token_forget(&place.token, place.dirfd, &place.settings, NULL), 0);
	CHECK(!place.token.text);
	CHECK(access(STORED, F_OK) < 0);
	CHECK_INT(token_forget(&place.token, place.dirfd, &place.settings, NULL), 0);
	place_fini(&place);
}

TEST(only_the_beginning_of_a_token_is_shown)
{
	struct token token = { .text = NULL };
	char prefix[TOKEN_PREFIX_LEN + 1];
	struct place place;

	place_init(&place);
	CHECK_TEXT(token_prefix(&token, prefix), "");
	CHECK_INT(token_store(&place.token, place.dirfd, &place.settings, "0123456789abcdef", NULL),
		  0);
	CHECK_TEXT(token_prefix(&place.token, prefix), "01234567");
	place_fini(&place);
}

TEST(what_a_caller_gives_is_checked_without_repeating_it)
{
	struct error err = { 0 };

	CHECK_INT(token_check_given("good-token", 10, &err), 0);
	CHECK(token_check_given("bad token", 9, &err) < 0);
	CHECK_INT(err.kind, ERROR_INVALID_PARAMS);
	CHECK(!strstr(err.text, "bad token"));
	CHECK(token_check_given("good\0token", 10, &err) < 0);
	CHECK(token_check_given("", 0, &err) < 0);
}

TEST(sources_have_names_of_their_own)
{
	for (enum token_source source = TOKEN_NONE; source <= TOKEN_SDK; source++) {
		CHECK(strcmp(token_source_name(source), "?") != 0);
		for (enum token_source other = TOKEN_NONE; other < source; other++)
			CHECK(strcmp(token_source_name(source), token_source_name(other)) != 0);
	}
}
