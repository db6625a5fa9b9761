/* SPDX-License-Identifier: MIT */
/*
 * The daemon's life: state directory and lock, loop, HTTP, agent, socket; then
 * READY when the socket answers; then the loop; then all of it backwards.
 */

#include "daemon.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/messages.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "config-build.h"
#include "daemon-private.h"
#include "exit.h"
#include "io/http.h"
#include "io/journal.h"
#include "io/listen.h"
#include "io/loop.h"
#include "io/notify.h"
#include "io/wake.h"
#include "once.h"
#include "rpc/server.h"
#include "statedir.h"

#define STATUS_MAX 1024
#define LAST_MS 5000 /* for what is cleaned up at the end: it is done at the next start, else */
#define READY_RETRY_MS 100  /* the manager's queue was full */
#define TRIM_AFTER_MS 30000 /* when the last of those that start together has joined */

/* Linux 6.3 and 6.6: later than the oldest headers that we build with. */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
#define MDWE_REFUSE_EXEC_GAIN (1ul << 0)
#define MDWE_NO_INHERIT (1ul << 1)

/*
 * Memory for hosts with thousands of workspaces. glibc raises the size from
 * which blocks are mapped (and so given back) each time a large one is freed;
 * one answer of megabytes would leave its hole for ever. And the threads that
 * resolve names need no heaps of their own.
 */
static void daemon_save_memory(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	(void)mallopt(M_ARENA_MAX, 1);
}

/* Valgrind writes all code anew: it could not go on. */
static bool is_in_valgrind(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded && strstr(preloaded, "vgpreload");
}

/*
 * No memory that is both writable and executable: as MemoryDenyWriteExecute= has
 * it, but for ourselves only and not for what we start. A plugin's setup.sh may
 * have to run Node.js; then only that service setting has to go. An older kernel
 * refuses, as does one where it has been set already.
 */
static void daemon_deny_code(void)
{
	const unsigned long how = MDWE_REFUSE_EXEC_GAIN | MDWE_NO_INHERIT;

	if (!is_in_valgrind())
		(void)prctl(PR_SET_MDWE, how, 0ul, 0ul, 0ul);
}

void daemon_harden(void)
{
	struct rlimit limit;

	daemon_save_memory();
	daemon_deny_code();

	/* No core file, and no other process of ours may look in. */
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)signal(SIGPIPE, SIG_IGN);

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* --- what we tell the service manager --- */

static void daemon_on_tell(struct loop_work *work)
{
	struct daemon *daemon = container_of(work, struct daemon, tell);
	char status[STATUS_MAX];

	if (!daemon->running || daemon->stopping)
		return;

	agent_summary(daemon->agent, status, sizeof(status));
	(void)notify_status(status);
}

static void daemon_say_ready(struct daemon *daemon)
{
	char status[STATUS_MAX];

	agent_summary(daemon->agent, status, sizeof(status));
	if (notify_ready(status) == -EAGAIN)
		timer_start(&daemon->ready, READY_RETRY_MS);
}

static void daemon_on_ready(struct timer *timer)
{
	daemon_say_ready(container_of(timer, struct daemon, ready));
}

static void daemon_on_trim(struct timer *timer)
{
	(void)malloc_trim(0);
}

/* --- stopping --- */

static void daemon_on_quiet(void *data)
{
	struct daemon *daemon = data;

	loop_stop(&daemon->loop);
}

static void daemon_on_last(struct timer *timer)
{
	daemon_on_quiet(container_of(timer, struct daemon, last));
}

static void daemon_on_stopped(void *data)
{
	struct daemon *daemon = data;

	timer_start(&daemon->last, LAST_MS);
	agent_stop(daemon->agent, daemon_on_quiet, daemon);
}

void daemon_stop(struct daemon *daemon, int status, const char *why)
{
	if (daemon->stopping) {
		log_notice("stopping at once");
		loop_stop(&daemon->loop);
		return;
	}

	log_notice("stopping: %s", why);
	daemon->stopping = true;
	daemon->exit_status = status;
	(void)notify_stopping(why);
	if (daemon->server)
		server_stop(daemon->server, daemon->config->agent.stop_timeout_ms,
			    daemon_on_stopped, daemon);
	else
		daemon_on_stopped(daemon);
}

static void daemon_on_sigterm(struct loop_signal *signal)
{
	daemon_stop(container_of(signal, struct daemon, sigterm), DAEMON_STOPPED, "SIGTERM");
}

static void daemon_on_sigint(struct loop_signal *signal)
{
	daemon_stop(container_of(signal, struct daemon, sigint), DAEMON_STOPPED, "SIGINT");
}

/* --- the configuration --- */

static void note_change(const char *section, const char *key, bool needs_restart, void *context)
{
	struct buffer *changed = context;
	char name[160];

	/* Workspaces are told by the agent, which knows what became of them. */
	if (!key)
		return;

	(void)snprintf(name, sizeof(name), "%s.%s", section, key);
	(void)buffer_append_char(changed, buffer_len(changed) ? ',' : '[');
	(void)json_write_string(changed, name, strlen(name));
	if (needs_restart)
		log_warning("%s has changed and takes effect at the next restart", name);
}

