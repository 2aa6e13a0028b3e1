#include "engine/sinks/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#define STEP_MS 20
#define CONNECT_MS 5000L
#define REQUEST_MS 300000L

struct http {
	CURL *easy;
	CURLM *multi;
	struct curl_slist *headers;
	char *reply;
	size_t reply_size;
	char text[CURL_ERROR_SIZE];
};

static size_t on_reply(char *data, size_t size, size_t count, void *context)
{
	struct http *http = context;
	size_t room = HTTP_REPLY - 1 - http->reply_size, n = size * count < room ? size * count : room;

	memcpy(http->reply + http->reply_size, data, n);
	http->reply_size += n;
	return size * count;
}

int http_open(const char *user, const char *password, struct http **http, struct error *error)
{
	struct http *made = calloc(1, sizeof *made);

	*http = NULL;
	if (!made)
		return error_set_errno(error, -ENOMEM, "HTTP");
	curl_global_init(CURL_GLOBAL_DEFAULT);
	made->easy = curl_easy_init();
	made->multi = curl_multi_init();
	/* Without this curl asks for leave before it sends a body, and waits a second for servers that never
	 * answer. */
	made->headers = curl_slist_append(NULL, "Expect:");
	if (!made->easy || !made->multi || !made->headers) {
		http_close(made);
		return error_set_errno(error, -ENOMEM, "HTTP");
	}
	curl_easy_setopt(made->easy, CURLOPT_HTTPHEADER, made->headers);
	curl_easy_setopt(made->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(made->easy, CURLOPT_NOPROXY, "*"); /* the address is the server's */
	curl_easy_setopt(made->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(made->easy, CURLOPT_TIMEOUT_MS, REQUEST_MS);
	curl_easy_setopt(made->easy, CURLOPT_WRITEFUNCTION, on_reply);
	curl_easy_setopt(made->easy, CURLOPT_WRITEDATA, made);
	curl_easy_setopt(made->easy, CURLOPT_ERRORBUFFER, made->text);
	/* On a kept connection that breaks before the answer curl sends the request again by itself, and
	 * nobody hears of it: an insert would be there twice. */
	curl_easy_setopt(made->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(made->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(made->easy, CURLOPT_UPLOAD_BUFFERSIZE, 2L * 1024 * 1024);
	if (user)
		curl_easy_setopt(made->easy, CURLOPT_USERNAME, user);
	if (password)
		curl_easy_setopt(made->easy, CURLOPT_PASSWORD, password);
	*http = made;
	return 0;
}

static int code_of(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	default:
		return -ECONNRESET;
	}
}

int http_post(struct http *http, const char *url, const void *body, size_t size, bool (*wait)(void *context),
	      void *context, char reply[HTTP_REPLY], bool *sent, struct error *error)
{
	CURLcode result = CURLE_OK;
	bool given_up = false;
	long status = 0, request_size = 0;
	int running = 1;

	http->reply = reply;
	http->reply_size = 0;
	http->text[0] = '\0';
	curl_easy_setopt(http->easy, CURLOPT_URL, url);
	curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(http->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
	curl_multi_add_handle(http->multi, http->easy);
	while (running && !given_up) {
		CURLMsg *message;
		int left;

		if (curl_multi_perform(http->multi, &running) != CURLM_OK) {
			result = CURLE_SEND_ERROR;
			break;
		}
		message = curl_multi_info_read(http->multi, &left);
		if (message && message->msg == CURLMSG_DONE)
			result = message->data.result;
		if (running)
			curl_multi_poll(http->multi, NULL, 0, STEP_MS, NULL);
		given_up = running && wait && !wait(context);
	}
	curl_multi_remove_handle(http->multi, http->easy);
	reply[http->reply_size] = '\0';
	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(http->easy, CURLINFO_REQUEST_SIZE, &request_size);
	*sent = request_size > 0;
	if (given_up)
		return -EAGAIN;
	if (result == CURLE_OK)
		return (int)status;
	return error_set(error, code_of(result), "%s",
			 http->text[0] ? http->text : curl_easy_strerror(result));
}

bool http_escape(const char *text, char *to, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t length = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (length + 4 > size)
			return false;
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
		    c == '-' || c == '.') {
			to[length++] = (char)c;
		} else {
			to[length++] = '%';
			to[length++] = hex[c >> 4];
			to[length++] = hex[c & 15];
		}
	}
	to[length] = '\0';
	return true;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	if (http->multi)
		curl_multi_cleanup(http->multi);
	if (http->easy)
		curl_easy_cleanup(http->easy);
	curl_slist_free_all(http->headers);
	free(http);
}
