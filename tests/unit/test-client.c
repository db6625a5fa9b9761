/* SPDX-License-Identifier: MIT */
#include <molecule/agent.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/jsontext.h"
#include "client/failure.h"

#include "lib/test.h"

static struct json_text text(const char *json)
{
	return json_text_from(json, strlen(json));
}

TEST(an_answered_error_is_taken_over_whole)
{
	struct mol_agent_error err;

	CHECK_INT(
		failure_from_answer(
			&err, text("{\"code\":-32008,\"message\":\"slow down\",\"data\":{\"kind\":"
				   "\"rate_limited\",\"retryable\":true,\"retry_after_ms\":1500,"
				   "\"http_status\":429}}")),
		-EREMOTEIO);
	CHECK_INT(err.code, -32008);
	CHECK_TEXT(err.kind, "rate_limited");
	CHECK_TEXT(err.message, "slow down");
	CHECK_INT(err.retryable, 1);
	CHECK_INT(err.retry_after_ms, 1500);
	CHECK_INT(err.http_status, 429);
}

TEST(what_an_error_lacks_follows_from_its_code)
{
	struct mol_agent_error err;

	(void)failure_from_answer(&err, text("{\"code\":-32004,\"message\":\"gone\"}"));
	CHECK_TEXT(err.kind, "unavailable");
	CHECK_INT(err.retryable, 1);
	CHECK_INT(err.retry_after_ms, 0);

	(void)failure_from_answer(&err, text("{\"message\":7,\"data\":[]}"));
	CHECK_INT(err.code, -32603);
	CHECK_TEXT(err.kind, "internal");
	CHECK_TEXT(err.message, "the daemon refused without saying why (code -32603)");
}

TEST(numbers_out_of_range_are_not_believed)
{
	struct mol_agent_error err;

	(void)failure_from_answer(&err, text("{\"code\":99999999999,\"message\":\"x\",\"data\":{"
					     "\"retry_after_ms\":-5,\"http_status\":70000}}"));
	CHECK_INT(err.code, -32603);
	CHECK_INT(err.retry_after_ms, 0);
	CHECK_INT(err.http_status, 0);
}

TEST(a_long_message_is_cut_between_characters)
{
	char json[2048] = "{\"code\":-32603,\"message\":\"x";
	struct mol_agent_error err;

	for (int i = 0; i < 400; i++)
		(void)strncat(json, "\xc3\xbc", sizeof(json) - strlen(json) - 1);
	(void)strncat(json, "\"}", sizeof(json) - strlen(json) - 1);

	(void)failure_from_answer(&err, text(json));
	CHECK_INT(strlen(err.message), 511);
	CHECK_TEXT(err.message + 509, "\xc3\xbc");

	/* One more byte in front: the last character would be halved. */
	memmove(json + 27, json + 26, strlen(json + 26) + 1);
	(void)failure_from_answer(&err, text(json));
	CHECK_INT(strlen(err.message), 510);
}

TEST(an_error_may_be_of_no_interest)
{
	CHECK_INT(failure_set(NULL, ERROR_TIMEOUT, ETIMEDOUT, "x"), -ETIMEDOUT);
	CHECK_INT(failure_from_answer(NULL, text("{}")), -EREMOTEIO);
	CHECK_INT(mol_agent_open("/nowhere/at/all", &(struct mol_agent *){ NULL }, NULL), -ENOENT);
}

TEST(the_public_error_keeps_its_layout)
{
	CHECK_INT(sizeof(struct mol_agent_error), 584);
	CHECK_INT(offsetof(struct mol_agent_error, retry_after_ms), 8);
	CHECK_INT(offsetof(struct mol_agent_error, kind), 40);
	CHECK_INT(offsetof(struct mol_agent_error, message), 72);
}

TEST(nothing_is_closed_or_freed_in_vain)
{
	mol_agent_close(NULL);
	mol_agent_free(NULL);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	CHECK(fd >= 0);
	CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CHECK_INT(listen(fd, 4), 0);
	return fd;
}

TEST(a_call_that_was_not_sent_is_taken_back)
{
	char *params = malloc(8 << 20), got[256] = "";
	int listener = listen_at("sock"), fd;
	struct mol_agent_error err;
	struct mol_agent *agent;
	ssize_t n;

	/* So much that a part of it stays unsent: nobody reads. */
	memset(params, ' ', 8 << 20);
	memcpy(params, "[", 1);
	memcpy(params + (8 << 20) - 2, "]", 2);

	CHECK_INT(mol_agent_open("sock", &agent, &err), 0);
	fd = accept(listener, NULL, NULL);
	CHECK_INT(mol_agent_call(agent, "big", params, 50, NULL, &err), -ETIMEDOUT);
	CHECK_TEXT(err.kind, "timeout");

	/* Its end must never be seen: the connection is gone. */
	CHECK_INT(mol_agent_fd(agent), -1);
	CHECK_INT(mol_agent_call(agent, "small", NULL, 50, NULL, &err), -ENOTCONN);
	mol_agent_close(agent);

	n = read(fd, got, sizeof(got) - 1);
	CHECK(n > 0 && strstr(got, "\"method\":\"big\""));
	(void)close(fd);
	(void)close(listener);
	free(params);
}

TEST(a_call_without_time_is_sent_and_cancelled)
{
	int listener = listen_at("sock"), fd;
	struct mol_agent_error err;
	struct mol_agent *agent;
	char got[256] = "";

	CHECK_INT(mol_agent_open("sock", &agent, &err), 0);
	fd = accept(listener, NULL, NULL);
	CHECK_INT(mol_agent_call(agent, "a\"b", "{\n\"x\": 1}", 20, NULL, &err), -ETIMEDOUT);
	CHECK_TEXT(err.kind, "unknown_outcome");
	CHECK_INT(err.retryable, 0);

	CHECK(read(fd, got, sizeof(got) - 1) > 0);
	CHECK_TEXT(got,
		   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\\\"b\",\"params\":{\"x\": 1}}\n"
		   "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.cancel\",\"params\":{\"id\":1}}\n");
	mol_agent_close(agent);
	(void)close(fd);
	(void)close(listener);
}
