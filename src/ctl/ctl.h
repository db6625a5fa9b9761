/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What all commands share: the command line, the connection (made when it is
 * first needed), the time there is, and the output, which is collected and
 * written out once.
 *
 * A function that returns `int status` returns 0, or the exit status of a
 * failure about which everything has been said.
 */

#include <stdbool.h>
#include <stdint.h>

#include <molecule/agent.h>

#include "base/buffer.h"
#include "base/jsontext.h"
#include "ctl/args.h"

struct ctl {
	struct args args;
	bool json;
	bool coloured;
	int64_t timeout_ms;
	int64_t deadline_ms;     /* monotonic; counts from when the connection is made */
	struct mol_agent *agent; /* owned; NULL: not connected */
	struct buffer out;       /* for standard output */
};

/* What a call was answered. */
struct answer {
	char *text; /* owned, wiped */
	struct json_text result;
};

int ctl_init(struct ctl *ctl, int argc, char *argv[]);
void ctl_fini(struct ctl *ctl);

/* What is left of --timeout, at least 0. */
int ctl_time_left(const struct ctl *ctl);

/* The socket that the options name; NULL leaves it to the library. path has room for any. */
#define CTL_PATH_MAX 108
const char *ctl_socket(const struct ctl *ctl, char path[static CTL_PATH_MAX]);

/* Connects, if that has not been done. ctl_try_open() says nothing: the reason is in err. */
int ctl_open(struct ctl *ctl);
int ctl_try_open(struct ctl *ctl, struct mol_agent_error *err);
void ctl_close(struct ctl *ctl);

/* params_begin(), with the workspace that -w names. */
void ctl_begin_params(const struct ctl *ctl, struct buffer *params);

/*
 * What the option says, else an id of our own: when nobody knows what came of a
 * call, it can be made again as the same one, even if the daemon is gone.
 */
#define CTL_ID_SIZE 37
int ctl_choose_id(const struct ctl *ctl, const char *option, char dst[static CTL_ID_SIZE],
		  const char **ret);

/*
 * Calls a method. params is what params_begin() and its like have made, and is
 * ended (and wiped) here; NULL for none. ret may be NULL.
 */
int ctl_call(struct ctl *ctl, const char *method, struct buffer *params, struct answer *ret);

/* The same for something that takes ms longer than other calls: the time starts anew. */
int ctl_call_long(struct ctl *ctl, const char *method, int64_t ms, struct buffer *params,
		  struct answer *ret);

/* ctl_call(), saying nothing: 0 or a negative errno, and err. */
int ctl_try_call(struct ctl *ctl, const char *method, struct buffer *params, struct answer *ret,
		 struct mol_agent_error *err);

/* Says what went wrong; r is what the library returned. Returns the exit status. */
int ctl_say_failure(const struct ctl *ctl, int r, const struct mol_agent_error *err);

/* Appends the result as a line. */
void ctl_put_json(struct ctl *ctl, const struct answer *answer);

/* Writes out what is in ctl->out. */
int ctl_flush(struct ctl *ctl);

void answer_fini(struct answer *answer);

static inline void answer_fini_auto(struct answer *answer)
{
	answer_fini(answer);
}
