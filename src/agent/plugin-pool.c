/* SPDX-License-Identifier: MIT */
/*
 * Turns, and the broom.
 */

#include "agent/plugin-pool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/plugin-place.h"
#include "base/log.h"

#define SWEEP_TIMEOUT_MS (10 * 60 * 1000) /* a disk may be slow; installs wait for it */
#define BROOM_TIMEOUT_MS (10 * 60 * 1000)
#define STATE_PATH_MAX 4096

/* A directory that is to go. */
struct rubbish {
	struct list node;
	int dirfd;  /* owned */
	bool again; /* it was emptied, and was not empty afterwards */
	char path[];
};

static void rubbish_free(struct rubbish *rubbish)
{
	list_remove(&rubbish->node);
	(void)close(rubbish->dirfd);
	free(rubbish);
}

/* --- turns --- */

static void pool_on_next(struct loop_work *work)
{
	struct plugin_pool *pool = container_of(work, struct plugin_pool, next);
	struct plugin_turn *turn;

	if (pool->stopping || plugin_helper_is_running(&pool->sweep) ||
	    pool->n_running >= PLUGIN_POOL_RUNNING || list_empty(&pool->waiting))
		return;

	turn = list_entry(list_pop(&pool->waiting), struct plugin_turn, node);
	pool->n_running++;
	turn->taken = true;
	loop_defer(pool->loop, &pool->next);
	turn->fn(turn);
}

void plugin_turn_init(struct plugin_turn *turn, plugin_turn_fn fn)
{
	*turn = (struct plugin_turn){ .fn = fn };
	list_init(&turn->node);
}

int plugin_pool_admit(struct plugin_pool *pool, struct error *err)
{
	if (pool->stopping)
		return error_set(err, ERROR_CANCELLED, ESHUTDOWN, "the daemon is stopping");

	if (pool->n_tasks >= PLUGIN_POOL_TASKS)
		return error_set(err, ERROR_OVERLOADED, EBUSY,
				 "%d operations on plugins wait already: try again later",
				 PLUGIN_POOL_TASKS);

	pool->n_tasks++;
	return 0;
}

void plugin_pool_dismiss(struct plugin_pool *pool)
{
	pool->n_tasks--;
	loop_defer(pool->loop, &pool->idle);
}

void plugin_pool_ask(struct plugin_pool *pool, struct plugin_turn *turn)
{
	list_append(&pool->waiting, &turn->node);
	loop_defer(pool->loop, &pool->next);
}

void plugin_pool_leave(struct plugin_pool *pool, struct plugin_turn *turn)
{
	if (turn->taken)
		pool->n_running--;
	else if (list_empty(&turn->node))
		return;

	turn->taken = false;
	list_remove(&turn->node);
	loop_defer(pool->loop, &pool->next);
}

/* --- the broom --- */

static void pool_brush(struct plugin_pool *pool);

static void rubbish_begin(struct plugin_pool *pool, struct rubbish *rubbish, struct error *err)
{
	static const char *const args[] = { "remove", NULL };
	struct plugin_helper_ask ask = {
		.what = "remove what is no longer needed of a plugin",
		.args = args,
		.timeout_ms = BROOM_TIMEOUT_MS,
	};
	AUTO(fd_close) int fd = -1;

	fd = openat(rubbish->dirfd, rubbish->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		(void)error_set(err, ERROR_INTERNAL, errno, "cannot open %s: %m", rubbish->path);
		return;
	}

	ask.dirfd = fd;
	(void)plugin_helper_start(&pool->broom, pool->reaper, &ask, err);
}

static void pool_next_rubbish(struct plugin_pool *pool, const struct error *err)
{
	struct rubbish *rubbish = list_entry(pool->rubbish.next, struct rubbish, node);

	if (err) {
		log_warning("%s; the next start tries again", err->text);
	} else if (plugin_place_prune(rubbish->dirfd, rubbish->path)) {
		log_debug("removed %s, which nobody needs any more", rubbish->path);
	} else if (!rubbish->again) {
		/* A helper that was killed may have been about to make one more file there. */
		rubbish->again = true;
		pool_brush(pool);
		return;
	} else {
		log_warning("%s is left for the next start to remove", rubbish->path);
	}
	rubbish_free(rubbish);
	pool->n_rubbish--;
	pool_brush(pool);
}

static void pool_brush(struct plugin_pool *pool)
{
	struct error err = { 0 };

	if (plugin_helper_is_running(&pool->broom) || plugin_helper_is_running(&pool->sweep))
		return;

	if (list_empty(&pool->rubbish)) {
		loop_defer(pool->loop, &pool->idle);
		return;
	}

	rubbish_begin(pool, list_entry(pool->rubbish.next, struct rubbish, node), &err);
	if (err.kind != ERROR_NONE)
		pool_next_rubbish(pool, err.errnum == ENOENT ? NULL : &err);
}

static void broom_on_end(struct plugin_helper *helper, struct json_object *done,
			 const struct error *err)
{
	pool_next_rubbish(container_of(helper, struct plugin_pool, broom), err);
}

