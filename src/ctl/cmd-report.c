/* SPDX-License-Identifier: MIT */
/*
 * molecule-agentctl report: what is being done, told for as long as it is being
 * done. A report belongs to the connection that made it, so we stay: until the
 * command we run has ended, or we are interrupted. When the daemon starts again
 * meanwhile, it is told again.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/jsonscan.h"
#include "base/parse.h"
#include "ctl/ctl.h"
#include "ctl/params.h"
#include "ctl/say.h"
#include "ctl/show.h"

#define RETRY_MS 1000

struct holder {
	struct ctl *ctl;
	sigset_t before; /* the signal mask we were started with, which the command gets */
	int signal_fd;
	pid_t child; /* 0: none, we hold until interrupted */
	bool lost;
};

static bool has_share(const struct ctl *ctl)
{
	return args_has(&ctl->args, "current-task") || args_has(&ctl->args, "active-tasks") ||
	       args_has(&ctl->args, "error-rate") || args_has(&ctl->args, "sample-error") ||
	       args_has(&ctl->args, "runtime-state");
}

static int check_rate(const char *text)
{
	struct json_text rate = { text, strlen(text) };
	double value;

	if (json_check(text, rate.len, 1, 1, NULL) == 0 && json_text_kind(rate) == JSON_NUMBER &&
	    json_text_double(rate, &value) == 0 && value >= 0 && value <= 1)
		return 0;

	return say_usage("report", "--error-rate is a number from 0 to 1, not '%s'", text);
}

/* What the options say, checked. */
static int share_params(const struct ctl *ctl, struct buffer *params)
{
	const char *tasks = args_get(&ctl->args, "active-tasks");
	const char *rate = args_get(&ctl->args, "error-rate");
	int64_t n = 0;

	if (tasks && parse_int64(tasks, 0, INT32_MAX, &n) < 0)
		return say_usage("report", "--active-tasks is a number, not '%s'", tasks);
	if (rate && check_rate(rate) != 0)
		return EXIT_USAGE;

	ctl_begin_params(ctl, params);
	params_string(params, "current_task", args_get(&ctl->args, "current-task"));
	if (tasks)
		params_int64(params, "active_tasks", n);
	params_json(params, "error_rate", rate);
	params_string(params, "sample_error", args_get(&ctl->args, "sample-error"));
	params_string(params, "runtime_state", args_get(&ctl->args, "runtime-state"));
	return 0;
}

static void put_report(struct ctl *ctl, struct json_text report)
{
	static const char *const members[] = { "current_task", "active_tasks", "error_rate",
					       "sample_error" };
	size_t before;

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		(void)buffer_printf(&ctl->out, "%14s: ", members[i]);
		before = buffer_len(&ctl->out);
		show_member(&ctl->out, report, members[i]);
		(void)buffer_append_text(&ctl->out, buffer_len(&ctl->out) == before ? "-\n" : "\n");
	}
}

/* Without anything to report: what the platform sees now. */
static int show_report(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	struct json_text report;
	int status;

	ctl_begin_params(ctl, &params);
	status = ctl_call(ctl, "workspace.status", &params, &answer);
	if (status)
		return status;

	report = json_text_member(answer.result, "report");
	if (ctl->json) {
		(void)buffer_append(&ctl->out, report.at, report.len);
		(void)buffer_append_char(&ctl->out, '\n');
	} else {
		put_report(ctl, report);
	}
	return 0;
}

static int tell(struct ctl *ctl)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	AUTO(answer_fini) struct answer answer = { NULL };
	int status;

	status = share_params(ctl, &params);
	if (!status)
		status = ctl_call(ctl, "workspace.report", &params, &answer);
	if (status)
		return status;

	/* Standard output is the command's, when there is one. */
	if (ctl->args.n_words)
		return 0;

	if (ctl->json)
		ctl_put_json(ctl, &answer);
	else
		put_report(ctl, json_text_member(answer.result, "report"));
	return ctl_flush(ctl);
}

