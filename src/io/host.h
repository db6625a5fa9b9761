/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who this host is.
 */

#define HOST_ID_SIZE 33

/*
 * An id of this host that is stable across boots and tells nobody the machine
 * id (which is confidential): derived from it for this program. Random where
 * there is no machine id, as in some containers.
 */
void host_id(char dst[static HOST_ID_SIZE]);
