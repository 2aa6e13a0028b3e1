#include "tools/commands.h"

#include "tools/weir_capture.h"
#include "tools/weir_gen.h"
#include "tools/weir_read.h"

const struct command commands[] = {
	{ "capture", "packets from live interfaces", weir_capture },
	{ "read", "packets and records from files", weir_read },
	{ "gen", "send numbered, timed, checksummed packets", weir_gen },
};

const unsigned command_count = sizeof commands / sizeof commands[0];
