/* librdkafka's mock cluster on real sockets, for tests. usage: mock_broker TOPIC PARTITIONS
 * Prints its address; then obeys lines on stdin: "down", "up", "end". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

int main(int argc, char **argv)
{
	char text[512], line[64];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	rd_kafka_mock_cluster_t *cluster;

	if (!handle || argc != 3)
		return 2;
	cluster = rd_kafka_mock_cluster_new(handle, 1);
	if (!cluster || rd_kafka_mock_topic_create(cluster, argv[1], atoi(argv[2]), 1))
		return 1;
	rd_kafka_mock_topic_set_error(cluster, "missing", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	puts(rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		if (strcmp(line, "down\n") == 0)
			rd_kafka_mock_broker_set_down(cluster, 1);
		else if (strcmp(line, "up\n") == 0)
			rd_kafka_mock_broker_set_up(cluster, 1);
		else
			break;
		puts("done");
		fflush(stdout);
	}
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(handle);
	return 0;
}
