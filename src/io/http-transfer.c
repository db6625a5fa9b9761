/* SPDX-License-Identifier: MIT */
/*
 * One transfer of libcurl: options, callbacks, outcome. libcurl's defaults grew
 * over decades and serve a command line; what is set here is what a daemon with
 * tokens needs, each with its reason.
 */

#include "io/http-transfer.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "io/http-envelope.h"

/*
 * A connection that rested longer is not used again: servers and balancers
 * close theirs after 60 s or more, and a request that crosses with such a close
 * is lost. A heartbeat every 30 s still finds its connection.
 */
#define HTTP_CONNECTION_REST_S 50

/* A connection in constant use is replaced as well, or DNS would never be asked again. */
#define HTTP_CONNECTION_LIFE_S 600

#define HTTP_DNS_CACHE_S 60
#define HTTP_UPLOAD_BUFFER 16384 /* a TLS record; curl's own 64 KiB would stay with each handle */
#define HTTP_PROBE_S 30          /* TCP keep-alive: a request may wait minutes for its reply */

/* curl's own time-out comes after ours, and would show that ours failed. */
#define HTTP_BACKSTOP_MS 1000

static const struct {
	CURLoption option;
	long value;
} http_always[] = {
	{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
	{ CURLOPT_HTTP09_ALLOWED, 0 },
	{ CURLOPT_FOLLOWLOCATION, 0 }, /* would take the token along */
	{ CURLOPT_DISALLOW_USERNAME_IN_URL, 1 },
	{ CURLOPT_NETRC, CURL_NETRC_IGNORED },
	{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
	{ CURLOPT_SUPPRESS_CONNECT_HEADERS, 1 }, /* a proxy's are not the reply's */
	{ CURLOPT_NOSIGNAL, 1 },
	{ CURLOPT_QUICK_EXIT, 1 }, /* or ending a transfer waits for its name look-up */
	{ CURLOPT_TCP_NODELAY, 1 },
	{ CURLOPT_TCP_KEEPALIVE, 1 },
	{ CURLOPT_TCP_KEEPIDLE, HTTP_PROBE_S },
	{ CURLOPT_TCP_KEEPINTVL, HTTP_PROBE_S },
	{ CURLOPT_MAXAGE_CONN, HTTP_CONNECTION_REST_S },
	{ CURLOPT_MAXLIFETIME_CONN, HTTP_CONNECTION_LIFE_S },
	{ CURLOPT_DNS_CACHE_TIMEOUT, HTTP_DNS_CACHE_S },
	{ CURLOPT_UPLOAD_BUFFERSIZE, HTTP_UPLOAD_BUFFER },
};

static void http_setup_fini(struct http_setup *setup)
{
	free(setup->url);
	free(setup->ca_file);
	free(setup->proxy);
	*setup = (struct http_setup){ 0 };
}

/* To curl: whether a body goes along, though it be empty. */
static bool is_post(const struct http_spec *spec)
{
	return spec->body || strcmp(spec->method, "POST") == 0;
}

static bool http_setup_note(struct http_setup *setup, const struct http_spec *spec,
			    unsigned read_bytes)
{
	*setup = (struct http_setup){
		.url = strdup(spec->url),
		.ca_file = spec->ca_file ? strdup(spec->ca_file) : NULL,
		.proxy = spec->proxy ? strdup(spec->proxy) : NULL,
		.has_post = is_post(spec),
		.allow_http = spec->allow_http,
		.read_bytes = read_bytes,
		.max_idle_s = spec->max_idle_s,
	};
	/* It was found to be one of those that there are. */
	(void)snprintf(setup->method, sizeof(setup->method), "%s", spec->method);
	return setup->url && !setup->ca_file == !spec->ca_file && !setup->proxy == !spec->proxy;
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool http_transfer_suits(const struct http_transfer *transfer, const struct http_spec *spec)
{
	const struct http_setup *setup = &transfer->setup;

	return setup->url && strcmp(setup->url, spec->url) == 0 &&
	       strcmp(setup->method, spec->method) == 0 && setup->has_post == is_post(spec) &&
	       setup->allow_http == spec->allow_http && setup->max_idle_s == spec->max_idle_s &&
	       setup->read_bytes == transfer->read_bytes &&
	       is_same(setup->ca_file, spec->ca_file) && is_same(setup->proxy, spec->proxy);
}

struct http_transfer *http_transfer_new(void)
{
	struct http_transfer *transfer = calloc(1, sizeof(*transfer));

	if (!transfer)
		return NULL;

	list_init(&transfer->node);
	http_stream_init(&transfer->stream);
	transfer->easy = curl_easy_init();
	transfer->url = curl_url();
	if (!transfer->easy || !transfer->url) {
		http_transfer_free(transfer);
		return NULL;
	}
	return transfer;
}

/* What a reply takes counts as long as it is there; small ones are kept, and do not. */
void http_transfer_return_room(struct http_transfer *transfer)
{
	if (transfer->room)
		transfer->room->used -= transfer->room_taken;
	if (transfer->party)
		transfer->party->room_used -= transfer->room_taken;
	transfer->room_taken = 0;
}

void http_transfer_free(struct http_transfer *transfer)
{
	if (!transfer)
		return;

	timer_stop(&transfer->deadline);
	http_stream_fini(&transfer->stream);
	curl_easy_cleanup(transfer->easy);
	curl_url_cleanup(transfer->url);
	http_setup_fini(&transfer->setup);
	http_envelope_free(transfer->envelope);
	http_transfer_return_room(transfer);
	buffer_fini(&transfer->body);
	free(transfer);
}

void http_transfer_rest(struct http_transfer *transfer)
{
	struct buffer body;

	timer_stop(&transfer->deadline);
	http_stream_fini(&transfer->stream);
	/* They point into the envelope. The latter makes a POST of whatever it is set for. */
	(void)curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, NULL);
	if (transfer->setup.has_post)
		(void)curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, NULL);
	http_envelope_free(transfer->envelope);
	http_transfer_return_room(transfer);
	buffer_reset(&transfer->body);
	body = transfer->body;

	*transfer = (struct http_transfer){
		.easy = transfer->easy,
		.url = transfer->url,
		.setup = transfer->setup,
		.read_bytes = transfer->read_bytes,
		.body = body,
	};
	list_init(&transfer->node);
	http_stream_init(&transfer->stream);
}

void http_transfer_judge(struct http_transfer *transfer, enum http_outcome verdict, const char *why)
{
	if (transfer->verdict_why)
		return;

	transfer->verdict = verdict;
	transfer->verdict_why = why;
}

static long http_transfer_n_sent(const struct http_transfer *transfer)
{
	long n = 0;

	(void)curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &n);
	return n;
}

