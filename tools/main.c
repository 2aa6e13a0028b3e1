#include <stdio.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/commands.h"

static void print_help(FILE *out)
{
	fputs("usage: weir COMMAND [OPTION]... (weir COMMAND --help for more)\n\n", out);
	for (unsigned i = 0; i < command_count; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("weir " WEIR_VERSION);
		return 0;
	}
	for (unsigned i = 0; i < command_count; i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	return cli_usage("no command '%s' (weir --help lists them)", argv[1]);
}
