/* SPDX-License-Identifier: MIT */
/*
 * Tokens on disk. A file is trusted only if nobody else can have read it, and
 * replaced only as a whole.
 */

#include "agent/token.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/secret.h"

#define TOKENS_DIR "tokens"
#define UNPROVEN ".unproven"

struct token_name {
	char text[WORKSPACE_KEY_SIZE + sizeof(UNPROVEN)];
};

static struct token_name token_name(const struct workspace_settings *settings, const char *suffix)
{
	struct token_name name;

	(void)snprintf(name.text, sizeof(name.text), "%s%s", workspace_settings_key(settings).text,
		       suffix);
	return name;
}

int token_check_given(const char *text, size_t len, struct error *err)
{
	if (parse_token(text, len) < 0)
		return error_set(
			err, ERROR_INVALID_PARAMS, EINVAL,
			"`token` must be 8 to 512 visible characters, and not the mark that "
			"a dialog shows in place of one");

	return 0;
}

void token_fini(struct token *token)
{
	secret_free(token->text);
	*token = (struct token){ 0 };
}

static int tokens_open(int state_dirfd, int *ret_fd, struct error *err)
{
	return dir_open_private(state_dirfd, TOKENS_DIR, 0700, ret_fd, err);
}

/* Takes the line end off, and refuses what cannot be a token. */
static int token_check(char *text, size_t len, const char *where, struct error *err)
{
	len = strcspn(text, "\r\n");
	if (strspn(text + len, "\r\n") != strlen(text + len))
		return error_set(err, ERROR_CONFIG, EBADMSG, "%s has more than one line", where);

	text[len] = '\0';
	if (parse_token(text, len) < 0)
		return error_set(err, ERROR_CONFIG, EBADMSG,
				 "%s holds no token: it must be 8 to 512 visible characters, and "
				 "not the mark that a dialog shows in place of one",
				 where);

	return 0;
}

/* 0 with *ret NULL when there is no such file. */
static int token_read(int dirfd, const char *path, char **ret, struct error *err)
{
	AUTO(secret_free) char *text = NULL;
	struct error why = { 0 };
	size_t len;
	int r;

	r = file_read_private(dirfd, path, TOKEN_MAX + 2, &text, &len, &why);
	if (r < 0 && why.kind == ERROR_NOT_FOUND)
		return 0;
	if (r == 0 && strlen(text) != len)
		r = error_set(&why, ERROR_CONFIG, EBADMSG, "%s holds a NUL byte", path);
	if (r == 0)
		r = token_check(text, len, path, &why);
	if (r < 0) {
		if (err)
			*err = why;
		return r;
	}

	*ret = TAKE(text);
	return 0;
}

static int read_stored(int state_dirfd, const struct workspace_settings *settings,
		       const char *suffix, char **ret, struct error *err)
{
	AUTO(fd_close) int dirfd = -1;
	int r;

	r = tokens_open(state_dirfd, &dirfd, err);
	if (r < 0)
		return r;

	return token_read(dirfd, token_name(settings, suffix).text, ret, err);
}

static int read_credential(const struct workspace_settings *settings, char **ret, struct error *err)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	AUTO(free) char *path = NULL;

	if (!settings->token_credential)
		return 0;

	if (!dir)
		return error_set(err, ERROR_CONFIG, ENOENT,
				 "no credential %s: the unit has no LoadCredential= for it",
				 settings->token_credential);

	if (asprintf(&path, "%s/%s", dir, settings->token_credential) < 0)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a path");

	return token_read(AT_FDCWD, path, ret, err);
}

static int read_sdk(const struct workspace_settings *settings, char **ret, struct error *err)
{
	const char *home = getenv("HOME");
	AUTO(free) char *path = NULL;
	const struct passwd *user;
	int r;

	if (!home) {
		user = getpwuid(geteuid());
		home = user ? user->pw_dir : NULL;
	}
	if (!home)
		return 0;

	if (asprintf(&path, "%s/.molecule/%s/.auth_token", home, settings->id) < 0)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a path");

	r = token_read(AT_FDCWD, path, ret, err);
	/* A home that we may not look into has nothing for us. */
	return r == -EACCES ? 0 : r;
}

