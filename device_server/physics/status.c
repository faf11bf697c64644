#include "status.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const texts[BL_NSTATUS] = {
    [BL_OK] = "ok",
    [BL_EINVAL] = "invalid argument",
    [BL_ERANGE] = "out of range",
    [BL_ENOMEM] = "out of memory",
    [BL_EIO] = "cannot be read",
    [BL_EFORMAT] = "wrong format",
    [BL_ENOTFOUND] = "not found",
    [BL_EFULL] = "holder is full",
    [BL_EREFUSED] = "command refused",
};

const char *bl_status_text(int status)
{
    if (status < 0 || status >= BL_NSTATUS)
        return "unknown status";
    return texts[status];
}

int bl_fail(char *err, size_t errlen, int status, const char *format, ...)
{
    va_list arguments;
    char *character;

    if (!err || errlen == 0)
        return status;
    va_start(arguments, format);
    vsnprintf(err, errlen, format, arguments);
    va_end(arguments);
    for (character = err; *character; character++) {
        unsigned char byte = (unsigned char)*character;

        if (byte < 0x20 || byte == 0x7f)
            *character = '?';
    }
    return status;
}
