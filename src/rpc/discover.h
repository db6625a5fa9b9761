/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The local API as an OpenRPC document, made from the method table.
 */

#include "base/buffer.h"
#include "rpc/method.h"

void discover_write(struct buffer *out, const struct methods *methods, const char *version);
