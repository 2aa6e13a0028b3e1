/* Names that a person knows a number by; NULL where there is none. Static strings. */
#ifndef WEIR_ENGINE_SINKS_TEXT_NAMES_H
#define WEIR_ENGINE_SINKS_TEXT_NAMES_H

#include <stdint.h>

/* RFC 792, 950, 1122, 1256, 1812 */
const char *text_icmp_name(uint8_t type, uint8_t code);

/* RFC 4443, 2710, 4861, 3810 */
const char *text_icmpv6_name(uint8_t type, uint8_t code);

/* RFC 1112, 2236, 3376 */
const char *text_igmp_name(uint8_t type);

/* https://www.iana.org/assignments/protocol-numbers, those that are met */
const char *text_protocol_name(uint8_t protocol);

/* https://www.iana.org/assignments/ieee-802-numbers, those that are met */
const char *text_ethertype_name(uint16_t ethertype);

#endif
