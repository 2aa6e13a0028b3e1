#include "tools/commands.h"

const struct command commands[] = {
	{ 0 },
};

const unsigned command_count = sizeof commands / sizeof commands[0] - 1;
