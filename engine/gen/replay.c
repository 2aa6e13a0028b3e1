#include "engine/gen/replay.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

struct replay {
	pcap_t *pcap;
	bool started;
	uint64_t first_ns;
};

int replay_open(const char *path, struct replay **result, struct error *error)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	struct replay *replay = calloc(1, sizeof *replay);

	if (replay == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open %s", path);
	replay->pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
	if (replay->pcap == NULL) {
		free(replay);
		return error_set(error, -EIO, "cannot replay: %s", text);
	}
	if (pcap_datalink(replay->pcap) != DLT_EN10MB) {
		error_set(error, -EINVAL, "%s holds no Ethernet frames", path);
		error_hint(error, "its link type is %d", pcap_datalink(replay->pcap));
		replay_close(replay);
		return -EINVAL;
	}
	*result = replay;
	return 0;
}

int replay_next(struct replay *replay, struct replay_packet *packet, struct error *error)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	uint64_t at;
	int status = pcap_next_ex(replay->pcap, &header, &data);

	if (status == PCAP_ERROR_BREAK)
		return 0;
	if (status != 1)
		return error_set(error, -EIO, "the file is broken: %s", pcap_geterr(replay->pcap));
	at = (uint64_t)header->ts.tv_sec * 1000000000u + (uint64_t)header->ts.tv_usec; /* in ns: we asked */
	if (!replay->started)
		replay->first_ns = at;
	replay->started = true;
	packet->data = data;
	packet->length = header->caplen;
	packet->cut = header->caplen < header->len;
	packet->after_ns = at > replay->first_ns ? at - replay->first_ns : 0;
	return 1;
}

void replay_close(struct replay *replay)
{
	if (replay == NULL)
		return;
	if (replay->pcap != NULL)
		pcap_close(replay->pcap);
	free(replay);
}