/* "[...]" or nothing, after "[..." or nothing. */
static void append_names(struct buffer *changed, const struct buffer *names)
{
	size_t len = buffer_len(names);

	if (len <= 2)
		return;

	(void)buffer_append_char(changed, buffer_len(changed) ? ',' : '[');
	(void)buffer_append(changed, buffer_at(names) + 1, len - 2);
}

static void daemon_adopt(struct daemon *daemon, struct config *config)
{
	agent_settings_drop_workspaces(&config->agent);
	config_free(daemon->config);
	daemon->config = config;
	timer_start(&daemon->trim, agent_starts_ms(daemon->agent) + TRIM_AFTER_MS);
	log_set_level((int)config->daemon.log_level);
	if (daemon->server)
		server_configure(daemon->server, &config->rpc, config->daemon.socket_group);
}

static int daemon_reload(void *data, struct buffer *changed, struct error *err)
{
	AUTO(buffer_fini) struct buffer names = BUFFER_INIT(1u << 20);
	AUTO(config_free) struct config *config = NULL;
	struct daemon *daemon = data;
	int r;

	r = config_load(daemon->paths, &config, err);
	if (r == 0)
		r = agent_apply(daemon->agent, &config->agent, &names, err);
	if (r < 0) {
		log_event(LOG_ERR, NULL, "config_refused", MESSAGE_CONFIG_REFUSED,
			  "not reloaded, nothing has changed: %s", err->text);
		return r;
	}

	config_compare(daemon->config, config, note_change, changed);
	append_names(changed, &names);
	(void)buffer_append_text(changed, buffer_len(changed) ? "]" : "[]");
	daemon_adopt(daemon, TAKE(config));
	loop_defer(&daemon->loop, &daemon->tell);
	log_notice("reloaded; changed: %.*s", (int)MIN(buffer_len(changed), (size_t)512),
		   buffer_at(changed));
	return 0;
}

static void daemon_on_sighup(struct loop_signal *signal)
{
	struct daemon *daemon = container_of(signal, struct daemon, sighup);
	AUTO(buffer_fini) struct buffer changed = BUFFER_INIT(1u << 20);
	struct error err = { 0 };

	if (daemon->stopping)
		return;

	(void)notify_reloading();
	(void)daemon_reload(daemon, &changed, &err);
	daemon_say_ready(daemon);
}

static int daemon_join_defaults(void *data, struct workspace_settings *ret)
{
	struct daemon *daemon = data;

	return workspace_settings_copy(ret, &daemon->config->agent.defaults);
}

/* --- the socket --- */

/* Takes what systemd passed; what is left over by a failure is closed. */
static int daemon_adopt_sockets(struct daemon *daemon, bool *ret_any, struct error *err)
{
	int fds[SERVER_LISTENERS_MAX];
	size_t n = 0;
	int r;

	r = listen_fds_from_systemd(fds, ARRAY_LEN(fds), &n, err);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = server_adopt(daemon->server, fds[i], err);
		if (r < 0)
			(void)close(fds[i]);
	}
	*ret_any = n > 0;
	return r;
}

/* A socket's own directory, as in /run/molecule/agentd.sock, when it is not there yet. */
static void make_socket_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash && slash != path ? strndup(path, (size_t)(slash - path)) : NULL;

	if (dir)
		(void)mkdir(dir, 0755);
	free(dir);
}

static int daemon_open_sockets(struct daemon *daemon, struct error *err)
{
	char **paths = daemon->config->daemon.sockets;
	bool any;
	int r;

	r = daemon_adopt_sockets(daemon, &any, err);
	if (r < 0 || any)
		return r;

	for (size_t i = 0; paths && paths[i]; i++) {
		make_socket_dir(paths[i]);
		r = server_bind(daemon->server, paths[i], err);
		if (r < 0)
			return r;
		log_info("listening at %s", paths[i]);
	}
	return 0;
}

static int daemon_open_server(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	struct hub_host host = {
		.loop = &daemon->loop,
		.agent = daemon->agent,
		.version = MOLECULE_VERSION,
		.started_wall_ms = daemon->started_wall_ms,
		.data = daemon,
		.reload = daemon_reload,
		.join_defaults = daemon_join_defaults,
	};
	int r;

	r = server_new(&host, &config->rpc, config->daemon.socket_group, &daemon->server, err);
	if (r < 0)
		return r;

	return daemon_open_sockets(daemon, err);
}

/* --- the whole --- */

static void daemon_on_wake(struct wake *wake, enum wake_reason reason, int64_t slept_ms)
{
	struct daemon *daemon = container_of(wake, struct daemon, wake);

	if (daemon->stopping)
		return;

	log_info("%s: trying again what had failed",
		 reason == WAKE_RESUME ? "the host woke from sleep" : "the network changed");
	agent_wake(daemon->agent, reason == WAKE_RESUME);
}

