/* Command line of the server. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_SAMPLES_MAX 64

struct options {
    const char *prefix;
    const char *interface;
    const char *samples; /* NULL: the installed ones */
    const char *sample[OPTIONS_SAMPLES_MAX];
    size_t n_samples;
    int port, pva_port;
    double speed;
    uint64_t seed;
    bool noise;
    bool steady_ring;
    bool exit_with_stdin;
    bool verbose;
    bool probe; /* ask a server that runs, instead of serving */
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_BAD };

/* OPTIONS_DONE: --help or --version was answered on stdout. OPTIONS_BAD: err holds one line. */
enum options_result options_parse(int argc, char *argv[], struct options *options, char *err,
                                  size_t errlen);

#endif
