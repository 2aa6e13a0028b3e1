/* Kernel constants newer than the headers of Debian 12 (linux-libc-dev 6.1).
 *
 * Each with the kernel version that brought it. A kernel without it ignores the bit or refuses the
 * option with EINVAL or ENOPROTOOPT; whoever uses one says what happens then. Nothing else belongs here.
 */
#ifndef WEIR_ENGINE_UAPI_H
#define WEIR_ENGINE_UAPI_H

#include <linux/if_packet.h>

/* ---- AF_PACKET (include/uapi/linux/if_packet.h) ---- */

/* tp_status: the frame is a TCP super-packet (GRO on the way in, TSO on the way out). 6.3. */
#ifndef TP_STATUS_GSO_TCP
#define TP_STATUS_GSO_TCP (1u << 8)
#endif

#endif
