/* Status codes of all physics functions and the helper that words an error. */
#ifndef BL_STATUS_H
#define BL_STATUS_H

#include <stddef.h>

enum bl_status {
    BL_OK = 0,
    BL_EINVAL,    /* an argument that makes no sense */
    BL_ERANGE,    /* a number outside the range of tables or hardware */
    BL_ENOMEM,    /* out of memory */
    BL_EIO,       /* a file that cannot be read */
    BL_EFORMAT,   /* a file that is not what it should be */
    BL_ENOTFOUND, /* no element, edge, sample or place of that name */
    BL_EFULL,     /* no room left on the sample holder */
    BL_EREFUSED,  /* hardware that does not follow a command */
    BL_NSTATUS
};

/* Length that always suffices for an error line. */
#define BL_ERROR_LENGTH 1024

/* A few words for a status; never NULL. */
const char *bl_status_text(int status);

/* Writes one printf-style line into err (may be NULL) and returns status. Control characters,
   which may come from a broken file, become '?': an error is always one printable line. */
int bl_fail(char *err, size_t errlen, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
