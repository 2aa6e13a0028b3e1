/* tcp://host:port and unix:PATH: NDJSON lines, or an Arrow stream (?format=arrow), to whoever listens.
 *
 * A stream has no acknowledgements of its own, so the kernel's are taken: a chunk counts as delivered when
 * the peer's kernel has acknowledged its last byte (SIOCOUTQ is 0). When the connection breaks, lines that
 * were acknowledged whole are not sent again, and the line that was cut is sent anew on the next connection.
 * On a unix socket the queue empties when the peer has read, and what broke is known to 64 KiB. An Arrow
 * stream begins with its schema on each connection, and a batch that was not acknowledged whole is sent
 * again.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/sinks/arrow_writer.h"
#include "engine/sinks/netsink.h"

#define WAIT_MS 20
#define CONNECT_MS 5000
#define UNIX_PIECE 65536u

struct bytes {
	uint8_t *data;
	size_t length, capacity;
};

struct tcp {
	struct netsink_transport transport;
	struct url url;
	const struct row_kind *kind;
	struct sockaddr_un unix_address; /* sun_family 0: TCP */
	char name[300];
	int fd;                          /* -1: not connected */
	bool headless;                   /* this connection still wants the Arrow schema */
	bool is_arrow;
	struct arrow_column columns[ROW_COLUMNS];
	struct arrow_writer arrow;
	struct bytes head;   /* the Arrow schema, once per connection */
	struct bytes body;   /* the chunk, encoded */
	uint64_t body_number;
	size_t done;         /* of body: acknowledged, always whole rows */
	uint64_t connects;
};

static int bytes_add(void *context, const void *data, size_t size)
{
	struct bytes *bytes = context;

	if (bytes->length + size > bytes->capacity) {
		size_t capacity = (bytes->length + size) * 2;
		uint8_t *grown = realloc(bytes->data, capacity);

		if (!grown)
			return -ENOMEM;
		bytes->data = grown;
		bytes->capacity = capacity;
	}
	memcpy(bytes->data + bytes->length, data, size);
	bytes->length += size;
	return 0;
}

static void tcp_drop(struct tcp *tcp)
{
	if (tcp->fd >= 0)
		close(tcp->fd);
	tcp->fd = -1;
}

static int wait_connected(int fd, struct netsink *netsink)
{
	int error = 0;
	socklen_t size = sizeof error;

	for (unsigned waited = 0; waited < CONNECT_MS; waited += WAIT_MS) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

		if (poll(&poll_fd, 1, WAIT_MS) > 0) {
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
			return -error;
		}
		if (netsink && !netsink_service(netsink))
			return -EAGAIN;
	}
	return -ETIMEDOUT;
}

static int connect_address(struct tcp *tcp, const struct sockaddr *address, socklen_t size,
			   struct netsink *netsink)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, address, size) < 0)
		rc = errno == EINPROGRESS || errno == EAGAIN ? wait_connected(fd, netsink) : -errno;
	if (rc)
		close(fd);
	else
		tcp->fd = fd;
	return rc;
}

/* netsink: NULL when called from open. */
static int tcp_connect(struct tcp *tcp, struct netsink *netsink, struct error *error)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *list = NULL;
	char port[8];
	int rc;

	if (tcp->unix_address.sun_family) {
		rc = connect_address(tcp, (const struct sockaddr *)&tcp->unix_address,
				     sizeof tcp->unix_address, netsink);
	} else {
		snprintf(port, sizeof port, "%u", tcp->url.port);
		rc = getaddrinfo(tcp->url.host, port, &hints, &list);
		if (rc)
			return error_set(error, -EHOSTUNREACH, "cannot find %s: %s", tcp->url.host,
					 gai_strerror(rc));
		rc = -EHOSTUNREACH;
		for (struct addrinfo *at = list; at && tcp->fd < 0; at = at->ai_next)
			rc = connect_address(tcp, at->ai_addr, at->ai_addrlen, netsink);
		freeaddrinfo(list);
	}
	if (rc) {
		error_set_errno(error, rc, "cannot connect to %s", tcp->name);
		error_hint(error, "somebody has to listen there; --spool DIR keeps the records until then");
		return rc;
	}
	tcp->connects++;
	tcp->headless = tcp->is_arrow;
	return 0;
}

static uint32_t unacknowledged(const struct tcp *tcp)
{
	int left = 0;

	return ioctl(tcp->fd, SIOCOUTQ, &left) == 0 && left > 0 ? (uint32_t)left : 0;
}

