/* SPDX-License-Identifier: MIT */
/*
 * Whom a request trusts. The server is a child process, and one minute old.
 */
#include "io/http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/test.h"
#include "loopback.h"

#define HOUR 3600L
#define CUT "HTTP/1.1 200 OK\r\n\r\n{}" /* ends with the connection */

struct tls {
	const char *name; /* that the certificate is for */
	long from_s, until_s;
	int version; /* the highest, 0: any */
	const char *reply;
	pid_t pid;
	char url[64];
};

static void add_name(X509 *cert, const char *name)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, name);

	CHECK(ext && X509_add_ext(cert, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

/* Makes a key and a certificate that signs itself, and writes the latter to ca.pem. */
static void make_certificate(const struct tls *tls, SSL_CTX *context)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	FILE *file = fopen("ca.pem", "w");

	CHECK(key && cert && file);
	CHECK_INT(X509_set_version(cert, X509_VERSION_3), 1);
	CHECK_INT(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
	CHECK(X509_gmtime_adj(X509_getm_notBefore(cert), tls->from_s));
	CHECK(X509_gmtime_adj(X509_getm_notAfter(cert), tls->until_s));
	CHECK_INT(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
					     (const unsigned char *)"test", -1, -1, 0),
		  1);
	CHECK_INT(X509_set_issuer_name(cert, X509_get_subject_name(cert)), 1);
	CHECK_INT(X509_set_pubkey(cert, key), 1);
	add_name(cert, tls->name);
	CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
	CHECK_INT(PEM_write_X509(file, cert), 1);
	CHECK_INT(fclose(file), 0);
	CHECK_INT(SSL_CTX_use_certificate(context, cert), 1);
	CHECK_INT(SSL_CTX_use_PrivateKey(context, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* That a request came, the test sees by a file. */
static void serve_one(const struct tls *tls, SSL *ssl)
{
	char request[4096];

	if (SSL_accept(ssl) != 1)
		return;

	while (SSL_read(ssl, request, sizeof(request)) > 0) {
		(void)close(open("requests", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		CHECK(SSL_write(ssl, tls->reply, (int)strlen(tls->reply)) > 0);
		/* No close_notify. */
		if (strcmp(tls->reply, CUT) == 0)
			return;
	}
}

static _Noreturn void serve(const struct tls *tls, SSL_CTX *context, int listener)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		SSL *ssl = SSL_new(context);

		CHECK(ssl && SSL_set_fd(ssl, fd) == 1);
		serve_one(tls, ssl);
		CHECK_INT(close(fd), 0);
		SSL_free(ssl);
	}
}

static void tls_open(struct tls *tls)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(context && fd >= 0);
	make_certificate(tls, context);
	/* Old versions only work at this level. */
	SSL_CTX_set_security_level(context, 0);
	if (tls->version)
		CHECK_INT(SSL_CTX_set_max_proto_version(context, tls->version), 1);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK_INT(bind(fd, (struct sockaddr *)&address, len), 0);
	CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	CHECK_INT(listen(fd, 8), 0);
	(void)snprintf(tls->url, sizeof(tls->url), "https://127.0.0.1:%u/",
		       ntohs(address.sin_port));
	tls->pid = fork();
	CHECK(tls->pid >= 0);
	if (tls->pid == 0)
		serve(tls, context, fd);
	SSL_CTX_free(context);
	CHECK_INT(close(fd), 0);
}

static void tls_close(struct tls *tls)
{
	CHECK_INT(kill(tls->pid, SIGKILL), 0);
	CHECK_INT(waitpid(tls->pid, NULL, 0), tls->pid);
}

static struct http_spec tls_spec(const struct tls *tls)
{
	return (struct http_spec){
		.method = "GET",
		.url = tls->url,
		.bearer = "tok-3n",
		.max_body = 1000,
		.timeout_ms = 20000,
		.ca_file = "ca.pem",
	};
}

static struct tls good_tls(void)
{
	return (struct tls){
		.name = "IP:127.0.0.1", .from_s = -HOUR, .until_s = HOUR, .reply = OK_REPLY
	};
}

/* The handshake must fail, with these words, before anything of the request is sent. */
static void check_untrusted(struct tls *tls, const char *ca_file, const char *words)
{
	struct probe probe = { 0 };
	struct http_spec spec;

	tls_open(tls);
	set_up();
	spec = tls_spec(tls);
	spec.ca_file = ca_file;
	probe_start(&probe, &spec);
	finish();
	CHECK_TEXT(http_outcome_name(probe.result.outcome), "untrusted");
	CHECK(!probe.result.sent);
	if (!strstr(probe.why, words))
		test_fail(__FILE__, __LINE__, "\"%s\" has no \"%s\"", probe.why, words);
	tear_down();
	tls_close(tls);
	CHECK(access("requests", F_OK) < 0);
}

TEST(trusts_the_file_that_is_given)
{
	struct tls tls = good_tls();
	struct probe probe = { 0 };
	struct http_spec spec;

	tls_open(&tls);
	set_up();
	spec = tls_spec(&tls);
	for (int i = 0; i < 3; i++) {
		probe_start(&probe, &spec);
		finish();
		CHECK_INT(probe.result.status, 200);
		CHECK_TEXT(probe.body, "{}");
	}
	tear_down();
	tls_close(&tls);
	CHECK_INT(access("requests", F_OK), 0);
}

TEST(trusts_nobody_whom_the_system_does_not_know)
{
	struct tls tls = good_tls();

	check_untrusted(&tls, NULL, "certificate");
}

TEST(trusts_no_certificate_of_another_host)
{
	struct tls tls = good_tls();

	tls.name = "IP:127.0.0.2,DNS:localhost";
	check_untrusted(&tls, "ca.pem", "127.0.0.1");
}

TEST(trusts_no_certificate_out_of_its_time)
{
	struct tls old = good_tls(), young = good_tls();

	old.from_s = -2 * HOUR;
	old.until_s = -HOUR;
	check_untrusted(&old, "ca.pem", "expired");
	young.from_s = HOUR;
	young.until_s = 2 * HOUR;
	check_untrusted(&young, "ca.pem", "not yet valid");
}

TEST(trusts_no_old_protocol)
{
	struct tls tls = good_tls();

	tls.version = TLS1_1_VERSION;
	check_untrusted(&tls, "ca.pem", "SSL");
	tls = good_tls();
	tls.version = TLS1_VERSION;
	check_untrusted(&tls, "ca.pem", "SSL");
}

TEST(trusts_nobody_when_the_file_is_not_there)
{
	struct tls tls = good_tls();

	check_untrusted(&tls, "no-such.pem", "no-such.pem");
}

TEST(a_connection_cut_without_a_word_ends_no_reply)
{
	struct tls tls = good_tls();
	struct probe probe = { 0 };
	struct http_spec spec;

	tls.reply = CUT;
	tls_open(&tls);
	set_up();
	spec = tls_spec(&tls);
	probe_start(&probe, &spec);
	finish();
	CHECK_TEXT(http_outcome_name(probe.result.outcome), "broken");
	CHECK(probe.result.sent);
	tear_down();
	tls_close(&tls);
}
