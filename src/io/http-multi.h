/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A curl multi handle on the loop: which sockets to watch, when to call, what
 * is done. It knows nothing of requests.
 */

#include <curl/curl.h>

#include "base/list.h"
#include "io/loop.h"

struct http_limits;

/* curl has let go of the easy handle; called outside of curl, from the loop or http_multi_go(). */
typedef void (*http_multi_done_fn)(CURL *easy, CURLcode code);

struct http_multi {
	CURLM *handle; /* owned */
	struct loop *loop;
	struct timer timer;  /* when curl wants to be called though no socket is ready */
	long timer_ms;       /* as curl had it last; below zero: not at all */
	bool timer_moved;    /* ... and the timer not yet */
	bool acting;         /* curl is being called, or is about to be */
	struct list sockets; /* those that curl has us watch */
	struct list node;    /* for the owner */
	/* While curl is called: there was no memory to watch their sockets. More end at a deadline.
	 */
	CURL *starved[16];
	unsigned n_starved;
	unsigned n_easy;
	http_multi_done_fn on_done;
};

struct http_multi *http_multi_new(struct loop *loop, const struct http_limits *limits,
				  http_multi_done_fn on_done);
void http_multi_free(struct http_multi *multi); /* when all easy handles are out of it */

/* 0 or -errno. Nothing happens before http_multi_go(), which has to come in the same callback. */
int http_multi_add(struct http_multi *multi, CURL *easy);
/* Lets curl begin with those that were added. Not from inside curl. */
void http_multi_go(struct http_multi *multi);
/* Never calls back: for one that is to end before curl has ended it. */
void http_multi_remove(struct http_multi *multi, CURL *easy);