/* The peer has closed, or the connection broke. */
static bool is_broken(const struct tcp *tcp)
{
	char byte;
	ssize_t n = recv(tcp->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* Sends all and waits until it is acknowledged. *sent: handed to the kernel. */
static int send_all(struct tcp *tcp, struct netsink *netsink, const uint8_t *data, size_t size, size_t *sent)
{
	*sent = 0;
	while (*sent < size || unacknowledged(tcp)) {
		struct pollfd poll_fd = { .fd = tcp->fd, .events = *sent < size ? POLLOUT : 0 };
		ssize_t n;

		if (*sent < size) {
			n = send(tcp->fd, data + *sent, size - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n > 0) {
				*sent += (size_t)n;
				continue;
			}
			if (errno != EAGAIN && errno != EINTR)
				return -errno;
		}
		if (is_broken(tcp))
			return -EPIPE;
		poll(&poll_fd, 1, *sent < size ? WAIT_MS : 1);
		if (!netsink_service(netsink))
			return -EAGAIN;
	}
	return is_broken(tcp) && unacknowledged(tcp) ? -EPIPE : 0;
}

/* Whole lines among the first size bytes behind done. */
static size_t whole_rows(const struct tcp *tcp, size_t size)
{
	const uint8_t *start = tcp->body.data + tcp->done;
	const uint8_t *end = size ? memrchr(start, '\n', size) : NULL;

	return end ? (size_t)(end + 1 - start) : 0;
}

static int encode(struct tcp *tcp, const struct chunk *chunk)
{
	const uint8_t *row = chunk->rows;
	int rc = 0;

	if (tcp->body_number == chunk->number)
		return 0;
	tcp->body.length = tcp->done = 0;
	for (uint32_t i = 0; rc == 0 && i < chunk->count; i++, row += tcp->kind->size) {
		char line[ROW_LINE];

		if (tcp->is_arrow)
			row_arrow_put(tcp->kind, &tcp->arrow.batch, row);
		else
			rc = bytes_add(&tcp->body, line, (size_t)(row_ndjson(tcp->kind, line, row) - line));
	}
	if (tcp->is_arrow)
		rc = arrow_writer_flush(&tcp->arrow);
	if (rc == 0)
		tcp->body_number = chunk->number;
	return rc;
}

static int tcp_broke(struct tcp *tcp, int rc, size_t sent, struct error *error)
{
	uint32_t lost = unacknowledged(tcp);

	if (!tcp->is_arrow && !tcp->unix_address.sun_family && sent > lost)
		tcp->done += whole_rows(tcp, sent - lost);
	tcp_drop(tcp);
	return rc == -EAGAIN ? rc : error_set_errno(error, rc, "the connection to %s broke", tcp->name);
}

static int tcp_send(struct netsink_transport *transport, struct netsink *netsink, struct chunk *chunk,
		    struct error *error)
{
	struct tcp *tcp = (struct tcp *)transport;
	size_t sent;
	int rc = encode(tcp, chunk);

	if (rc)
		return error_set_errno(error, rc, "%s", tcp->name);
	if (tcp->fd >= 0 && is_broken(tcp))
		tcp_drop(tcp);
	if (tcp->fd < 0) {
		rc = tcp_connect(tcp, netsink, error);
		if (rc)
			return rc;
	}
	if (tcp->headless) {
		rc = send_all(tcp, netsink, tcp->head.data, tcp->head.length, &sent);
		if (rc)
			return tcp_broke(tcp, rc, 0, error);
		tcp->headless = false;
	}
	while (tcp->done < tcp->body.length) {
		size_t piece = tcp->body.length - tcp->done;

		if (tcp->unix_address.sun_family && !tcp->is_arrow && piece > UNIX_PIECE)
			piece = whole_rows(tcp, UNIX_PIECE);
		rc = send_all(tcp, netsink, tcp->body.data + tcp->done, piece, &sent);
		atomic_fetch_add_explicit(&transport->bytes, sent, memory_order_relaxed);
		if (rc)
			return tcp_broke(tcp, rc, sent, error);
		tcp->done += piece;
	}
	return 0;
}

static void tcp_end(struct netsink_transport *transport, struct netsink *netsink, const struct ledger *ledger)
{
	struct tcp *tcp = (struct tcp *)transport;
	size_t sent;

	if (!tcp->is_arrow || tcp->fd < 0)
		return;
	tcp->body.length = 0;
	if (arrow_writer_end(&tcp->arrow, ledger) == 0)
		send_all(tcp, netsink, tcp->body.data, tcp->body.length, &sent);
}

static void tcp_events(struct netsink_transport *transport, struct source_counter *events, unsigned *count)
{
	source_stats_add(events, count, "connections", ((struct tcp *)transport)->connects);
}

static void tcp_close(struct netsink_transport *transport)
{
	struct tcp *tcp = (struct tcp *)transport;

	tcp_drop(tcp);
	arrow_writer_close(&tcp->arrow);
	free(tcp->head.data);
	free(tcp->body.data);
	free(tcp);
}

static int prepare_arrow(struct tcp *tcp, const struct sink_options *options)
{
	int rc;

	row_arrow_columns(tcp->kind, tcp->columns, false);
	rc = arrow_writer_open(&tcp->arrow, tcp->columns, tcp->kind->count, NETSINK_CHUNK, tcp->kind->name,
			       options, false, bytes_add, &tcp->head);
	if (rc == 0)
		rc = arrow_writer_begin(&tcp->arrow);
	tcp->arrow.context = &tcp->body;
	return rc;
}

static int tcp_start(struct tcp *tcp, const struct row_kind *kind, const struct sink_options *options,
		     struct row_sink **rows, struct error *error)
{
	static const char *const known[] = { "format", NETSINK_OPTIONS, NULL };
	const char *format = url_option(&tcp->url, "format");
	int rc = url_check_options(&tcp->url, known, error);

	tcp->kind = kind;
	tcp->fd = -1;
	tcp->transport.send = tcp_send;
	tcp->transport.end = tcp_end;
	tcp->transport.events = tcp_events;
	tcp->transport.close = tcp_close;
	if (rc == 0 && format && strcmp(format, "ndjson") != 0 && strcmp(format, "arrow") != 0)
		rc = error_set(error, -EINVAL, "no format '%s' for %s (ndjson or arrow)", format, tcp->name);
	if (rc == 0 && format && strcmp(format, "arrow") == 0) {
		tcp->is_arrow = true;
		rc = prepare_arrow(tcp, options);
		if (rc)
			error_set_errno(error, rc, "%s", tcp->name);
	}
	if (rc) {
		tcp_close(&tcp->transport);
		return rc;
	}
	tcp_connect(tcp, NULL, &tcp->transport.unreachable);
	return netsink_start(&tcp->transport, tcp->name, &tcp->url, kind, options, rows, error);
}

int tcp_rows_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		  struct row_sink **rows, struct error *error)
{
	struct tcp *tcp = calloc(1, sizeof *tcp);
	int rc = tcp ? url_parse(target, 0, &tcp->url, error) : error_set_errno(error, -ENOMEM, "tcp");

	*rows = NULL;
	if (rc == 0 && tcp->url.port == 0) {
		rc = error_set(error, -EINVAL, "tcp://%s names no port", tcp->url.host);
		error_hint(error, "tcp://host:port");
	}
	if (rc) {
		free(tcp);
		return rc;
	}
	snprintf(tcp->name, sizeof tcp->name, "tcp://%s:%u", tcp->url.host, tcp->url.port);
	return tcp_start(tcp, kind, options, rows, error);
}

int unix_rows_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		   struct row_sink **rows, struct error *error)
{
	struct tcp *tcp = calloc(1, sizeof *tcp);
	const char *query = strchr(target, '?');
	size_t length = query ? (size_t)(query - target) : strlen(target);
	char rest[2048];
	int rc;

	*rows = NULL;
	if (!tcp)
		return error_set_errno(error, -ENOMEM, "unix");
	/* A path is no URL: only what stands behind the question mark is parsed as one. */
	snprintf(rest, sizeof rest, "unix%s", query ? query : "");
	rc = url_parse(rest, 0, &tcp->url, error);
	if (rc == 0 && (length == 0 || length >= sizeof tcp->unix_address.sun_path))
		rc = error_set(error, -EINVAL, "a unix socket's path has 1 to 107 bytes");
	if (rc) {
		free(tcp);
		return rc;
	}
	tcp->unix_address.sun_family = AF_UNIX;
	memcpy(tcp->unix_address.sun_path, target, length);
	snprintf(tcp->name, sizeof tcp->name, "unix:%s", tcp->unix_address.sun_path);
	return tcp_start(tcp, kind, options, rows, error);
}
