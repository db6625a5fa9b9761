/* SPDX-License-Identifier: MIT */
#include "helper/refusal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int(refuse)(struct refusal *refusal, enum error_kind kind, const char *format, ...)
{
	int errnum = errno;
	va_list args;

	refusal->err = (struct error){ .kind = kind, .errnum = EBADMSG };
	refusal->entry[0] = '\0';
	errno = errnum;
	va_start(args, format);
	(void)vsnprintf(refusal->err.text, sizeof(refusal->err.text), format, args);
	va_end(args);
	return -EBADMSG;
}

int(refusal_name)(struct refusal *refusal, const char *name, size_t len)
{
	if (refusal->entry[0])
		return -EBADMSG;

	(void)error_quote(refusal->entry, sizeof(refusal->entry), name, len);
	if (refusal->entry[0])
		error_prefix(&refusal->err, "%s", refusal->entry);
	return -EBADMSG;
}
