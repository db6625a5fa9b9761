/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Help, from the command table.
 */

#include "base/buffer.h"
#include "ctl/command.h"

void help_all(struct buffer *out);
void help_command(struct buffer *out, const struct command *command);
