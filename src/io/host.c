/* SPDX-License-Identifier: MIT */
/*
 * The host's identity.
 */

#include "io/host.h"

#include <systemd/sd-id128.h>

/* Ours alone: another program derives another id from the same machine. */
#define APPLICATION SD_ID128_MAKE(5d, 0e, 2c, 8f, 3b, 77, 4a, 16, 9c, 41, d2, 8e, 60, 1f, b3, 5a)

void host_id(char dst[static HOST_ID_SIZE])
{
	sd_id128_t id;

	if (sd_id128_get_machine_app_specific(APPLICATION, &id) < 0 && sd_id128_randomize(&id) < 0)
		id = APPLICATION;
	(void)sd_id128_to_string(id, dst);
}