static int read_source(enum token_source source, int state_dirfd,
		       const struct workspace_settings *settings, char **ret, struct error *err)
{
	switch (source) {
	case TOKEN_NONE:
		break;
	case TOKEN_STATE:
		return read_stored(state_dirfd, settings, "", ret, err);
	case TOKEN_CREDENTIAL:
		return read_credential(settings, ret, err);
	case TOKEN_FILE:
		return settings->token_file ? token_read(AT_FDCWD, settings->token_file, ret, err)
					    : 0;
	case TOKEN_SDK:
		return read_sdk(settings, ret, err);
	case TOKEN_UNPROVEN:
		return read_stored(state_dirfd, settings, UNPROVEN, ret, err);
	}
	return 0;
}

int token_load(struct token *token, int state_dirfd, const struct workspace_settings *settings,
	       const char *refused, struct error *err)
{
	static const enum token_source order[] = { TOKEN_STATE, TOKEN_CREDENTIAL, TOKEN_FILE,
						   TOKEN_SDK, TOKEN_UNPROVEN };
	int r;

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		char *text = NULL;

		r = read_source(order[i], state_dirfd, settings, &text, err);
		if (r < 0)
			return r;

		if (!text || (refused && strcmp(text, refused) == 0)) {
			secret_free(text);
			continue;
		}
		token_fini(token);
		*token = (struct token){ .text = text, .source = order[i] };
		return 0;
	}

	token_fini(token);
	return 0;
}

static int token_write(int state_dirfd, const struct workspace_settings *settings,
		       const char *suffix, const char *text, struct error *err)
{
	AUTO(fd_close) int dirfd = -1;
	char line[TOKEN_MAX + 2];
	int len, r;

	r = tokens_open(state_dirfd, &dirfd, err);
	if (r < 0)
		return r;

	len = snprintf(line, sizeof(line), "%s\n", text);
	r = file_replace(dirfd, token_name(settings, suffix).text, line, (size_t)len, 0600, err);
	explicit_bzero(line, sizeof(line));
	return r;
}

int token_store(struct token *token, int state_dirfd, const struct workspace_settings *settings,
		const char *text, struct error *err)
{
	char *copy;
	int r;

	copy = secret_dup(text, strlen(text));
	if (!copy)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for a token");

	r = token_write(state_dirfd, settings, "", text, err);
	if (r < 0) {
		secret_free(copy);
		return r;
	}

	token_fini(token);
	*token = (struct token){ .text = copy, .source = TOKEN_STATE };
	return 0;
}

int token_store_unproven(int state_dirfd, const struct workspace_settings *settings,
			 const char *text, struct error *err)
{
	return token_write(state_dirfd, settings, UNPROVEN, text, err);
}

static int token_remove(int state_dirfd, const struct workspace_settings *settings,
			const char *suffix, struct error *err)
{
	AUTO(fd_close) int dirfd = -1;
	int r;

	r = tokens_open(state_dirfd, &dirfd, err);
	if (r < 0)
		return r;

	return file_remove(dirfd, token_name(settings, suffix).text, err);
}

void token_drop_unproven(int state_dirfd, const struct workspace_settings *settings)
{
	struct error err = { 0 };

	if (token_remove(state_dirfd, settings, UNPROVEN, &err) < 0)
		log_warning("%s", err.text);
}

int token_wipe(int state_dirfd, const struct workspace_key *key, struct error *err)
{
	AUTO(fd_close) int dirfd = -1;
	struct token_name unproven;
	int r;

	r = tokens_open(state_dirfd, &dirfd, err);
	if (r < 0)
		return r;

	(void)snprintf(unproven.text, sizeof(unproven.text), "%s" UNPROVEN, key->text);
	r = file_remove(dirfd, unproven.text, err);
	return r < 0 ? r : file_remove(dirfd, key->text, err);
}

int token_forget(struct token *token, int state_dirfd, const struct workspace_settings *settings,
		 struct error *err)
{
	struct workspace_key key = workspace_settings_key(settings);
	int r;

	r = token_wipe(state_dirfd, &key, err);
	if (r < 0)
		return r;

	token_fini(token);
	return 0;
}

char *token_prefix(const struct token *token, char *dst)
{
	(void)snprintf(dst, TOKEN_PREFIX_LEN + 1, "%s", token->text ? token->text : "");
	return dst;
}

const char *token_source_name(enum token_source source)
{
	switch (source) {
	case TOKEN_NONE:
		return "none";
	case TOKEN_STATE:
		return "state";
	case TOKEN_CREDENTIAL:
		return "credential";
	case TOKEN_FILE:
		return "file";
	case TOKEN_SDK:
		return "sdk";
	case TOKEN_UNPROVEN:
		return "unproven";
	}
	return "?";
}
