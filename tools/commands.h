/* The subcommands, one file each: tools/weir_NAME.c. argv[0] is the subcommand's name. Each returns
 * the exit status: 0, EXIT_FAILED or EXIT_USAGE. */
#ifndef WEIR_TOOLS_COMMANDS_H
#define WEIR_TOOLS_COMMANDS_H

struct command {
	const char *name;
	const char *summary; /* for `weir --help`, lower case, no full stop */
	int (*run)(int argc, char **argv);
};

extern const struct command commands[];
extern const unsigned command_count;

#endif
