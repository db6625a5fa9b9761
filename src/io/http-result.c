/* SPDX-License-Identifier: MIT */
/*
 * What a transfer has come to, which curl knows but half of.
 */

#include <string.h>

#include "io/http-transfer.h"

int http_transfer_status(const struct http_transfer *transfer)
{
	long status = 0;

	(void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

static enum http_outcome http_outcome_of(CURLcode code, bool sent)
{
	switch (code) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return HTTP_UNRESOLVED;
	case CURLE_COULDNT_CONNECT:
	case CURLE_PROXY:
		return HTTP_UNREACHABLE;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_CLIENTCERT:
	case CURLE_SSL_ENGINE_NOTFOUND:
	case CURLE_SSL_ENGINE_SETFAILED:
	case CURLE_SSL_ENGINE_INITFAILED:
	case CURLE_USE_SSL_FAILED:
		return HTTP_UNTRUSTED;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_TIMED_OUT;
	case CURLE_FILESIZE_EXCEEDED:
		return HTTP_TOO_LARGE;
	case CURLE_OUT_OF_MEMORY:
	case CURLE_FAILED_INIT:
	case CURLE_URL_MALFORMAT:
	case CURLE_NOT_BUILT_IN:
	case CURLE_BAD_FUNCTION_ARGUMENT:
	case CURLE_UNSUPPORTED_PROTOCOL: /* a reply in HTTP/0.9 is that, too */
		return sent ? HTTP_BROKEN : HTTP_REFUSED;
	default:
		return HTTP_BROKEN;
	}
}

/* To curl this is a success. */
static void http_transfer_judge_success(struct http_transfer *transfer)
{
	int status = http_transfer_status(transfer);

	if (transfer->head != HTTP_HEAD_ENDED) {
		http_transfer_judge(transfer, HTTP_BROKEN, "connection closed amid the headers");
		return;
	}

	/*
	 * It ended where its connection did, which may be anywhere: curl takes a
	 * TLS connection that was cut for one that was closed. An error is one
	 * whatever its body says; a success is only what we have all of.
	 */
	if (!transfer->is_framed && status / 100 == 2 && status != 204 && !transfer->takes_unframed)
		http_transfer_judge(transfer, HTTP_BROKEN, "reply does not say where it ends");

	if (buffer_append_char(&transfer->body, '\0') < 0)
		http_transfer_judge(transfer, HTTP_BROKEN, "no memory for the reply");
}

/* Gives the verdict, if nobody did yet, where curl's code is not the whole truth. */
static void http_transfer_judge_end(struct http_transfer *transfer)
{
	if (transfer->code == CURLE_OK)
		http_transfer_judge_success(transfer);
	/* A header over curl's own limit of 100 KB is "out of memory" to it. */
	else if (transfer->code == CURLE_OUT_OF_MEMORY && transfer->head != HTTP_HEAD_ENDED &&
		 http_transfer_was_sent(transfer))
		http_transfer_judge(transfer, HTTP_TOO_LARGE, "no room for the reply's headers");
	else if (transfer->code == CURLE_COULDNT_CONNECT && transfer->not_dialled &&
		 !transfer->dialled)
		http_transfer_judge(transfer, HTTP_REFUSED, "this address may not be called");
}

static const char *http_field(const struct http_transfer *transfer, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(transfer->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;

	return header->value;
}

void http_transfer_head(const struct http_transfer *transfer, struct http_result *ret)
{
	curl_off_t length = -1;

	(void)curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	*ret = (struct http_result){
		.outcome = HTTP_ANSWERED,
		.sent = true,
		.status = http_transfer_status(transfer),
		.body = "",
		.content_type = http_field(transfer, "Content-Type"),
		.retry_after = http_field(transfer, "Retry-After"),
		.length = length,
		.transfer = transfer,
	};
	if (!ret->content_type)
		ret->content_type = "";
}

/* One that was to be sent a second time was on one that had died. */
static bool http_transfer_was_reused(const struct http_transfer *transfer, bool sent)
{
	long n_dialled = 0;

	(void)curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &n_dialled);
	return sent && (transfer->sent || n_dialled == 0);
}

void http_transfer_result(struct http_transfer *transfer, char why[static CURL_ERROR_SIZE],
			  struct http_result *result)
{
	const char *words = transfer->why[0] ? transfer->why : curl_easy_strerror(transfer->code);
	bool sent = http_transfer_was_sent(transfer);

	http_transfer_judge_end(transfer);
	*result = (struct http_result){
		.body = "",
		.content_type = "",
		.length = -1,
		.sent = sent,
		.reused = http_transfer_was_reused(transfer, sent),
		.outcome = http_outcome_of(transfer->code, sent),
	};
	if (transfer->verdict_why) {
		result->outcome = transfer->verdict;
		words = transfer->verdict_why;
	}

	if (result->outcome != HTTP_ANSWERED) {
		result->why = error_quote(why, CURL_ERROR_SIZE, words, strlen(words));
		return;
	}

	http_transfer_head(transfer, result);
	result->sent = sent;
	result->unframed = !transfer->is_framed && result->status != 204;
	result->body = buffer_at(&transfer->body);
	result->body_len = buffer_len(&transfer->body) - 1;
}

const char *http_result_header(const struct http_result *result, const char *name)
{
	return result->transfer ? http_field(result->transfer, name) : NULL;
}
