/* `weir schema`: the record's (or the flow's) columns in the words of another world. */
#ifndef WEIR_TOOLS_WEIR_SCHEMA_H
#define WEIR_TOOLS_WEIR_SCHEMA_H

int weir_schema(int argc, char **argv);

#endif
