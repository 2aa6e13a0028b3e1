#include "tools/commands.h"

#include "tools/weir_bench.h"
#include "tools/weir_capture.h"
#include "tools/weir_decode.h"
#include "tools/weir_digest.h"
#include "tools/weir_gen.h"
#include "tools/weir_read.h"
#include "tools/weir_schema.h"
#include "tools/weir_seal.h"
#include "tools/weir_verify.h"

const struct command commands[] = {
	{ "capture", "packets from live interfaces", weir_capture },
	{ "read", "packets and records from files", weir_read },
	{ "decode", "one packet in hex as a tree of headers and a record", weir_decode },
	{ "gen", "send numbered, timed, checksummed packets", weir_gen },
	{ "bench", "what each way of capturing costs on this machine", weir_bench },
	{ "schema", "the records' columns for NumPy, Arrow, ClickHouse, DuckDB, C", weir_schema },
	{ "digest", "print or check the digests of files", weir_digest },
	{ "seal", "encrypt and authenticate a file", weir_seal },
	{ "unseal", "open a sealed file once it has proved whole", weir_unseal },
	{ "verify", "check a capture's manifest and its files", weir_verify },
};

const unsigned command_count = sizeof commands / sizeof commands[0];
