/* Blocks in RAM in the kernel's exact TPACKET_V3 layout, and a source that walks them.
 *
 * For tests of the whole pipeline and for benches: what an afpacket worker meets, without a kernel
 * in between. The builder lays packets out as tpacket_rcv does (header, address, gap with
 * PACKET_RESERVE, alignment, tags outside the bytes); the source walks the blocks with the very
 * code of the afpacket source (block_walk.h).
 *
 * Owner threads: one thread builds; then the source is its worker's like any other. memory_refill
 * and memory_faults may be called by any thread.
 *
 * With `handshake` the blocks change hands as in a ring: the source takes a block only when its status
 * says USER, release stores KERNEL, and the block comes round again only after a refill. With
 * `poison` a released block's packets are overwritten at once, so that whoever reads a span after
 * its release is found out; the refill puts the packets back from a copy.
 *
 * It does not lose packets and has no file descriptor: a source whose next block is still held says
 * "none now".
 */
#ifndef WEIR_ENGINE_SOURCES_MEMORY_H
#define WEIR_ENGINE_SOURCES_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"
#include "engine/sources/block_walk.h"

#define MEMORY_BLOCK_MIN 4096u
#define MEMORY_POISON 0xdb

/* One packet as the kernel would hand it over. */
struct memory_packet {
	const uint8_t *data;   /* captured_len bytes; copied */
	uint32_t captured_len; /* tp_snaplen */
	uint32_t wire_len;     /* tp_len; taken as captured_len when smaller */
	uint64_t timestamp_ns; /* below 2^32 seconds */
	uint32_t status;       /* TP_STATUS_* besides the tag's: CSUMNOTREADY, GSO_TCP, TS_RAW_HARDWARE */
	bool tagged;           /* the tag that the kernel took out of the bytes */
	uint16_t vlan_tci;
	uint16_t vlan_tpid;  /* 0: the kernel does not say (TP_STATUS_VLAN_TPID_VALID off) */
	uint8_t packet_type; /* sll_pkttype: PACKET_HOST, PACKET_OUTGOING, ... */
	uint16_t protocol;   /* sll_protocol, host order */
};

struct memory_builder_options {
	uint32_t block_size; /* bytes, a multiple of 4096; 0: 256 KiB */
	uint32_t reserve;    /* PACKET_RESERVE; BLOCK_RESERVE is what afpacket asks for */
	bool cooked;         /* SOCK_DGRAM: no link header, tp_mac = tp_net */
	uint16_t hatype;     /* sll_hatype, 0: ARPHRD_ETHER (1) */
	int ifindex;         /* sll_ifindex */
	uint8_t address[8];  /* sll_addr, address_len bytes of it */
	uint8_t address_len;
};

struct memory_builder;

/* Errors: -EINVAL (block size), -ENOMEM. */
int memory_builder_create(const struct memory_builder_options *options, struct memory_builder **builder,
			  struct error *error);

/* Appends to the open block, or to a new one when it does not fit. -EMSGSIZE when no block could hold it,
 * -ENOMEM, -EINVAL for a time that the layout cannot hold. */
int memory_builder_append(struct memory_builder *builder, const struct memory_packet *packet);

/* Closes the open block; timeout: mark it as retired by the timer (TP_STATUS_BLK_TMO). Without an open
 * block, an empty one is laid out. 0 or -ENOMEM. */
int memory_builder_retire(struct memory_builder *builder, bool timeout);

uint32_t memory_builder_blocks(const struct memory_builder *builder);
uint64_t memory_builder_packets(const struct memory_builder *builder);

/* A block that was built, below memory_builder_blocks: for benches that walk it bare. Valid until the
 * builder, or the source that took it over, is closed. */
struct tpacket_block_desc *memory_builder_block(const struct memory_builder *builder, uint32_t index);

/* Frees; NULL is allowed. Not after memory_open took it over. */
void memory_builder_close(struct memory_builder *builder);

struct memory_options {
	struct block_walk_setup walk;
	uint64_t loops;     /* how often all blocks are handed out before the end; 0: until stop */
	bool handshake;     /* see above; refilled when the source comes round, unless manual_refill */
	bool manual_refill; /* only memory_refill makes a released block readable again */
	bool poison;        /* overwrite what is released */
	bool live;          /* source.live: a test of live behaviour */
};

/* Makes a source of what was built and takes the builder over (also on failure). Closes an open block.
 * Errors: -EINVAL without a block, -ENOMEM. */
int memory_open(struct memory_builder *builder, const struct memory_options *options, struct source **source,
		struct error *error);

/* (handshake) Plays the kernel: makes every released block readable again. Any thread. Returns how many. */
uint32_t memory_refill(struct source *source);

/* Breaches of the contract so far: a release of a span that was not handed out whole, or twice. Any thread.
 * */
uint64_t memory_faults(const struct source *source);

/* Spans handed out whole and not released yet. Any thread. */
uint32_t memory_held(const struct source *source);

#endif
