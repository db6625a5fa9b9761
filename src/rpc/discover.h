/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The local API as an OpenRPC document, made from the method table.
 */

#include "base/buffer.h"
#include "rpc/schema.h"

void discover_write(struct buffer *out, const struct schema *schema, const char *version);
