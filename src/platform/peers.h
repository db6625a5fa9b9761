/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whom a workspace may call: the list, and where one of them is.
 */

#include <stdbool.h>

#include "base/parse.h"
#include "platform/platform.h"

int peers_fetch(struct platform_call *call, struct platform *platform, const char *id,
		const char *name, const char *token, size_t max_body, struct error *err);

/* One element of the list; texts are borrowed from the reply, NULL for null. */
struct peers_row {
	char id[UUID_LEN + 1];
	const char *name, *role, *status, *url;
	char parent_id[UUID_LEN + 1]; /* "" for none */
	int64_t tier, active_tasks;
	struct json_object *card; /* or NULL */
};

/* How many elements there are; -1 when the reply is no list. */
int peers_count(const struct platform_reply *reply);
/* false for an element that names no workspace: it is left out. */
bool peers_row(const struct platform_reply *reply, int index, struct peers_row *ret);

int peers_discover(struct platform_call *call, struct platform *platform, const char *caller,
		   const char *token, const char *peer, struct error *err);
/* The URL in a discovery's reply; NULL when there is none. Borrowed. */
const char *peers_discovered_url(const struct platform_reply *reply);
