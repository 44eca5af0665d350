/*
 * Reads plain rows of CSV and JSON into arrays, by the rules of readers.py and values.py.
 *
 * What is not plain (a quote or backslash within a field, another alphabet, records with other keys
 * than the first, a value that only Python's float() understands, anything wrong) ends the scan in
 * front of its row: Python then reads on from there, and says what is wrong. So nothing here may
 * accept what Python refuses, or read it otherwise.
 *
 * Needs nothing of Python: ctypes calls it without the interpreter's lock. Every text ends with a
 * zero byte, which is part of nothing: no reader runs beyond it.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SKIP, NUMBER, TIMESTAMP };

/* A longer field is not plain: Python's reader has a limit for it. */
enum { LONGEST_SKIPPED = 1000 };

struct column {
    int32_t kind, optional;
    size_t place;    /* among the arrays in cells */
    const char *key; /* of a JSON record, in quotes */
};

/* Arrays of so many cells, one after the other: double or int64_t, one per row. */
struct cells {
    double *start;
    size_t most;
};

struct rows {
    size_t count;  /* rows that were read */
    size_t length; /* bytes that they took, with the line feeds or commas behind them */
    int32_t ended; /* a list's closing bracket stands there */
};

/* Powers of ten that a double holds exactly. */
static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { MOST_POWER = 22, MOST_DIGITS = 18 };
static const uint64_t EXACT = (uint64_t)1 << 53; /* integers up to here are exact as well */

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Every reader below returns where the value ends, or NULL for what is not plain. */

static const char *read_number(const char *at, double *out)
{
    const char *start = at;
    uint64_t digits = 0;
    int count = 0, behind_point = 0;
    int negative = *at == '-';
    at += negative;
    if (!is_digit(*at))
        return NULL;
    for (; is_digit(*at); at++, count++)
        digits = digits * 10 + (uint64_t)(*at - '0');
    if (*at == '.')
        for (at++; is_digit(*at); at++, count++, behind_point++)
            digits = digits * 10 + (uint64_t)(*at - '0');
    if (*at != 'e' && *at != 'E' && count <= MOST_DIGITS && digits <= EXACT
        && behind_point <= MOST_POWER) {
        /* Both are exact, so that the division rounds once, as the true result is rounded. */
        double value = (double)digits / POWERS[behind_point];
        *out = negative ? -value : value;
        return at;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        if (!is_digit(*at))
            return NULL;
        while (is_digit(*at))
            at++;
    }
    char *end;
    *out = strtod(start, &end);
    return end == at && isfinite(*out) ? at : NULL;
}

/* So many digits as a number, -1 if they are none. */
static int read_digits(const char *at, int count)
{
    int number = 0;
    for (int i = 0; i < count; i++) {
        if (!is_digit(at[i]))
            return -1;
        number = number * 10 + (at[i] - '0');
    }
    return number;
}

/* Days from 1970-01-01 to a date of the years 0 to 9999, -1e9 if there is no such date. */
static int64_t days_since_1970(int year, int month, int day)
{
    static const int LENGTHS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const int BEFORE[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    if (year < 0 || month < 1 || month > 12 || day < 1)
        return (int64_t)-1e9;
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > LENGTHS[month - 1] + (leap && month == 2))
        return (int64_t)-1e9;
    int leap_days = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    return (int64_t)365 * year + leap_days - 719528 + BEFORE[month - 1] + (leap && month > 2)
           + day - 1;
}

static const char *read_timestamp(const char *at, int64_t *out)
{
    int year = read_digits(at, 4);
    if (year < 0 || at[4] != '-')
        return NULL;
    int month = read_digits(at + 5, 2);
    if (month < 0 || at[7] != '-')
        return NULL;
    int day = read_digits(at + 8, 2);
    if (day < 0 || (at[10] != ' ' && at[10] != 'T'))
        return NULL;
    int hour = read_digits(at + 11, 2);
    if (hour < 0 || hour > 23 || at[13] != ':')
        return NULL;
    int minute = read_digits(at + 14, 2), second = 0;
    if (minute < 0 || minute > 59)
        return NULL;
    at += 16;
    if (*at == ':') {
        second = read_digits(at + 1, 2);
        if (second < 0 || second > 59)
            return NULL;
        at += 3;
    }
    if (*at == '.') {
        if (!is_digit(*++at))
            return NULL;
        while (is_digit(*at))
            at++;
    }
    const char *zone = at + (*at == ' ');
    if (*zone == 'Z')
        at = zone + 1;
    else if (!strncmp(zone, "UTC", 3))
        at = zone + 3;
    else if (*zone == '+' || *zone == '-') {
        if (read_digits(zone + 1, 2) < 0)
            return NULL;
        at = zone + 3;
        const char *minutes = at + (*at == ':');
        if (read_digits(minutes, 2) >= 0)
            at = minutes + 2;
    }
    int64_t days = days_since_1970(year, month, day);
    if (days == (int64_t)-1e9)
        return NULL;
    *out = days * 86400 + hour * 3600 + minute * 60 + second;
    return at;
}

static int ends_field(char c)
{
    return c == ',' || c == '\n' || c == '\r';
}

static const char *skip(const char *at, char quote)
{
    const char *start = at;
    for (; quote ? *at != '"' : !ends_field(*at); at++)
        if (*at == '"' || *at == '\n' || *at == '\r' || (signed char)*at <= 0
            || at - start > LONGEST_SKIPPED)
            return NULL;
    return at;
}

static double *cell(const struct cells *cells, const struct column *column, size_t row)
{
    return cells->start + column->place * cells->most + row;
}

