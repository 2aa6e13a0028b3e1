/* Numbers, addresses and names as text, without printf.
 *
 * Every function writes at p and returns the first byte behind what it wrote; nothing is ended with NUL.
 * The caller has the room: FORMAT_*_MAX bytes, which a function may use beyond what it returns.
 * No locale, no allocation, no state: any thread.
 */
#ifndef WEIR_ENGINE_FORMAT_H
#define WEIR_ENGINE_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FORMAT_U32_MAX 10
#define FORMAT_U64_MAX 20
#define FORMAT_IPV4_MAX 16
#define FORMAT_IP_MAX 48 /* of an IPv6 address 45 are used */
#define FORMAT_MAC_MAX 17

extern const char format_pairs[200];     /* "00" to "99" */
extern const char format_hex_pairs[512]; /* "00" to "ff" */

/* 1 to 3 digits and how many, for each octet. */
struct format_octet {
	char digits[3];
	uint8_t length;
};
extern const struct format_octet format_octets[256];

/* A string literal. */
#define FORMAT_LITERAL(p, literal) ((char *)memcpy(p, literal, sizeof(literal) - 1) + (sizeof(literal) - 1))

static inline char *format_string(char *p, const char *string)
{
	while (*string != '\0')
		*p++ = *string++;
	return p;
}

/* Exactly two decimal digits; value below 100. */
static inline char *format_two(char *p, unsigned value)
{
	memcpy(p, format_pairs + 2 * value, 2);
	return p + 2;
}

char *format_u32_long(char *p, uint32_t value); /* of 4 digits and more */
char *format_u64(char *p, uint64_t value);

static inline char *format_u8(char *p, uint8_t value)
{
	const struct format_octet *octet = &format_octets[value];

	memcpy(p, octet, 4); /* one store; the fourth byte is overwritten by what follows */
	return p + octet->length;
}

static inline char *format_u32(char *p, uint32_t value)
{
	if (value < 256)
		return format_u8(p, (uint8_t)value);
	return format_u32_long(p, value);
}

/* digits decimal digits with leading zeros; digits at most 9. */
static inline char *format_fixed(char *p, uint32_t value, unsigned digits)
{
	for (unsigned i = digits; i-- > 0; value /= 10)
		p[i] = (char)('0' + value % 10);
	return p + digits;
}

static inline char *format_hex8(char *p, uint8_t value)
{
	memcpy(p, format_hex_pairs + 2 * value, 2);
	return p + 2;
}

/* Four hex digits. */
static inline char *format_hex16(char *p, uint16_t value)
{
	return format_hex8(format_hex8(p, (uint8_t)(value >> 8)), (uint8_t)value);
}

/* Without leading zeros. */
char *format_hex32(char *p, uint32_t value);

/* a.b.c.d */
static inline char *format_ipv4(char *p, const uint8_t *address)
{
	p = format_u8(p, address[0]);
	*p++ = '.';
	p = format_u8(p, address[1]);
	*p++ = '.';
	p = format_u8(p, address[2]);
	*p++ = '.';
	return format_u8(p, address[3]);
}

/* RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals)
 * as ::, IPv4-mapped addresses with dots. */
char *format_ipv6(char *p, const uint8_t *address);

/* Six bytes as 00:11:22:33:44:55. */
static inline char *format_mac(char *p, const uint8_t *mac)
{
	for (unsigned i = 0; i < 6; i++) {
		p = format_hex8(p, mac[i]);
		*p++ = ':';
	}
	return p - 1;
}

/* A JSON string with its quotes: control characters escaped, what is no UTF-8 as U+FFFD. Writes at most
 * room bytes; NULL when they do not suffice. */
char *format_json_string(char *p, size_t room, const char *string);

#endif
