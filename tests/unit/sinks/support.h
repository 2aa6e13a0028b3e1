/* What the sinks' tests share: records made by hand or by the decoder, a run of one sink into a file, and the
 * file's bytes. */
#ifndef WEIR_TESTS_SINKS_SUPPORT_H
#define WEIR_TESTS_SINKS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decoders/decode.h"
#include "engine/interface.h"
#include "engine/ledger.h"
#include "engine/sink.h"

#define SUPPORT_TIME UINT64_C(1510646400123456789) /* 2017-11-14 08:00:00 UTC */

/* A table with one interface: "eth0", Ethernet, snap length 262144. */
struct interface_table *support_table(void);
void support_add(struct interface_table *table, const char *name, uint16_t link_type);

/* A record of an Ethernet packet, from the decoder; points at packet. */
struct record support_record(const uint8_t *packet, uint32_t length);

/* TCP 10.0.0.1:80 > 10.0.0.2:1234 by hand, PSH and ACK, seq 1, ack 2, window 502, without a packet. */
struct record support_tcp(uint32_t payload_length);
void support_ipv4(uint8_t address[16], unsigned a, unsigned b, unsigned c, unsigned d);

/* A new directory under /tmp, its path; removed with what is in it by support_remove. */
char *support_directory(void);
void support_remove(char *directory);

/* Path of name in directory; valid until the next eight calls. */
const char *support_path(const char *directory, const char *name);

/* The whole file, NUL behind it; the caller frees. Fails the test when it cannot be read. */
char *support_read(const char *path, size_t *length);
int support_exists(const char *path);

/* Opens spec, writes count records in one batch, finishes with a ledger of zeros and the given times. */
void support_run(const char *spec, const struct sink_options *options, const struct record *records,
		 uint32_t count);

/* The text of one record in a format (NULL: the default line) as written to a file. The caller frees. */
char *support_text(const char *format, const struct record *records, uint32_t count,
		   struct interface_table *table);

/* A ledger of one ring on interface 0. The caller calls ledger_close. */
void support_ledger(struct ledger *ledger);

#endif