static const struct plugin_helper_events broom_events = { .on_end = broom_on_end };

void plugin_pool_discard(struct plugin_pool *pool, int dirfd, const char *path)
{
	struct rubbish *rubbish = NULL;
	size_t size = strlen(path) + 1;

	if (pool->n_rubbish < PLUGIN_POOL_RUBBISH)
		rubbish = calloc(1, sizeof(*rubbish) + size);
	if (!rubbish) {
		log_warning("%s is left for the next start to remove", path);
		return;
	}

	rubbish->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	if (rubbish->dirfd < 0) {
		log_warning("%s is left for the next start to remove: %m", path);
		free(rubbish);
		return;
	}

	memcpy(rubbish->path, path, size);
	list_append(&pool->rubbish, &rubbish->node);
	pool->n_rubbish++;
	pool_brush(pool);
}

int plugin_pool_forget(struct plugin_pool *pool, int state_dirfd,
		       const struct workspace_key *workspace, struct error *err)
{
	char name[PLUGIN_TRASH_SIZE];
	AUTO(fd_close) int fd = -1;
	int r;

	r = plugin_place_forget(state_dirfd, workspace, name, &fd, err);
	if (r == 0 && name[0])
		plugin_pool_discard(pool, fd, name);
	return r;
}

static void pool_on_idle(struct loop_work *work)
{
	struct plugin_pool *pool = container_of(work, struct plugin_pool, idle);
	void (*on_idle)(void *data) = pool->on_idle;

	if (!on_idle || pool->n_tasks || !list_empty(&pool->rubbish) ||
	    plugin_helper_is_running(&pool->sweep))
		return;

	pool->on_idle = NULL;
	on_idle(pool->idle_data);
}

/* --- the sweep --- */

static void sweep_on_end(struct plugin_helper *helper, struct json_object *done,
			 const struct error *err)
{
	struct plugin_pool *pool = container_of(helper, struct plugin_pool, sweep);

	if (err)
		log_warning("%s", err->text);
	loop_defer(pool->loop, &pool->next);
	pool_brush(pool);
}

static const struct plugin_helper_events sweep_events = { .on_end = sweep_on_end };

/* Nothing to sweep where no plugin ever was. */
static void pool_sweep(struct plugin_pool *pool, int state_dirfd)
{
	static const char *const args[] = { "tidy", NULL };
	struct plugin_helper_ask ask = {
		.what = "clean up what is left of plugins",
		.args = args,
		.timeout_ms = SWEEP_TIMEOUT_MS,
	};
	struct error err = { 0 };
	AUTO(fd_close)
	int fd =
		openat(state_dirfd, PLUGIN_PLACES, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;

	ask.dirfd = fd;
	if (plugin_helper_start(&pool->sweep, pool->reaper, &ask, &err) < 0)
		log_warning("%s", err.text);
}

/* The kernel knows it without symbolic links. */
static int find_state_dir(struct plugin_pool *pool, int state_dirfd, struct error *err)
{
	char link[40], path[STATE_PATH_MAX];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", state_dirfd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return error_set(err, ERROR_INTERNAL, errno,
				 "cannot find out where the state directory is: %m");

	path[len] = '\0';
	pool->state_dir = strdup(path);
	return pool->state_dir ? 0
			       : error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for plugins");
}

int plugin_pool_new(struct loop *loop, struct reaper *reaper, int state_dirfd,
		    struct plugin_pool **ret, struct error *err)
{
	struct plugin_pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for plugins");

	pool->loop = loop;
	pool->reaper = reaper;
	list_init(&pool->waiting);
	list_init(&pool->rubbish);
	loop_work_init(&pool->next, pool_on_next);
	loop_work_init(&pool->idle, pool_on_idle);
	plugin_helper_init(&pool->sweep, &sweep_events);
	plugin_helper_init(&pool->broom, &broom_events);
	r = find_state_dir(pool, state_dirfd, err);
	if (r < 0) {
		plugin_pool_free(pool);
		return r;
	}

	pool_sweep(pool, state_dirfd);
	*ret = pool;
	return 0;
}

void plugin_pool_free(struct plugin_pool *pool)
{
	if (!pool)
		return;

	assert(list_empty(&pool->waiting) && !pool->n_running && !pool->n_tasks);
	plugin_helper_stop(&pool->sweep);
	plugin_helper_stop(&pool->broom);
	pool->on_idle = NULL;
	while (!list_empty(&pool->rubbish))
		rubbish_free(list_entry(pool->rubbish.next, struct rubbish, node));
	loop_work_cancel(&pool->next);
	loop_work_cancel(&pool->idle);
	free(pool->state_dir);
	free(pool);
}

void plugin_pool_stop(struct plugin_pool *pool, void (*on_idle)(void *data), void *data)
{
	pool->stopping = true;
	pool->on_idle = on_idle;
	pool->idle_data = data;
	loop_defer(pool->loop, &pool->idle);
}
