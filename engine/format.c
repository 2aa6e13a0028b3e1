#include "engine/format.h"

/* Without a closing NUL on purpose: only pairs are read. */
const char format_pairs[200] =
	"0001020304050607080910111213141516171819"
	"2021222324252627282930313233343536373839"
	"4041424344454647484950515253545556575859"
	"6061626364656667686970717273747576777879"
	"8081828384858687888990919293949596979899";

const char format_hex_pairs[512] =
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
	"404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
	"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
	"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
	"a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
	"c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
	"e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

#define OCTET1(n) { #n, 1 }
#define OCTET2(n) { #n, 2 }
#define OCTET3(n) { #n, 3 }
#define TEN2(t) OCTET2(t##0), OCTET2(t##1), OCTET2(t##2), OCTET2(t##3), OCTET2(t##4), \
	OCTET2(t##5), OCTET2(t##6), OCTET2(t##7), OCTET2(t##8), OCTET2(t##9)
#define TEN3(t) OCTET3(t##0), OCTET3(t##1), OCTET3(t##2), OCTET3(t##3), OCTET3(t##4), \
	OCTET3(t##5), OCTET3(t##6), OCTET3(t##7), OCTET3(t##8), OCTET3(t##9)
#define HUNDRED(h) TEN3(h##0), TEN3(h##1), TEN3(h##2), TEN3(h##3), TEN3(h##4), \
	TEN3(h##5), TEN3(h##6), TEN3(h##7), TEN3(h##8), TEN3(h##9)

const struct format_octet format_octets[256] = {
	OCTET1(0), OCTET1(1), OCTET1(2), OCTET1(3), OCTET1(4),
	OCTET1(5), OCTET1(6), OCTET1(7), OCTET1(8), OCTET1(9),
	TEN2(1), TEN2(2), TEN2(3), TEN2(4), TEN2(5), TEN2(6), TEN2(7), TEN2(8), TEN2(9),
	HUNDRED(1), TEN3(20), TEN3(21), TEN3(22), TEN3(23), TEN3(24),
	OCTET3(250), OCTET3(251), OCTET3(252), OCTET3(253), OCTET3(254), OCTET3(255),
};

static unsigned digits_of(uint32_t value)
{
	unsigned digits = 1;

	for (; value >= 1000; value /= 1000)
		digits += 3;
	return digits + (value >= 10) + (value >= 100);
}

char *format_u32_long(char *p, uint32_t value)
{
	char *end = p + digits_of(value);
	char *at = end;

	for (; value >= 100; value /= 100) {
		at -= 2;
		memcpy(at, format_pairs + 2 * (value % 100), 2);
	}
	if (value >= 10)
		memcpy(at - 2, format_pairs + 2 * value, 2);
	else
		at[-1] = (char)('0' + value);
	return end;
}

char *format_u64(char *p, uint64_t value)
{
	if (value <= UINT32_MAX)
		return format_u32_long(p, (uint32_t)value);
	if (value < UINT64_C(1000000000) * 1000000000) {
		p = format_u32_long(p, (uint32_t)(value / 1000000000));
		return format_fixed(p, (uint32_t)(value % 1000000000), 9);
	}
	p = format_u64(p, value / 1000000000);
	return format_fixed(p, (uint32_t)(value % 1000000000), 9);
}

char *format_hex32(char *p, uint32_t value)
{
	int shift = 28;

	while (shift > 0 && value >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[value >> shift & 15];
	return p;
}

char *format_ipv6(char *p, const uint8_t *address)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	uint16_t groups[8];
	unsigned best = 8, best_length = 1; /* a single zero group is not shortened, RFC 5952 4.2.2 */

	if (memcmp(address, mapped, sizeof mapped) == 0)
		return format_ipv4(FORMAT_LITERAL(p, "::ffff:"), address + 12);
	for (unsigned i = 0; i < 8; i++)
		groups[i] = (uint16_t)(address[2 * i] << 8 | address[2 * i + 1]);
	for (unsigned i = 0; i < 8;) {
		unsigned from = i;

		while (i < 8 && groups[i] == 0)
			i++;
		if (i - from > best_length) {
			best = from;
			best_length = i - from;
		}
		if (i == from)
			i++;
	}
	for (unsigned i = 0; i < 8; i++) {
		if (i == best) {
			*p++ = ':';
			if (i == 0)
				*p++ = ':';
			i += best_length - 1;
			continue;
		}
		p = format_hex32(p, groups[i]);
		if (i < 7)
			*p++ = ':';
	}
	return p;
}

/* Bytes of the UTF-8 sequence at s (RFC 3629: no overlong ones, no surrogates), 0: none. */
static unsigned utf8_length(const unsigned char *s)
{
	unsigned length = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	for (unsigned i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0))
		return 0;
	if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return length;
}

char *format_json_string(char *p, size_t room, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;
	char *end = p + room;

	if (room < 2)
		return NULL;
	*p++ = '"';
	while (*s != '\0') {
		unsigned length = 1;

		if (end - p < 7) /* the longest escape and the closing quote */
			return NULL;
		if (*s == '"' || *s == '\\') {
			*p++ = '\\';
			*p++ = (char)*s;
		} else if (*s < 0x20 || *s == 0x7f) {
			p = format_hex16(FORMAT_LITERAL(p, "\\u"), *s);
		} else if (*s < 0x80) {
			*p++ = (char)*s;
		} else if ((length = utf8_length(s)) > 0) {
			memcpy(p, s, length);
			p += length;
		} else {
			length = 1;
			p = FORMAT_LITERAL(p, "\\ufffd");
		}
		s += length;
	}
	*p++ = '"';
	return p;
}
