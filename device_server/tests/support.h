/* What the tests of the physics share: tables, temporary files, the folder of measured spectra. */
#ifndef BL_TEST_SUPPORT_H
#define BL_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elements.h"
#include "status.h"

#define UNUSED __attribute__((unused))

/* |actual - expected| <= tolerance, with the numbers in the message. */
#define assert_near(actual, expected, tolerance)                                                   \
    do {                                                                                           \
        double actual_ = (actual), expected_ = (expected), tolerance_ = (tolerance);               \
        if (!(fabs(actual_ - expected_) <= tolerance_))                                            \
            fail_msg("%s is %.10g, expected %.10g +- %.3g", #actual, actual_, expected_,           \
                     tolerance_);                                                                  \
    } while (0)

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (!strstr((text), (part)))                                                               \
            fail_msg("'%s' does not say '%s'", (text), (part));                                    \
    } while (0)

UNUSED static struct bl_elements *load_tables(void)
{
    struct bl_elements *elements;
    char err[BL_ERROR_LENGTH] = "";

    if (bl_elements_load(BEAMLINE_SAMPLES "/elements.dat", &elements, err, sizeof err) != BL_OK)
        fail_msg("%s", err);
    return elements;
}

/* A folder of its own for each test program; left with remove_folder. */
UNUSED static char test_folder[64];

UNUSED static int make_folder(void **state)
{
    (void)state;
    strcpy(test_folder, "/tmp/beamline-test-XXXXXX");
    return mkdtemp(test_folder) ? 0 : -1;
}

UNUSED static int remove_folder(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", test_folder);
    return system(command);
}

/* Writes a file into the folder; the path stays valid until the next call. */
UNUSED static const char *write_file(const char *name, const char *content)
{
    static char path[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", test_folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    return path;
}

/* Folder of measured spectra, NULL where there is none. */
UNUSED static const char *reference_data(void)
{
    const char *folder = getenv("BEAMLINE_REFERENCE_DATA");
    struct stat info;

    if (!folder)
        folder = BEAMLINE_SAMPLES "/../../../shared/data";
    return stat(folder, &info) == 0 && S_ISDIR(info.st_mode) ? folder : NULL;
}

#endif
