/* What the fuzz targets share.
 *
 * A target is one file with LLVMFuzzerTestOneInput. Built with clang and -Dfuzz=true it is a libFuzzer
 * binary; in every other build it is linked with replay.c, which runs it over files: the seed corpus and
 * every input that ever failed (vectors/TARGET/), under whatever sanitizer that build has. A broken invariant
 * ends the program (FUZZ_CHECK), which the fuzzer takes for a crash.
 */
#ifndef WEIR_TESTS_FUZZ_H
#define WEIR_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(condition)                                                                                \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
