/* Packets from a capture file, with the times at which they are to be sent again.
 *
 * Sends the bytes as they were saved: no stamp, no new checksum. Ethernet files only. Reads through
 * libpcap (pcap and pcapng). Thread owner: the sending thread.
 */
#ifndef WEIR_ENGINE_GEN_REPLAY_H
#define WEIR_ENGINE_GEN_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"

struct replay;

/* Errors: what libpcap says of the file; -EINVAL for another link type than Ethernet. */
int replay_open(const char *path, struct replay **replay, struct error *error);

struct replay_packet {
	const uint8_t *data;   /* until the next replay_next */
	uint32_t length;       /* bytes that are there */
	bool cut;              /* the packet was longer when it was captured */
	uint64_t after_ns;     /* since the file's first packet; packets out of order are sent at once */
};

/* 1: a packet; 0: the end; -EIO with error filled: the file is broken. */
int replay_next(struct replay *replay, struct replay_packet *packet, struct error *error);

void replay_close(struct replay *replay);

#endif
