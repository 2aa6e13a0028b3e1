/* A network namespace of the test's own, with veth pairs and raw senders, and a collector that plays the
 * worker. Single-threaded but for the flooder. */
#ifndef WEIR_TESTS_AFPACKET_FIXTURE_H
#define WEIR_TESTS_AFPACKET_FIXTURE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "engine/source.h"
#include "engine/sources/afpacket.h"

/* Moves the process into a new network namespace (with a user namespace when not root). Exits with 77 and a
 * reason when that is not allowed. */
void fixture_enter(void);

/* Runs a shell command; the test fails when it does. */
void fixture_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A veth pair, both ends up in this namespace, without IPv6 chatter. */
void fixture_veth(const char *left, const char *right);

/* Waits until the interface really takes packets. */
void fixture_await_up(const char *interface);

/* An unbound raw socket and sending over an interface. send fails the test when it cannot. */
int fixture_sender(void);
void fixture_send(int fd, const char *interface, const void *frame, size_t length);

/* A UDP frame of `length` bytes in all (at least 60), with a sequence number at FIXTURE_SEQUENCE_AT. */
#define FIXTURE_SEQUENCE_AT 42
#define FIXTURE_FRAME_MOST 2048
size_t fixture_udp(uint8_t *frame, size_t length, uint32_t sequence, uint16_t source_port,
		   uint16_t destination_port);

/* Frames as they were handed out, with a copy of their bytes. */
struct fixture_frame {
	struct frame frame;
	uint8_t bytes[FIXTURE_FRAME_MOST];
};

struct fixture_capture {
	struct interface_table *table;
	struct source *sources[8];
	unsigned workers;
	struct source_report report;
	struct fixture_frame *frames; /* count of them; grows */
	unsigned *worker_of;
	size_t count, capacity;
};

struct source_options fixture_options(void);

/* Opens and starts; the test fails when it cannot. */
void fixture_open(struct fixture_capture *capture, const char *interface, unsigned workers,
		  const struct source_options *options);
/* As afpacket_open, without starting. */
int fixture_try_open(struct fixture_capture *capture, const char *interface, unsigned workers,
		     const struct source_options *options, struct error *error);
void fixture_start(struct fixture_capture *capture);

/* Collects until `wanted` frames are there in all, or for timeout_ms; releases every span at once. */
void fixture_collect(struct fixture_capture *capture, size_t wanted, unsigned timeout_ms);

/* Collects `expected` frames (waiting for them as long as a busy machine needs), and then what else there is:
 * the test looks at the count. 0 when nothing is expected. */
void fixture_collect_all(struct fixture_capture *capture, size_t expected);

/* stop, collect the rest until empty or for drain_ms; then checks the ledger of each ring: handed out = seen -
 * losses. Returns the losses. */
uint64_t fixture_stop(struct fixture_capture *capture);

void fixture_close(struct fixture_capture *capture);

/* The named counter of one of the three lists; the test fails when there is none. */
uint64_t fixture_counter(struct source *source, const char *name);

/* The number that fixture_udp put into a frame. */
uint32_t fixture_sequence(const struct fixture_frame *frame);

/* Fails on a sequence number that is there twice, or that is not below sent. Returns how many there are from first
 * on. */
uint64_t fixture_check_once(const struct fixture_capture *capture, uint32_t sent, uint32_t first);

/* Skips this test when the test runs without root's own powers. */
void fixture_need_root(const char *what);

#endif
