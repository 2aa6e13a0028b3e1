/* kafka://broker[:9092][,broker...]/topic: messages of up to 500 rows, as NDJSON or RowBinary
 * (?format=rowbinary, ?batch=ROWS), through librdkafka's idempotent producer.
 *
 * A row goes to partition flow_hash modulo the number of partitions, so that a flow keeps its order. A chunk
 * is delivered when each of its messages has its delivery report. librdkafka itself retries for as long as it
 * takes, without doubling; only what is given up at the end of a run in mid-flight is not known, and the
 * ledger counts it. What was reported delivered of such a chunk does not go to the spool.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "engine/sinks/netsink.h"

#define PORT 9092
#define POLL_MS 20
#define METADATA_MS 5000
#define MESSAGE_BYTES 900000u /* below the brokers' default message.max.bytes */
#define BATCH_ROWS 500u
#define PARTITIONS_MAX 65536

struct message {
	char *data;
	size_t size;
	uint32_t rows;
	int32_t number; /* in the chunk */
};

enum fate { FATE_PENDING, FATE_DELIVERED, FATE_LOST, FATE_UNKNOWN };

struct kafka {
	struct netsink_transport transport;
	struct url url;
	const struct row_kind *kind;
	char target[600];
	char topic_name[250];
	bool row_binary;
	uint32_t batch_rows;
	rd_kafka_t *producer;
	int32_t partitions;
	struct message *open;   /* of each partition: the message that is being filled */
	uint64_t chunk_number;  /* whose messages are in flight */
	int32_t *row_message;   /* NETSINK_CHUNK: which message a row of the chunk is in */
	uint8_t *fates;         /* NETSINK_CHUNK: of each message */
	int32_t messages, pending;
	uint64_t sent, failed, maybe_twice;
	char last_error[200];
};

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
	struct kafka *kafka = context;
	size_t number = (size_t)(uintptr_t)message->_private;

	kafka->pending--;
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka->fates[number] = FATE_DELIVERED;
		kafka->sent++;
		atomic_fetch_add_explicit(&kafka->transport.bytes, message->len, memory_order_relaxed);
		return;
	}
	kafka->failed++;
	kafka->fates[number] = rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED
				       ? FATE_LOST
				       : FATE_UNKNOWN;
	snprintf(kafka->last_error, sizeof kafka->last_error, "%s", rd_kafka_err2str(message->err));
}

static void on_error(rd_kafka_t *producer, int code, const char *reason, void *context)
{
	struct kafka *kafka = context;

	snprintf(kafka->last_error, sizeof kafka->last_error, "%s", reason);
}

/* librdkafka prints nothing by itself: what matters comes by on_error and the delivery reports. */
static void on_log(const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
}

static int produce(struct kafka *kafka, struct netsink *netsink, int32_t partition)
{
	struct message *message = &kafka->open[partition];
	rd_kafka_resp_err_t code;

	if (message->rows == 0)
		return 0;
	do {
		code = rd_kafka_producev(kafka->producer, RD_KAFKA_V_TOPIC(kafka->topic_name),
					 RD_KAFKA_V_PARTITION(partition),
					 RD_KAFKA_V_VALUE(message->data, message->size),
					 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
					 RD_KAFKA_V_OPAQUE((void *)(uintptr_t)message->number),
					 RD_KAFKA_V_END);
		if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			rd_kafka_poll(kafka->producer, POLL_MS);
			if (!netsink_service(netsink))
				return -EAGAIN;
		}
	} while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
	message->rows = 0;
	message->size = 0;
	if (code) {
		snprintf(kafka->last_error, sizeof kafka->last_error, "%s", rd_kafka_err2str(code));
		kafka->fates[message->number] = FATE_LOST;
		return -EIO;
	}
	kafka->pending++;
	return 0;
}

static int add_row(struct kafka *kafka, struct netsink *netsink, const void *row, uint32_t index)
{
	int32_t partition = (int32_t)(kafka->kind->flow_hash(row) % (uint32_t)kafka->partitions);
	struct message *message = &kafka->open[partition];

	if (!message->data) {
		message->data = malloc(MESSAGE_BYTES + ROW_LINE);
		if (!message->data)
			return -ENOMEM;
	}
	if (message->rows == 0) {
		message->number = kafka->messages++;
		kafka->fates[message->number] = FATE_PENDING;
	}
	if (kafka->row_binary)
		message->size =
			(size_t)((char *)row_binary(kafka->kind, (uint8_t *)message->data + message->size,
						    row, 0) -
				 message->data);
	else
		message->size =
			(size_t)(row_ndjson(kafka->kind, message->data + message->size, row) - message->data);
	kafka->row_message[index] = message->number;
	message->rows++;
	return message->rows == kafka->batch_rows || message->size > MESSAGE_BYTES
		       ? produce(kafka, netsink, partition)
		       : 0;
}

