/* Header of an XDI file and the state of its reader. Internal to xdi.c and xdi_header.c. */
#ifndef BL_XDI_HEADER_H
#define BL_XDI_HEADER_H

#include "text.h"
#include "xdi.h"

#define BL_XDI_COLUMNS 64
#define BL_XDI_LABEL 32

struct bl_xdi_reader {
    struct bl_xdi *xdi;
    struct bl_text text;
    struct {
        char label[BL_XDI_LABEL];
        char unit[BL_XDI_LABEL];
    } column[BL_XDI_COLUMNS];
    size_t n_columns;
    char *err;
    size_t errlen;
};

#define BL_XDI_FAIL(reader, ...) bl_fail((reader)->err, (reader)->errlen, BL_EFORMAT, __VA_ARGS__)

/* Reads the version line and the header; `row` is the first line of numbers, NULL when there is
   none. Labels come from Column.N, or from the last comment line where a file has no such field. */
int bl_xdi_read_header(struct bl_xdi_reader *reader, char **row);

#endif
