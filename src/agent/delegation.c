/* SPDX-License-Identifier: MIT */
/*
 * Delegations in memory.
 */

#include "agent/delegation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Whether there is a copy of what there is. */
static bool copy_text(char **dst, const char *src)
{
	*dst = src ? strdup(src) : NULL;
	return *dst || !src;
}

int delegation_copy(struct delegation *dst, const struct delegation *src)
{
	bool whole = true;

	*dst = *src;
	whole &= copy_text(&dst->workspace, src->workspace);
	whole &= copy_text(&dst->key, src->key);
	whole &= copy_text(&dst->platform_id, src->platform_id);
	whole &= copy_text(&dst->preview, src->preview);
	whole &= copy_text(&dst->error, src->error);
	if (whole)
		return 0;

	delegation_fini(dst);
	return -ENOMEM;
}

void delegation_fini(struct delegation *delegation)
{
	free(delegation->workspace);
	free(delegation->key);
	free(delegation->platform_id);
	free(delegation->preview);
	free(delegation->error);
	*delegation = (struct delegation){ .status = DELEGATE_PENDING };
}

void delegations_fini(struct delegations *delegations)
{
	for (size_t i = 0; i < delegations->n; i++)
		delegation_fini(&delegations->rows[i]);
	free(delegations->rows);
	*delegations = (struct delegations){ NULL };
}
