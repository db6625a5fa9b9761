/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Between a file taken apart and the struct: which key this is, what an empty
 * value means here, which lines are one value, and the sentence when none of
 * that works.
 */

#include "config-source.h"
#include "config.h"

/* What holds when nobody says anything; for places, the paths know it. */
int config_reset(const struct config_paths *paths, const struct setting *setting, void *object,
		 struct error *err);

/* Stops at the first error, which names file and line. */
int config_apply(const struct config_paths *paths, const struct config_source *source,
		 const struct config_section *section, const struct config_section_kind *kind,
		 void *object, struct error *err);