bool http_transfer_was_sent(const struct http_transfer *transfer)
{
	return transfer->sent ||
	       (transfer->n_before >= 0 && http_transfer_n_sent(transfer) > transfer->n_before);
}

static curl_socket_t http_on_dial(void *context, curlsocktype purpose,
				  struct curl_sockaddr *address)
{
	struct http_transfer *transfer = context;

	if (transfer->may_dial && !transfer->may_dial(&address->addr, transfer->may_dial_context)) {
		transfer->not_dialled = true;
		return CURL_SOCKET_BAD;
	}

	transfer->dialled = true;
	/* Not curl's own socket(): that one would be inherited by children. */
	return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
		      address->protocol);
}

/* The address of a connection as curl tells it. */
static bool http_read_address(const char *ip, int port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	*ret = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, ip, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		return true;
	}
	if (inet_pton(AF_INET6, ip, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		return true;
	}
	return false;
}

static bool http_may_use(const struct http_transfer *transfer, const char *ip, int port)
{
	struct sockaddr_storage address;

	if (!transfer->may_dial)
		return true;

	return http_read_address(ip, port, &address) &&
	       transfer->may_dial((struct sockaddr *)&address, transfer->may_dial_context);
}

/* The connection stands and the request is about to be sent, perhaps not for the first time. */
static int http_on_send(void *context, char *ip, char *local_ip, int port, int local_port)
{
	struct http_transfer *transfer = context;

	if (!http_may_use(transfer, ip, port)) {
		http_transfer_judge(transfer, HTTP_REFUSED, "this address may not be called");
		return CURL_PREREQFUNC_ABORT;
	}

	transfer->sent = http_transfer_was_sent(transfer);
	if (transfer->sent && !transfer->idempotent) {
		http_transfer_judge(transfer, HTTP_BROKEN,
				    "connection closed without a reply; not sent a second time");
		return CURL_PREREQFUNC_ABORT;
	}

	transfer->n_before = http_transfer_n_sent(transfer); /* CONNECT to a proxy */
	if (transfer->connecting)
		transfer->on_connected(transfer);
	return CURL_PREREQFUNC_OK;
}

static bool is_field(const char *line, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	return len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0;
}

/* Whether the field has this value and no other. */
static bool is_value(const char *line, size_t len, const char *value)
{
	const char *text = (const char *)memchr(line, ':', len) + 1;
	const char *end = line + len;

	while (text < end && isspace((unsigned char)*text))
		text++;
	while (end > text && isspace((unsigned char)end[-1]))
		end--;

	return (size_t)(end - text) == strlen(value) &&
	       strncasecmp(text, value, strlen(value)) == 0;
}

/*
 * What curl would let pass: two lengths, or a length and chunks, are how replies
 * are smuggled; and what was encoded unasked would be handed on as it is.
 */