static int set_missing(const struct column *column, const struct cells *cells, size_t row)
{
    if (column->kind == NUMBER)
        *cell(cells, column, row) = NAN;
    else if (column->kind == TIMESTAMP)
        *(int64_t *)cell(cells, column, row) = INT64_MIN; /* numpy's NaT */
    return column->optional || column->kind == SKIP;
}

static const char *read_field(const char *at, const struct column *column,
                              const struct cells *cells, size_t row)
{
    char quote = *at == '"' ? '"' : 0;
    at += quote != 0;
    if (column->kind == SKIP)
        at = skip(at, quote);
    else if (quote ? *at == '"' : ends_field(*at)) {
        if (!set_missing(column, cells, row))
            return NULL;
    } else if (column->kind == NUMBER)
        at = read_number(at, cell(cells, column, row));
    else
        at = read_timestamp(at, (int64_t *)cell(cells, column, row));
    if (at && quote)
        at = *at == '"' ? at + 1 : NULL;
    return at;
}

/*
 * Count a character, which takes Python's bytes.count four times as long.
 */
size_t scan_count(const char *text, size_t length, char mark)
{
    size_t count = 0;
    const char *end = text + length;
    for (; (text = memchr(text, mark, (size_t)(end - text))); text++)
        count++;
    return count;
}

/*
 * Read rows of so many columns from a text that ends with a line feed. The columns have room for
 * as many rows as there are lines.
 */
struct rows scan_csv(const char *text, const struct column *columns, size_t width, double *start,
                     size_t most)
{
    const struct cells cells = {start, most};
    struct rows rows = {0};
    const char *at = text, *row = text;
    for (; *row != '\n' && *row != '\r' && *row; row = at, rows.count++) {
        for (size_t i = 0; i < width; i++) {
            at = read_field(at, &columns[i], &cells, rows.count);
            if (!at || (i + 1 < width && *at++ != ','))
                goto end;
        }
        at += *at == '\r';
        if (*at++ != '\n')
            break;
    }
end:
    rows.length = (size_t)(row - text);
    return rows;
}

/* A JSON number is one of CSV, but for these rules of its own. */
static const char *read_json_number(const char *at, double *out)
{
    const char *first = at + (*at == '-'), *end = read_number(at, out);
    if (!end || (*first == '0' && is_digit(first[1])))
        return NULL;
    while (is_digit(*first))
        first++;
    if (*first == '.' && !is_digit(first[1]))
        return NULL;
    if (first == end)
        *out += 0.0; /* -0 is an integer, and those have no negative zero */
    return end;
}

static const char *skip_word(const char *at, const char *word)
{
    size_t length = strlen(word);
    return strncmp(at, word, length) ? NULL : at + length;
}

static const char *skip_string(const char *at)
{
    while (*at != '"')
        if (*at == '\\' || (signed char)*at++ < ' ')
            return NULL;
    return at;
}

static const char *read_json_value(const char *at, const struct column *column,
                                   const struct cells *cells, size_t row)
{
    double ignored;
    if (*at == 'n')
        return set_missing(column, cells, row) ? skip_word(at, "null") : NULL;
    if (column->kind == SKIP && (*at == 't' || *at == 'f'))
        return skip_word(at, *at == 't' ? "true" : "false");
    if (*at != '"')
        return column->kind == TIMESTAMP ? NULL
               : read_json_number(at, column->kind == SKIP ? &ignored
                                                           : cell(cells, column, row));
    if (column->kind != SKIP)
        return read_field(at, column, cells, row);
    at = skip_string(at + 1);
    return at ? at + 1 : NULL;
}

static const char *skip_space(const char *at, int lines)
{
    while (*at == ' ' || *at == '\t' || (!lines && (*at == '\n' || *at == '\r')))
        at++;
    return at;
}

static const char *read_json_row(const char *at, const struct column *columns, size_t width,
                                 const struct cells *cells, size_t row, int lines)
{
    int is_record = columns[0].key != NULL;
    if (*at++ != (is_record ? '{' : '['))
        return NULL;
    for (size_t i = 0; i < width; i++) {
        at = skip_space(at, lines);
        if (is_record) {
            at = skip_word(at, columns[i].key);
            if (!at)
                return NULL;
            at = skip_space(at, lines);
            if (*at++ != ':')
                return NULL;
            at = skip_space(at, lines);
        }
        at = read_json_value(at, &columns[i], cells, row);
        if (!at)
            return NULL;
        at = skip_space(at, lines);
        if (i + 1 < width && *at++ != ',')
            return NULL;
    }
    return *at == (is_record ? '}' : ']') ? at + 1 : NULL;
}

/*
 * Read records with just these keys in this order, or lists, from a text that begins with one: one
 * per line, or with commas between. The columns have room for as many rows as there are opening
 * brackets.
 */
struct rows scan_json(const char *text, const struct column *columns, size_t width, double *start,
                      size_t most, int lines)
{
    const struct cells cells = {start, most};
    struct rows rows = {0};
    const char *at = text, *row = text;
    while (!rows.ended && (at = read_json_row(row, columns, width, &cells, rows.count, lines))) {
        at = skip_space(at, lines);
        if (lines) {
            at += *at == '\r';
            if (*at != '\n')
                break;
            row = at + 1;
        } else if (*at == ',')
            row = skip_space(at + 1, lines);
        else if (*at == ']') {
            rows.ended = 1;
            row = at;
        } else
            break;
        rows.count++;
    }
    rows.length = (size_t)(row - text);
    return rows;
}
