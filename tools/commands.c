#include "tools/commands.h"

#include "tools/weir_gen.h"

const struct command commands[] = {
	{ "gen", "send numbered, timed, checksummed packets", weir_gen },
	{ 0 },
};

const unsigned command_count = sizeof commands / sizeof commands[0] - 1;
