/* The person's half of the differential test: pcap-filter(7) texts. */
#ifndef WEIR_TESTS_UNIT_TRANSLATE_FILTERS_H
#define WEIR_TESTS_UNIT_TRANSLATE_FILTERS_H

extern const char *const filter_texts[];
extern const unsigned filter_text_count;

#endif
