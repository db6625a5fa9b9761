/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Memory for libcurl, wiped when it is given back. Requests with their tokens,
 * and answers with secrets in them, pass through buffers of libcurl's own, and
 * it leaves in them what was there.
 */

/* In place of curl_global_init(); 0 or -ENOMEM. */
int http_memory_init(void);
