#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "status.h"

#define FILE_LIMIT (32L << 20)

int bl_text_read(const char *path, struct bl_text *text, char *err, size_t errlen)
{
    struct stat info;
    char shown[256];
    int status = BL_OK;
    size_t size;
    FILE *file = NULL;

    *text = (struct bl_text){0};
    bl_text_path(shown, sizeof shown, path);
    if (stat(path, &info) != 0)
        return bl_fail(err, errlen, BL_EIO, "%s: %s", shown, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return bl_fail(err, errlen, BL_EIO, "%s: is not a regular file", shown);
    if (info.st_size > FILE_LIMIT)
        return bl_fail(err, errlen, BL_EFORMAT, "%s: %ld MB are too large, allowed are up to %ld",
                       shown, (long)(info.st_size >> 20), FILE_LIMIT >> 20);
    size = (size_t)info.st_size;
    file = fopen(path, "rb");
    if (!file)
        return bl_fail(err, errlen, BL_EIO, "%s: %s", shown, strerror(errno));
    text->data = malloc(size + 1);
    if (!text->data) {
        status = bl_fail(err, errlen, BL_ENOMEM, "%s: out of memory", shown);
        goto done;
    }
    size = fread(text->data, 1, size, file);
    if (ferror(file)) {
        status = bl_fail(err, errlen, BL_EIO, "%s: %s", shown, strerror(errno));
        goto done;
    }
    text->data[size] = '\0';
    if (strlen(text->data) != size) {
        status = bl_fail(err, errlen, BL_EFORMAT, "%s: is not text (it holds zero bytes)", shown);
        goto done;
    }
    text->next = text->data;
    if (strncmp(text->data, "\xef\xbb\xbf", 3) == 0)
        text->next += 3; /* byte order mark that some editors put in front */

done:
    fclose(file);
    if (status != BL_OK)
        bl_text_free(text);
    return status;
}

void bl_text_free(struct bl_text *text)
{
    free(text->data);
    *text = (struct bl_text){0};
}

char *bl_text_line(struct bl_text *text)
{
    char *line = text->next;
    char *end;

    if (!line || !*line)
        return NULL;
    text->line++;
    end = line + strcspn(line, "\r\n");
    text->next = end;
    if (end[0] == '\r' && end[1] == '\n')
        text->next = end + 2;
    else if (end[0] != '\0')
        text->next = end + 1;
    *end = '\0';
    return bl_text_trim(line);
}

static int is_blank(char character)
{
    return character == ',' || isspace((unsigned char)character);
}

char *bl_text_word(char **line)
{
    char *start = *line;
    char *end;

    while (*start && is_blank(*start))
        start++;
    if (!*start)
        return NULL;
    end = start;
    while (*end && !is_blank(*end))
        end++;
    *line = *end ? end + 1 : end;
    *end = '\0';
    return start;
}

int bl_text_number(const char *word, double *number)
{
    char *end;

    *number = strtod(word, &end);
    return end != word && *end == '\0' ? BL_OK : BL_EFORMAT;
}

char *bl_text_trim(char *text)
{
    size_t length;

    while (isspace((unsigned char)*text))
        text++;
    length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

int bl_text_same(const char *a, const char *b)
{
    while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b)) {
        a++;
        b++;
    }
    return tolower((unsigned char)*a) == tolower((unsigned char)*b);
}

/* Bytes of the UTF-8 character at `text`; 0: there is none that can be shown. */
static size_t character(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    const size_t length = byte[0] < 0x80 ? 1 : byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
    static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000}; /* in so many bytes */
    unsigned long code = length == 1 ? byte[0] : byte[0] & (0x7fu >> length);

    if ((byte[0] >= 0x80 && byte[0] < 0xc0) || byte[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (byte[i] & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return code < 0x20 || (code >= 0x7f && code < 0xa0) ? 0 : length;
}

void bl_text_copy(char *to, size_t size, const char *from)
{
    while (*from) {
        const size_t valid = character(from);
        const size_t length = valid ? valid : 1;

        if (length >= size)
            break;
        if (valid)
            memcpy(to, from, length);
        else
            *to = '?';
        to += length;
        from += length;
        size -= length;
    }
    *to = '\0';
}

void bl_text_path(char *to, size_t size, const char *path)
{
    size_t length = strlen(path);

    if (length < size)
        snprintf(to, size, "%s", path);
    else
        snprintf(to, size, "...%s", path + length - (size - 4));
}