/* Leaves in the chunk what was not delivered. */
static void keep_undelivered(struct kafka *kafka, struct chunk *chunk)
{
	uint8_t *rows = chunk->rows;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < chunk->count; i++) {
		if (kafka->fates[kafka->row_message[i]] == FATE_DELIVERED)
			continue;
		memmove(rows + kept++ * kafka->kind->size, rows + i * kafka->kind->size, kafka->kind->size);
	}
	for (int32_t i = 0; i < kafka->messages; i++)
		kafka->maybe_twice += kafka->fates[i] == FATE_UNKNOWN;
	chunk->count = kept;
}

/* Takes back what is still in flight, and waits for the reports of it. */
static int abandon(struct kafka *kafka, struct chunk *chunk, struct error *error)
{
	rd_kafka_purge(kafka->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	for (unsigned i = 0; kafka->pending && i < 100; i++)
		rd_kafka_poll(kafka->producer, POLL_MS);
	for (int32_t i = 0; i < kafka->partitions; i++)
		kafka->open[i].rows = 0, kafka->open[i].size = 0;
	keep_undelivered(kafka, chunk);
	if (chunk->count == 0)
		return 0;
	error_set(error, -EIO, "%s: %s", kafka->target,
		  kafka->last_error[0] ? kafka->last_error : "no delivery report");
	return error->code;
}

static int kafka_send(struct netsink_transport *transport, struct netsink *netsink, struct chunk *chunk,
		      struct error *error)
{
	struct kafka *kafka = (struct kafka *)transport;
	const uint8_t *row = chunk->rows;
	int rc = 0;

	kafka->messages = kafka->pending = 0;
	kafka->last_error[0] = '\0';
	/* A row whose message could not even be begun counts as lost. */
	memset(kafka->row_message, 0, chunk->count * sizeof *kafka->row_message);
	kafka->fates[0] = FATE_PENDING;
	for (uint32_t i = 0; rc == 0 && i < chunk->count; i++, row += kafka->kind->size)
		rc = add_row(kafka, netsink, row, i);
	for (int32_t i = 0; rc == 0 && i < kafka->partitions; i++)
		rc = produce(kafka, netsink, i);
	if (rc)
		return chunk->count && kafka->messages ? abandon(kafka, chunk, error)
						       : error_set_errno(error, rc, "%s", kafka->target);
	while (kafka->pending) {
		rd_kafka_poll(kafka->producer, POLL_MS);
		if (!netsink_service(netsink))
			return abandon(kafka, chunk, error);
	}
	for (int32_t i = 0; i < kafka->messages; i++) {
		if (kafka->fates[i] != FATE_DELIVERED)
			return abandon(kafka, chunk, error);
	}
	return 0;
}

static void kafka_events(struct netsink_transport *transport, struct source_counter *events, unsigned *count)
{
	struct kafka *kafka = (struct kafka *)transport;

	source_stats_add(events, count, "messages_delivered", kafka->sent);
	source_stats_add(events, count, "messages_failed", kafka->failed);
	source_stats_add(events, count, "messages_maybe_twice", kafka->maybe_twice);
}

static void kafka_close(struct netsink_transport *transport)
{
	struct kafka *kafka = (struct kafka *)transport;

	if (kafka->producer) {
		rd_kafka_purge(kafka->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_flush(kafka->producer, 1000);
		rd_kafka_destroy(kafka->producer);
	}
	for (int32_t i = 0; kafka->open && i < kafka->partitions; i++)
		free(kafka->open[i].data);
	free(kafka->open);
	free(kafka->row_message);
	free(kafka->fates);
	free(kafka);
}

static int make_producer(struct kafka *kafka, struct error *error)
{
	static const char *const settings[][2] = {
		{ "enable.idempotence", "true" },
		{ "message.timeout.ms", "0" }, /* for ever: giving up is netsink's decision */
		{ "linger.ms", "5" },
		{ "reconnect.backoff.max.ms", "2000" },
		{ "queue.buffering.max.kbytes", "262144" },
		{ "client.id", "weir" },
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[200] = "";
	bool good = rd_kafka_conf_set(conf, "bootstrap.servers", kafka->url.authority, text, sizeof text) ==
		    RD_KAFKA_CONF_OK;

	for (unsigned i = 0; good && i < sizeof settings / sizeof settings[0]; i++)
		good = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) ==
		       RD_KAFKA_CONF_OK;
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_opaque(conf, kafka);
	if (good)
		kafka->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	if (kafka->producer)
		return 0;
	rd_kafka_conf_destroy(conf);
	return error_set(error, -EINVAL, "%s: %s", kafka->target, text);
}

/* How many partitions the topic has: brokers that make topics on demand do so when asked. */
static int ask_partitions(struct kafka *kafka, struct error *error)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka->producer, kafka->topic_name, NULL);
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
	int rc = 0;

	for (unsigned i = 0; topic && i < 10 && kafka->partitions == 0; i++) {
		code = rd_kafka_metadata(kafka->producer, 0, topic, &metadata, METADATA_MS);
		if (code)
			break;
		code = metadata->topics[0].err;
		kafka->partitions = code ? 0 : metadata->topics[0].partition_cnt;
		rd_kafka_metadata_destroy(metadata);
		if (kafka->partitions == 0)
			rd_kafka_poll(kafka->producer, 200);
	}
	if (topic)
		rd_kafka_topic_destroy(topic);
	if (kafka->partitions > 0 && kafka->partitions <= PARTITIONS_MAX)
		return 0;
	kafka->partitions = 0;
	rd_kafka_poll(kafka->producer, 0);
	if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	    code == RD_KAFKA_RESP_ERR_NO_ERROR) {
		rc = error_set(error, -ENOENT, "%s: there is no topic '%s'", kafka->target,
			       kafka->topic_name);
		error_hint(error, "create it, or let the brokers create topics (auto.create.topics.enable)");
	} else if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
		   code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		rc = error_set(error, -ECONNREFUSED, "%s: %s", kafka->target,
			       kafka->last_error[0] ? kafka->last_error : rd_kafka_err2str(code));
		error_hint(error, "is a broker listening there? --spool DIR keeps the records until then");
	} else {
		rc = error_set(error, -EPROTO, "%s: %s", kafka->target, rd_kafka_err2str(code));
	}
	return rc;
}