static void http_note_field(struct http_transfer *transfer, const char *line, size_t len)
{
	bool is_length = is_field(line, len, "Content-Length");
	bool is_chunks = is_field(line, len, "Transfer-Encoding");

	if (is_length || is_chunks) {
		if (transfer->is_framed)
			http_transfer_judge(transfer, HTTP_BROKEN,
					    "reply has more than one length");
		transfer->is_framed = true;
	}

	if ((is_chunks && !is_value(line, len, "chunked")) ||
	    (is_field(line, len, "Content-Encoding") && !is_value(line, len, "identity")))
		http_transfer_judge(transfer, HTTP_BROKEN,
				    "reply is encoded, which was not asked for");
}

/* Each line of the head; the status line comes first, an empty one last. */
static void http_note_line(struct http_transfer *transfer, const char *line, size_t len)
{
	switch (transfer->head) {
	case HTTP_HEAD_NONE:
		transfer->is_interim =
			len > strlen("HTTP/1.1 ") && line[strlen("HTTP/1.1 ")] == '1';
		transfer->is_framed = false;
		transfer->head = HTTP_HEAD_FIELDS;
		break;
	case HTTP_HEAD_FIELDS:
		if (line[0] != '\r' && line[0] != '\n')
			http_note_field(transfer, line, len);
		else
			transfer->head = transfer->is_interim ? HTTP_HEAD_NONE : HTTP_HEAD_ENDED;
		break;
	case HTTP_HEAD_ENDED: /* a trailer */
		break;
	}
}

static size_t http_on_head(char *line, size_t size, size_t n, void *context)
{
	struct http_transfer *transfer = context;
	size_t len = size * n;

	if (!len)
		return 0;

	if (len > HTTP_HEADERS_MAX - transfer->head_bytes)
		http_transfer_judge(transfer, HTTP_TOO_LARGE, "reply has too many headers");
	else
		http_note_line(transfer, line, len);
	if (transfer->verdict_why)
		return CURL_WRITEFUNC_ERROR;

	transfer->head_bytes += len;
	return len;
}

bool http_transfer_take_room(struct http_transfer *transfer, size_t len)
{
	struct http_room *room = transfer->room;
	struct http_party *party = transfer->party;
	size_t left = room->max ? room->max - MIN(room->used, room->max) : SIZE_MAX;

	if (len > left) {
		http_transfer_judge(transfer, HTTP_TOO_LARGE,
				    "other replies take all the room there is");
		return false;
	}

	if (party && party->room_used > left - len) {
		http_transfer_judge(transfer, HTTP_TOO_LARGE,
				    "other replies of the same one take all the room it may have");
		return false;
	}

	room->used += len;
	if (party)
		party->room_used += len;
	transfer->room_taken += len;
	return true;
}

static size_t http_on_body(char *bytes, size_t size, size_t n, void *context)
{
	struct http_transfer *transfer = context;
	size_t len = size * n;

	if (transfer->stream.on_body && http_transfer_status(transfer) == 200)
		return http_stream_receive(transfer, bytes, len);

	if (len > transfer->max_body - buffer_len(&transfer->body)) {
		http_transfer_judge(transfer, HTTP_TOO_LARGE, "reply is too large");
		return CURL_WRITEFUNC_ERROR;
	}

	if (!http_transfer_take_room(transfer, len))
		return CURL_WRITEFUNC_ERROR;

	if (buffer_append(&transfer->body, bytes, len) < 0) {
		http_transfer_judge(transfer, HTTP_BROKEN, "no memory for the reply");
		return CURL_WRITEFUNC_ERROR;
	}
	return len;
}

static bool http_set_always(struct http_transfer *transfer)
{
	CURL *easy = transfer->easy;
	bool failed = false;

	for (size_t i = 0; i < ARRAY_LEN(http_always); i++)
		failed |= curl_easy_setopt(easy, http_always[i].option, http_always[i].value);

	failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->why);
	failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, http_on_dial);
	failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	failed |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, http_on_send);
	failed |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	failed |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_on_head);
	failed |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_on_body);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	return !failed;
}

static bool http_set_method(struct http_transfer *transfer, const struct http_spec *spec)
{
	const char *usual = is_post(spec) ? "POST" : "GET";
	CURL *easy = transfer->easy;
	bool failed = false;

	if (is_post(spec))
		failed |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
	if (strcmp(spec->method, usual) != 0)
		failed |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method);
	return !failed;
}

