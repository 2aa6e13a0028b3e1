/* Included before every source file when Frama-C reads it: the compiler's built-ins by the names that
 * the analyser knows. The sources themselves are read as they are. */
#include <string.h>
#define __builtin_memcpy memcpy
#define __builtin_memset memset
#define __builtin_expect(value, expected) (value)
#define __builtin_bswap32(value)                                                               \
	((value) >> 24 | ((value) >> 8 & 0xff00u) | ((value) << 8 & 0xff0000u) | (value) << 24)
#define _Static_assert(condition, message) struct prove_static_assert