static int make_buffers(struct kafka *kafka)
{
	kafka->open = calloc((size_t)kafka->partitions, sizeof *kafka->open);
	kafka->row_message = calloc(NETSINK_CHUNK, sizeof *kafka->row_message);
	kafka->fates = calloc(NETSINK_CHUNK + 1, 1);
	return kafka->open && kafka->row_message && kafka->fates ? 0 : -ENOMEM;
}

static int parse_target(struct kafka *kafka, const char *target, struct error *error)
{
	static const char *const known[] = { "format", "batch", NETSINK_OPTIONS, NULL };
	const char *format, *batch;
	char end;
	int rc = url_parse(target, PORT, &kafka->url, error);

	if (rc == 0)
		rc = url_check_options(&kafka->url, known, error);
	if (rc)
		return rc;
	if (!*kafka->url.path || strlen(kafka->url.path) >= sizeof kafka->topic_name ||
	    strchr(kafka->url.path, '/')) {
		error_set(error, -EINVAL, "kafka://%s/%s names no topic", kafka->url.authority,
			  kafka->url.path);
		return error_hint(error, "kafka://broker:9092/topic");
	}
	snprintf(kafka->topic_name, sizeof kafka->topic_name, "%s", kafka->url.path);
	snprintf(kafka->target, sizeof kafka->target, "kafka://%.300s/%s", kafka->url.authority,
		 kafka->topic_name);
	format = url_option(&kafka->url, "format");
	if (format && strcmp(format, "ndjson") != 0 && strcmp(format, "rowbinary") != 0)
		return error_set(error, -EINVAL, "no format '%s' for kafka:// (ndjson or rowbinary)", format);
	kafka->row_binary = format && strcmp(format, "rowbinary") == 0;
	batch = url_option(&kafka->url, "batch");
	kafka->batch_rows = BATCH_ROWS;
	if (batch && (sscanf(batch, "%u%c", &kafka->batch_rows, &end) != 1 || kafka->batch_rows < 1 ||
		      kafka->batch_rows > NETSINK_CHUNK))
		return error_set(error, -EINVAL, "batch= takes 1 to %u rows", NETSINK_CHUNK);
	return 0;
}

/* Brokers that were not there in open are asked again for the partitions. */
static int kafka_first_send(struct netsink_transport *transport, struct netsink *netsink, struct chunk *chunk,
			    struct error *error)
{
	struct kafka *kafka = (struct kafka *)transport;
	int rc = ask_partitions(kafka, error);

	if (rc == 0 && make_buffers(kafka))
		rc = error_set_errno(error, -ENOMEM, "%s", kafka->target);
	if (rc)
		return rc;
	transport->send = kafka_send;
	return kafka_send(transport, netsink, chunk, error);
}

int kafka_rows_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		    struct row_sink **rows, struct error *error)
{
	struct kafka *kafka = calloc(1, sizeof *kafka);
	int rc = kafka ? parse_target(kafka, target, error) : error_set_errno(error, -ENOMEM, "kafka");

	*rows = NULL;
	if (rc) {
		free(kafka);
		return rc;
	}
	kafka->kind = kind;
	kafka->transport.send = kafka_send;
	kafka->transport.events = kafka_events;
	kafka->transport.close = kafka_close;
	rc = make_producer(kafka, error);
	if (rc == 0 && ask_partitions(kafka, &kafka->transport.unreachable) == 0 && make_buffers(kafka))
		rc = error_set_errno(error, -ENOMEM, "%s", kafka->target);
	if (rc == 0 && kafka->transport.unreachable.code &&
	    kafka->transport.unreachable.code != -ECONNREFUSED) {
		*error = kafka->transport.unreachable;
		rc = error->code;
	}
	if (rc) {
		kafka_close(&kafka->transport);
		return rc;
	}
	if (kafka->transport.unreachable.code)
		kafka->transport.send = kafka_first_send;
	return netsink_start(&kafka->transport, kafka->target, &kafka->url, kind, options, rows, error);
}
