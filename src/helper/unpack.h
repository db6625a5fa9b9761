/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The keeper: hashes what comes in, hands it to the reader, makes what the
 * reader tells beneath the staging directory, and says how it went. The reader
 * is a child; the keeper takes its word for nothing that matters: names, limits
 * and digests are checked here.
 */

#include <stdbool.h>

#include "helper/policy.h"
#include "helper/say.h"

struct unpack_request {
	const char *name;   /* of the plugin; borrowed */
	const char *sha256; /* of the tarball, or NULL: whatever it is */
	struct policy_limits limits;
	bool manifest_required; /* plugin.yaml must be there */
	int input;
	int staging; /* an empty directory */
};

/* 0: done, and said so; -EBADMSG: staging is empty again, and why is in the refusal. */
int unpack(const struct unpack_request *request, struct say *say, struct refusal *refusal);
