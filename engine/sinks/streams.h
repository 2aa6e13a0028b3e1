/* --format streams: TCP connections as they begin and the bytes that arrive in order, one line each.
 *
 *	2017/11/14 17:33:00 new stream 10.0.0.1:80->10.0.0.2:1234 started
 *	2017/11/14 17:33:00 10.0.0.1:80->10.0.0.2:1234 204
 *	2017/11/14 17:33:04 10.0.0.1:80->10.0.0.2:1234 missing 1448
 *
 * Thread owner: the writer, which sees records in order of time: one table for all workers needs no merging.
 * The time is the packet's, in local time. A connection ends with FINs both ways, RST, 120 s without a
 * packet, or a SYN with another sequence number; what is held back then is delivered behind its gaps. At most
 * 4 Mi connections (192 bytes each, then the longest idle goes) and 1 Mi held-back ranges (12 bytes each).
 * IP fragments are not put together. The ledger's events say how streams ended and what was missing.
 */
#ifndef WEIR_ENGINE_SINKS_STREAMS_H
#define WEIR_ENGINE_SINKS_STREAMS_H

#include "engine/sinks/sinks.h"

sink_opener streams_open;

#endif