/* What http_setup_note() makes a note of, and nothing else. */
static bool http_set_setup(struct http_transfer *transfer, const struct http_spec *spec)
{
	CURL *easy = transfer->easy;
	bool failed = false;

	failed |= curl_easy_setopt(easy, CURLOPT_CURLU, transfer->url);
	if (transfer->read_bytes)
		failed |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)transfer->read_bytes);
	if (spec->max_idle_s)
		failed |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)spec->max_idle_s);
	if (spec->alone) {
		failed |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
		failed |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	}
	failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
				   spec->allow_http ? "http,https" : "https");

	/* Both, or the environment is asked. */
	failed |= curl_easy_setopt(easy, CURLOPT_PROXY, spec->proxy ? spec->proxy : "");
	failed |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");

	if (spec->ca_file) {
		failed |= curl_easy_setopt(easy, CURLOPT_CAINFO, spec->ca_file);
		/* Or the system's would be trusted as well. */
		failed |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	return !failed;
}

/* What is each request's own: set for each, whatever is there from another one. */
static bool http_set_spec(struct http_transfer *transfer, const struct http_spec *spec)
{
	const struct http_envelope *envelope = transfer->envelope;
	CURL *easy = transfer->easy;
	/* curl counts in int, and takes no connect timeout of 0 for one. */
	int64_t all_ms = MIN(spec->timeout_ms, (int64_t)INT_MAX - HTTP_BACKSTOP_MS);
	int64_t connect_ms =
		spec->connect_timeout_ms ? spec->connect_timeout_ms : all_ms + HTTP_BACKSTOP_MS;
	bool failed = false;

	failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(all_ms + HTTP_BACKSTOP_MS));
	failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
				   (long)MIN(MAX(connect_ms, (int64_t)1), (int64_t)INT_MAX));
	failed |= curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
				   (curl_off_t)MIN(spec->max_body, (size_t)INT64_MAX));
	if (is_post(spec)) {
		failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
					   (curl_off_t)envelope->body_len);
		failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, envelope->body);
	}
	failed |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, &envelope->headers[0]);
	return !failed;
}

static int http_parse_url(struct http_transfer *transfer, const struct http_spec *spec,
			  struct error *err)
{
	char *scheme = NULL;
	CURLUcode code;
	bool is_https;

	code = curl_url_set(transfer->url, CURLUPART_URL, spec->url, CURLU_DISALLOW_USER);
	if (code)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "cannot use the URL: %s",
				 curl_url_strerror(code));

	code = curl_url_get(transfer->url, CURLUPART_SCHEME, &scheme, 0);
	if (code)
		return error_set(err, ERROR_INVALID_PARAMS, EINVAL, "cannot use the URL: %s",
				 curl_url_strerror(code));

	is_https = strcmp(scheme, "https") == 0;
	if (!is_https && !(spec->allow_http && strcmp(scheme, "http") == 0)) {
		curl_free(scheme);
		return error_set(err, ERROR_NOT_PERMITTED, EPERM, "the URL is not one of https%s",
				 spec->allow_http ? " or http" : "");
	}

	curl_free(scheme);
	return 0;
}

/* Back to a handle that was never set up. */
static void http_take_down(struct http_transfer *transfer)
{
	if (!transfer->setup.url)
		return;

	curl_easy_reset(transfer->easy);
	/* Or the next one is taken for relative to it. */
	(void)curl_url_set(transfer->url, CURLUPART_URL, NULL, 0);
	http_setup_fini(&transfer->setup);
}

static bool http_set_up(struct http_transfer *transfer, const struct http_spec *spec)
{
	return http_set_always(transfer) && http_set_method(transfer, spec) &&
	       http_set_setup(transfer, spec) &&
	       http_setup_note(&transfer->setup, spec, transfer->read_bytes);
}

int http_transfer_prepare(struct http_transfer *transfer, const struct http_spec *spec,
			  struct error *err)
{
	bool suits = http_transfer_suits(transfer, spec);
	int r = 0;

	if (!suits) {
		http_take_down(transfer);
		r = http_parse_url(transfer, spec, err);
	}
	if (r == 0)
		r = http_envelope_new(spec, &transfer->envelope, err);
	if (r < 0)
		return r;

	transfer->idempotent =
		strcmp(spec->method, "POST") != 0 && strcmp(spec->method, "PATCH") != 0;
	transfer->takes_unframed = spec->takes_unframed;
	transfer->max_body = spec->max_body;
	if (spec->on_body) {
		http_stream_prepare(transfer, spec);
		transfer->max_body = HTTP_STREAM_ERROR_MAX;
	}
	/* One more, for a NUL behind it. */
	transfer->body.limit = MIN(transfer->max_body, SIZE_MAX - 1) + 1;
	transfer->n_before = -1;
	if (!spec->proxy) {
		transfer->may_dial = spec->may_dial;
		transfer->may_dial_context = spec->may_dial_context;
	}

	if ((!suits && !http_set_up(transfer, spec)) || !http_set_spec(transfer, spec))
		return error_set(err, ERROR_INTERNAL, ENOMEM, "cannot set up a request: %m");

	return 0;
}
