/* A veth pair in a network namespace of the test's own, a sender, and a loop that walks a source as the
 * worker does. Needs root: backend_support_enter says whether it may run. */
#ifndef WEIR_TESTS_NET_BACKEND_SUPPORT_H
#define WEIR_TESTS_NET_BACKEND_SUPPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/interface.h"
#include "engine/source.h"

/* Leaves the host's network namespace for a new one with weir0 (captured on) and weir1 (sent on): a veth
 * pair with queues receive queues each, up, without IPv6 addresses. False, with the reason printed: not
 * permitted. */
bool backend_support_enter(unsigned queues);

/* Runs a command; fails the test when it does not exit with 0. */
void command(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A packet socket on a device that sends; send_packet fails the test on errors. */
int sender_open(const char *device);
void send_packet(int sender, const uint8_t *bytes, uint32_t length);

#define SEQUENCE_AT 50 /* bytes: where sequenced packets hold their number */

/* Sends UDP packets of length bytes (60 or more) with numbers first to first + count - 1, 32 to a system
 * call. udp_port: destination. vlan: VID of a tag in the bytes, 0: none. */
void send_sequence(int sender, uint32_t first, uint32_t count, uint32_t length, uint16_t udp_port,
		   uint16_t vlan);

struct walk {
	struct source *source;
	/* Called for each frame with a packet; may be NULL. */
	void (*frame)(void *context, const struct frame *frame);
	void *context;
	bool hold;       /* keep spans: walk_release_all gives them back */
	uint64_t frames;
	uint32_t *held;
	unsigned held_count, held_room;
};

/* Walks until count frames have come in all or timeout_ms went by. Returns walk->frames. */
uint64_t walk_until(struct walk *walk, uint64_t count, unsigned timeout_ms);
void walk_release_all(struct walk *walk);

/* stop(), then walks until the source is empty, as the engine does; then the statistics. */
void walk_drain(struct walk *walk, struct source_stats *stats);

/* The sum of the losses. */
uint64_t losses(const struct source_stats *stats);
/* A named counter of losses, outside or events; fails the test when there is none. */
uint64_t counter(const struct source_stats *stats, const char *name);

struct source_options default_options(void);

#endif
