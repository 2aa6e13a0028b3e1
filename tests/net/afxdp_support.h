/* What the AF_XDP tests share: sources opened and closed on weir0, and what their frames must look like. Include
 * behind cmocka's headers. */
#ifndef WEIR_TESTS_NET_AFXDP_SUPPORT_H
#define WEIR_TESTS_NET_AFXDP_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "backend_support.h"
#include "engine/sources/afxdp.h"

struct run {
	struct interface_table *table;
	struct source *sources[AFXDP_QUEUES_MOST];
	unsigned count;
	struct source_report report;
	struct error error;
};

struct seen {
	uint32_t next;
	uint64_t first_ns, last_ns;
	uint32_t longest;
	uint16_t tci;
	bool unordered_numbers; /* several queues, or losses */
};

/* afxdp_open, with a table of its own; close_run also after a failure. */
int try_open(struct run *run, const char *device, const struct afxdp_options *afxdp,
	     const struct source_options *options);

/* The same on weir0, started; fails the test when it cannot. */
void open_run(struct run *run, const struct afxdp_options *afxdp, const struct source_options *options);

/* Closes; afterwards no program is on weir0. */
void close_run(struct run *run);

/* Id of the XDP program on a device; 0: none. */
uint32_t attached_program(const char *device);

/* A struct walk's frame function on struct seen: numbers ascend, times too. */
void note(void *context, const struct frame *frame);

/* handed out = frames = seen - losses. */
void balanced(const struct source_stats *stats, uint64_t frames);

/* "on" or "off" of `ethtool -k`. */
void offloads(const char *device, const char *feature, char *state, size_t size);

/* An XDP program that passes everything; negative: not permitted here. */
int load_pass(void);

/* A namespace of its own with weir0 and weir1 and the right to load BPF programs. False, with the reason printed. */
bool afxdp_support_enter(void);

#endif