/* The daemon is back, or it is not: no word about either, the command goes on. */
static void tell_again(struct holder *holder)
{
	AUTO(buffer_fini) struct buffer params = PARAMS_INIT;
	struct ctl *ctl = holder->ctl;
	struct mol_agent_error err;
	int r;

	r = ctl_try_open(ctl, &err);
	if (r == 0 && share_params(ctl, &params) == 0)
		r = ctl_try_call(ctl, "workspace.report", &params, NULL, &err);
	holder->lost = r < 0;
	if (holder->lost)
		ctl_close(ctl);
}

/* Nothing is subscribed to: what can be read is the end. */
static void on_agent(struct holder *holder)
{
	struct mol_agent_error err;
	char *event;
	int r;

	r = mol_agent_next_event(holder->ctl->agent, 0, &event, &err);
	if (r == 0)
		mol_agent_free(event);
	if (r == 0 || r == -ETIMEDOUT || r == -EINTR)
		return;

	ctl_close(holder->ctl);
	holder->lost = true;
}

static int start_child(struct holder *holder)
{
	/* posix_spawnp() takes what execvp() takes, and changes neither. */
	char *const *argv = (char *const *)(const void *)holder->ctl->args.words;
	posix_spawnattr_t attr;
	int r;

	r = posix_spawnattr_init(&attr);
	if (r == 0) {
		(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
		(void)posix_spawnattr_setsigmask(&attr, &holder->before);
		r = posix_spawnp(&holder->child, argv[0], NULL, &attr, argv, environ);
		(void)posix_spawnattr_destroy(&attr);
	}
	if (r == 0)
		return 0;

	/* As shells have it. */
	say("cannot run %s: %s", argv[0], strerror(r));
	return r == ENOENT ? 127 : 126;
}

/* Whether it is over; *ret_status is then what to exit with. */
static bool on_signal(struct holder *holder, int *ret_status)
{
	struct signalfd_siginfo info;
	int status;

	if (read(holder->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;

	*ret_status = 0;
	if (!holder->child)
		return info.ssi_signo != SIGCHLD;

	if (info.ssi_signo == SIGCHLD) {
		if (waitpid(holder->child, &status, WNOHANG) != holder->child)
			return false;
		*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		return true;
	}

	/* What the terminal sends, the command has got itself. */
	if (info.ssi_code != SI_KERNEL)
		(void)kill(holder->child, (int)info.ssi_signo);
	return false;
}

static int hold(struct holder *holder)
{
	struct pollfd pollers[2] = { { .fd = holder->signal_fd, .events = POLLIN } };
	int status = 0, r;

	for (;;) {
		pollers[1] = (struct pollfd){ .fd = -1, .events = POLLIN };
		if (!holder->lost)
			pollers[1].fd = mol_agent_fd(holder->ctl->agent);

		r = poll(pollers, ARRAY_LEN(pollers), holder->lost ? RETRY_MS : -1);
		if (r < 0 && errno != EINTR)
			return say_failed(ERROR_INTERNAL, "cannot wait: %s", strerror(errno));
		if (r > 0 && pollers[0].revents && on_signal(holder, &status))
			return status;
		if (r > 0 && pollers[1].revents)
			on_agent(holder);
		if (r == 0)
			tell_again(holder);
	}
}

static int hold_report(struct ctl *ctl)
{
	AUTO(fd_close) int signal_fd = -1;
	struct holder holder = { .ctl = ctl };
	sigset_t signals;
	int status;

	/* Before the command is there: none of its signals may be missed. */
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigaddset(&signals, SIGQUIT);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &signals, &holder.before);
	signal_fd = holder.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (signal_fd < 0)
		return say_failed(ERROR_INTERNAL, "cannot wait for signals: %s", strerror(errno));

	status = tell(ctl);
	if (!status && ctl->args.n_words)
		status = start_child(&holder);

	return status ? status : hold(&holder);
}

int cmd_report(struct ctl *ctl)
{
	if (has_share(ctl))
		return hold_report(ctl);

	if (ctl->args.n_words)
		return say_usage("report", "what is to be reported while '%s' runs?",
				 ctl->args.words[0]);

	return show_report(ctl);
}
