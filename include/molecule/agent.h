/* SPDX-License-Identifier: MIT */
#ifndef MOLECULE_AGENT_H
#define MOLECULE_AGENT_H

/*
 * libmolecule-agent: a small blocking client of molecule-agentd.
 *
 * A handle is one connection to the daemon's Unix socket. Methods, their
 * parameters and their results are the daemon's local JSON-RPC 2.0 API, see
 * molecule-agent-rpc(7); this library carries them and adds nothing.
 *
 *	struct mol_agent_error err;
 *	struct mol_agent *agent;
 *	char *result;
 *
 *	if (mol_agent_open(NULL, &agent, &err) < 0)
 *		errx(1, "%s", err.message);
 *	if (mol_agent_call(agent, "workspace.list", NULL, 5000, &result, &err) < 0)
 *		errx(1, "%s", err.message);
 *	puts(result);
 *	mol_agent_free(result);
 *	mol_agent_close(agent);
 *
 * Results: each function that can fail returns 0, or a negative errno value,
 * and then fills *err, which may be NULL. Outputs are set only on success.
 *
 * Threads: a handle belongs to one thread at a time; different handles know
 * nothing of each other and may be used at the same time. After fork() only one
 * of the two processes may go on using a handle.
 *
 * Signals: no SIGPIPE is raised. Descriptors are close-on-exec.
 *
 * Memory: what passes through the library's own buffers (tokens, secrets) is
 * wiped before it is freed; mol_agent_free() does the same for what it is given.
 *
 * All texts are UTF-8. All times are milliseconds.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MOL_AGENT_PUBLIC __attribute__((visibility("default")))
#else
#define MOL_AGENT_PUBLIC
#endif

struct mol_agent;

/* What went wrong. Programs act on kind or code, people read message. */
struct mol_agent_error {
	/*
	 * The JSON-RPC error code, e.g. -32003. An error that arose here and
	 * not in the daemon has the code that fits its kind.
	 */
	int32_t code;

	/* What the platform or a peer answered to the daemon, or 0. */
	int32_t http_status;

	/* How long to wait before the call can succeed, or 0 when that is not known. */
	int64_t retry_after_ms;

	/* 1: the same call may succeed later, and sending it again does no harm. */
	int32_t retryable;

	int32_t reserved[5]; /* 0 */

	/* One word: "not_found", "unavailable", ...; never empty. */
	char kind[32];

	/* A sentence without capital and full stop, cut to fit; never a secret. */
	char message[512];
};

/*
 * Connects to the daemon. With path NULL the first of these is taken:
 * $MOLECULE_SOCKET, $XDG_RUNTIME_DIR/molecule.sock if it is there,
 * /run/molecule.sock. (The environment is ignored in a set-user-ID program.)
 * Waits at most ten seconds for a daemon that is there and does not accept.
 *
 * -ENOENT, -ECONNREFUSED, -EAGAIN ("unavailable"): no daemon listens there.
 * -EACCES ("forbidden"): the socket is not for us. -ENAMETOOLONG
 * ("invalid_params"): longer than a socket's path can be. -ENOMEM, -EMFILE, ...
 * ("internal").
 */
MOL_AGENT_PUBLIC int mol_agent_open(const char *path, struct mol_agent **ret_agent,
				    struct mol_agent_error *err);

/* Closes the connection, which ends its calls and subscriptions. Takes NULL. */
MOL_AGENT_PUBLIC void mol_agent_close(struct mol_agent *agent);

/*
 * Calls a method and waits for its answer. params_json is an object or an
 * array in JSON, or NULL for none. timeout_ms is for the whole call: negative
 * waits for ever, 0 takes only what is there already. *ret_result_json is the
 * result member as the daemon wrote it (compact, one line); the caller frees it
 * with mol_agent_free(). ret_result_json may be NULL.
 *
 * -EREMOTEIO: the daemon answered with an error; *err is that error.
 * -EINVAL ("invalid_params"): params_json is neither a JSON object nor an array.
 * -ETIMEDOUT: no answer in time. Kind "timeout" when the daemon cannot have
 * seen the call; "unknown_outcome" when it may have acted on it (it has been
 * told to cancel). The handle remains good; an answer that comes late is dropped.
 * -ECONNRESET: the connection was lost; "unknown_outcome" or "unavailable"
 * likewise. -EBADMSG ("internal"): what answered does not speak JSON-RPC.
 * -EMSGSIZE ("too_large"): the call or its answer has more than 16 MiB.
 *
 * After a lost connection, -EBADMSG, or an answer that was too large, each
 * further call is -ENOTCONN ("unavailable"): close the handle and open another.
 */
MOL_AGENT_PUBLIC int mol_agent_call(struct mol_agent *agent, const char *method,
				    const char *params_json, int timeout_ms, char **ret_result_json,
				    struct mol_agent_error *err);

/*
 * Waits for the next event of the subscriptions made with
 * mol_agent_call(agent, "events.subscribe", ...). *ret_event_json is the
 * notification's params: {"subscription", "seq", "type", "workspace", "at",
 * "data"}; the caller frees it with mol_agent_free(). timeout_ms as above.
 *
 * Events that come in while a call waits are kept, up to 4 MiB, and handed out
 * here, in order. Past that they are dropped, and one {"type":"overflow"}
 * without a subscription stands for all of them: every subscription of the
 * handle has a gap. An overflow with a subscription comes from the daemon and
 * has ended that subscription. In both cases subscribe again (in the first,
 * close the handle and open another): a subscription begins with a snapshot.
 *
 * -ETIMEDOUT ("timeout"): none came. -EINTR ("cancelled"): a signal handler ran.
 * -ECONNRESET, -ENOTCONN, -EBADMSG, -EMSGSIZE: as above, once all events that
 * came before have been handed out.
 */
MOL_AGENT_PUBLIC int mol_agent_next_event(struct mol_agent *agent, int timeout_ms,
					  char **ret_event_json, struct mol_agent_error *err);

/*
 * The descriptor to wait on (for reading) in an event loop of one's own; still
 * owned by the handle, -1 once the connection is lost. Events may have been read
 * already: call mol_agent_next_event() with timeout 0 until it fails, then wait.
 */
MOL_AGENT_PUBLIC int mol_agent_fd(const struct mol_agent *agent);

/* Wipes and frees a text this library returned. Takes NULL. */
MOL_AGENT_PUBLIC void mol_agent_free(char *text);

#ifdef __cplusplus
}
#endif

#endif
