/* SPDX-License-Identifier: MIT */
#include "helper/gunzip.h"

#include <errno.h>
#include <unistd.h>

#define GZIP_ONLY (MAX_WBITS + 16)

void gunzip_init(struct gunzip *gunzip, int fd, const struct policy_limits *limits)
{
	gunzip->stream = (z_stream){ 0 };
	gunzip->limits = limits;
	gunzip->packed = gunzip->unpacked = 0;
	gunzip->fd = fd;
	gunzip->started = gunzip->ended = false;
}

void gunzip_fini(struct gunzip *gunzip)
{
	if (gunzip->started)
		(void)inflateEnd(&gunzip->stream);
	gunzip->started = false;
}

static int start(struct gunzip *gunzip, struct refusal *refusal)
{
	if (gunzip->started)
		return 0;
	if (inflateInit2(&gunzip->stream, GZIP_ONLY) != Z_OK)
		return refuse(refusal, ERROR_INTERNAL, "no memory to unpack the archive");

	gunzip->started = true;
	return 0;
}

/* *ret_len is 0 at the end of the pipe. */
static int read_input(struct gunzip *gunzip, size_t *ret_len, struct refusal *refusal)
{
	ssize_t n;

	do
		n = read(gunzip->fd, gunzip->input, sizeof(gunzip->input));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return refuse(refusal, ERROR_INTERNAL, "cannot read the archive: %m");

	gunzip->stream.next_in = gunzip->input;
	gunzip->stream.avail_in = (uInt)n;
	gunzip->packed += (size_t)n;
	*ret_len = (size_t)n;
	return 0;
}

static int more_input(struct gunzip *gunzip, struct refusal *refusal)
{
	size_t len;
	int r;

	if (gunzip->stream.avail_in)
		return 0;

	r = read_input(gunzip, &len, refusal);
	if (r < 0)
		return r;
	if (!len && !gunzip->packed)
		return refuse(refusal, ERROR_INTEGRITY, "the archive is empty");
	if (!len)
		return refuse(refusal, ERROR_INTEGRITY,
			      "the archive is cut off: its gzip stream has no end");

	return 0;
}

static int expect_nothing_more(struct gunzip *gunzip, struct refusal *refusal)
{
	size_t len = gunzip->stream.avail_in;
	int r;

	if (!len) {
		r = read_input(gunzip, &len, refusal);
		if (r < 0)
			return r;
	}
	if (len)
		return refuse(
			refusal, ERROR_INTEGRITY,
			"there are further bytes behind the end of the archive's gzip stream");

	return 0;
}

static int check_limits(const struct gunzip *gunzip, struct refusal *refusal)
{
	const struct policy_limits *limits = gunzip->limits;

	if (gunzip->unpacked > limits->unpacked)
		return refuse(refusal, ERROR_TOO_LARGE,
			      "the archive unpacks to more than %llu bytes",
			      (unsigned long long)limits->unpacked);
	if (gunzip->unpacked > POLICY_RATIO_FLOOR &&
	    gunzip->unpacked / limits->ratio > gunzip->packed)
		return refuse(refusal, ERROR_TOO_LARGE,
			      "the archive unpacks to more than %llu times its size",
			      (unsigned long long)limits->ratio);

	return 0;
}

static int inflate_some(struct gunzip *gunzip, struct refusal *refusal)
{
	switch (inflate(&gunzip->stream, Z_NO_FLUSH)) {
	case Z_STREAM_END:
		gunzip->ended = true;
		return expect_nothing_more(gunzip, refusal);
	case Z_OK:
	case Z_BUF_ERROR: /* it wants more of either */
		return 0;
	case Z_MEM_ERROR:
		return refuse(refusal, ERROR_INTERNAL, "no memory to unpack the archive");
	default:
		if (gunzip->stream.total_out)
			return refuse(refusal, ERROR_INTEGRITY,
				      "the archive's gzip stream is damaged");
		return refuse(refusal, ERROR_INTEGRITY, "what came is not a gzip archive");
	}
}

int gunzip_fill(struct gunzip *gunzip, char *bytes, size_t size, size_t *ret_len,
		struct refusal *refusal)
{
	int r;

	r = start(gunzip, refusal);
	if (r < 0)
		return r;

	gunzip->stream.next_out = (unsigned char *)bytes;
	gunzip->stream.avail_out = (uInt)size;
	while (gunzip->stream.avail_out && !gunzip->ended) {
		r = more_input(gunzip, refusal);
		if (r < 0)
			return r;
		r = inflate_some(gunzip, refusal);
		if (r < 0)
			return r;
	}

	*ret_len = size - gunzip->stream.avail_out;
	gunzip->unpacked += *ret_len;
	return check_limits(gunzip, refusal);
}
