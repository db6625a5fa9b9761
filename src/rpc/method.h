/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The methods of the local API. One file a noun holds the functions and the
 * table that says what they are.
 */

#include "rpc/schema.h"

extern const struct method methods_a2a[], methods_daemon[], methods_delegation[], methods_events[],
	methods_peers[], methods_plugins[], methods_rpc[], methods_secrets[], methods_token[],
	methods_workspace[];

/* All of them. */
void method_init_schema(struct schema *schema);