static void daemon_start_watching(struct daemon *daemon)
{
	loop_signal_start(&daemon->sigterm, &daemon->loop, SIGTERM, daemon_on_sigterm);
	loop_signal_start(&daemon->sigint, &daemon->loop, SIGINT, daemon_on_sigint);
	loop_signal_start(&daemon->sighup, &daemon->loop, SIGHUP, daemon_on_sighup);
	wake_start(&daemon->wake, &daemon->loop, daemon_on_wake);
	watchdog_start(&daemon->watchdog, &daemon->loop, daemon_is_well, daemon);
}

static void daemon_stop_watching(struct daemon *daemon)
{
	watchdog_stop(&daemon->watchdog);
	wake_stop(&daemon->wake);
	loop_signal_stop(&daemon->sighup);
	loop_signal_stop(&daemon->sigint);
	loop_signal_stop(&daemon->sigterm);
}

static int daemon_open(struct daemon *daemon, struct error *err)
{
	int r;

	r = state_dir_open(&daemon->state, daemon->config->daemon.state_dir, err);
	if (r < 0)
		return r;

	r = http_new(&daemon->loop, &daemon->http, err);
	if (r < 0)
		return r;

	r = reaper_new(&daemon->loop, &daemon->reaper);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot watch over child processes: %m");

	r = agent_new(&daemon->loop, daemon->http, daemon->state.fd, &daemon_events, daemon,
		      &daemon->agent, err);
	if (r < 0)
		return r;

	if (!daemon->once) {
		r = daemon_open_store(daemon, err);
		if (r < 0)
			return r;

		r = agent_keep_plugins(daemon->agent, daemon->reaper, err);
		if (r == 0)
			r = daemon_open_server(daemon, err);
		if (r < 0)
			return r;
	}

	r = agent_apply(daemon->agent, &daemon->config->agent, NULL, err);
	if (r == 0 && !daemon->once)
		agent_resume(daemon->agent);
	agent_settings_drop_workspaces(&daemon->config->agent);
	(void)malloc_trim(0);
	return r;
}

static void daemon_close(struct daemon *daemon)
{
	struct server *server = TAKE(daemon->server);

	timer_stop(&daemon->ready);
	timer_stop(&daemon->trim);
	timer_stop(&daemon->last);
	server_free(server);
	agent_free(daemon->agent);
	store_free(daemon->store);
	loop_work_cancel(&daemon->tell);
	reaper_free(daemon->reaper);
	http_free(daemon->http);
	loop_fini(&daemon->loop);
	state_dir_close(&daemon->state);
	config_free(daemon->config);
}

static void daemon_serve(struct daemon *daemon)
{
	daemon_start_watching(daemon);
	if (!secret_locked())
		agent_warn(&daemon->agent->context, "memory_not_locked", "", AGENT_WARNING,
			   "tokens and secrets may be swapped to disk: raise LimitMEMLOCK");

	daemon->running = true;
	timer_start(&daemon->trim, agent_starts_ms(daemon->agent) + TRIM_AFTER_MS);
	log_info("molecule-agentd %s is ready; workspaces: %zu", MOLECULE_VERSION,
		 daemon->agent->n_workspaces);
	daemon_say_ready(daemon);
	loop_run(&daemon->loop);
	daemon->running = false;
	daemon_stop_watching(daemon);
}

int daemon_run(const struct config_paths *paths, struct config *config, bool once)
{
	struct daemon daemon = {
		.paths = paths,
		.config = config,
		.once = once,
		.state = STATE_DIR_CLOSED,
		.started_wall_ms = wall_now_ms(),
	};
	struct error err = { 0 };

	/*
	 * Not sooner, and not for why we do not start: of a line on standard error
	 * the journal knows the unit even if we are gone when it comes to look.
	 */
	if (journal_is_ours())
		log_set_sink(journal_sink);

	log_set_level((int)config->daemon.log_level);
	if (loop_init(&daemon.loop) < 0) {
		log_error("cannot start the event loop: %m");
		config_free(config);
		return DAEMON_FAILED;
	}
	loop_work_init(&daemon.tell, daemon_on_tell);
	timer_init(&daemon.ready, &daemon.loop, daemon_on_ready);
	timer_init(&daemon.trim, &daemon.loop, daemon_on_trim);
	timer_init(&daemon.last, &daemon.loop, daemon_on_last);

	if (daemon_open(&daemon, &err) < 0) {
		log_set_sink(NULL);
		log_error("%s", err.text);
		daemon.exit_status = err.kind == ERROR_CONFIG ? DAEMON_CONFIG : DAEMON_FAILED;
	} else if (once) {
		daemon.exit_status = once_run(daemon.agent);
	} else {
		daemon_serve(&daemon);
	}
	daemon_close(&daemon);
	return daemon.exit_status;
}
