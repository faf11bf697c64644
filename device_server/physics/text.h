/* Text files: read whole, walked line by line. Internal to the physics. */
#ifndef BL_TEXT_H
#define BL_TEXT_H

#include <stddef.h>

struct bl_text {
    char *data;  /* ends with a zero */
    char *next;  /* where the next line starts */
    size_t line; /* number of the line that bl_text_line gave last, from 1 */
};

/* Reads a file; it must be text (no zero bytes) and no larger than 32 MB. */
int bl_text_read(const char *path, struct bl_text *text, char *err, size_t errlen);
void bl_text_free(struct bl_text *text);

/* Next line without its end and without blanks around it, NULL after the last. Ends are \n, \r\n
   or \r. */
char *bl_text_line(struct bl_text *text);

/* Next blank-separated word (commas count as blanks), NULL when there is none; cuts the line. */
char *bl_text_word(char **line);

/* The whole word as a number. */
int bl_text_number(const char *word, double *number);

/* Removes blanks on both sides, in place. */
char *bl_text_trim(char *text);

int bl_text_same(const char *a, const char *b); /* regardless of upper and lower case */

/* As much as fits of a text, as UTF-8 that can be shown: cut between characters, and with '?' for
   each byte of anything else, for which clients would refuse the whole text. Size is at least 1. */
void bl_text_copy(char *to, size_t size, const char *from);

/* The end of a path that fits messages: "...end" when it is longer than size. */
void bl_text_path(char *to, size_t size, const char *path);

#endif
