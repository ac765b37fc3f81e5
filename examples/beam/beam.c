/* The deflection of the tip of a cantilever beam: y = F L^3 / (3 E I).
 *
 *     beam -x beam.xml
 *
 * reads   <beam F="..." E="..." L="..." I="..."/>   from the file named after -x
 * writes  <outputs deviation="..."/>                to _beam_outputs_.xml, with 17 significant digits
 *
 * Exit code: 0 if all went well, 2 wrong arguments, 3 input file not readable, 4 a number is missing,
 * not a number or out of its domain, 5 output file not writable.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAD_ARGUMENTS = 2, NO_INPUT = 3, BAD_NUMBER = 4, NO_OUTPUT = 5 };

static const char OUTPUT_FILE[] = "_beam_outputs_.xml";

static char *read_file(const char *path) {
    static char text[65536];
    FILE *file = fopen(path, "rb");
    size_t size;
    if (file == NULL) {
        fprintf(stderr, "beam: cannot read %s\n", path);
        exit(NO_INPUT);
    }
    size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

/* The number in NAME="number" between start and end; a space must stand before NAME. */
static double attribute(const char *start, const char *end, char name) {
    const char *at;
    char *stop;
    for (at = start; at + 3 < end; ++at) {
        if (strchr(" \t\r\n", at[0]) && at[1] == name && at[2] == '=' && at[3] == '"') {
            const char *number = at + 4;
            size_t length = strcspn(number, "\"");
            /* strtod alone would accept hexadecimals, nan and inf. */
            if (length > 0 && strspn(number, "0123456789+-.eE") == length) {
                double value = strtod(number, &stop);
                if (stop == number + length && isfinite(value))
                    return value;
            }
            fprintf(stderr, "beam: %c is not a number: %.*s\n", name, (int)length, number);
            exit(BAD_NUMBER);
        }
    }
    fprintf(stderr, "beam: %c is missing\n", name);
    exit(BAD_NUMBER);
}

int main(int argc, char **argv) {
    const char *start, *end;
    double F, E, L, I;
    FILE *file;
    if (argc != 3 || strcmp(argv[1], "-x") != 0) {
        fprintf(stderr, "usage: beam -x beam.xml\n");
        return BAD_ARGUMENTS;
    }
    start = strstr(read_file(argv[2]), "<beam");
    end = start ? strstr(start, "/>") : NULL;
    if (end == NULL) {
        fprintf(stderr, "beam: no <beam .../> in %s\n", argv[2]);
        return BAD_NUMBER;
    }
    F = attribute(start, end, 'F');
    E = attribute(start, end, 'E');
    L = attribute(start, end, 'L');
    I = attribute(start, end, 'I');
    if (E <= 0.0 || I <= 0.0 || 3.0 * E * I == 0.0) {
        fprintf(stderr, "beam: E and I must be positive, not %g and %g\n", E, I);
        return BAD_NUMBER;
    }
    file = fopen(OUTPUT_FILE, "w");
    if (file == NULL) {
        fprintf(stderr, "beam: cannot write %s\n", OUTPUT_FILE);
        return NO_OUTPUT;
    }
    fprintf(file, "<?xml version=\"1.0\"?>\n<outputs deviation=\"%.17g\"/>\n", F * L * L * L / (3.0 * E * I));
    return fclose(file) == 0 ? 0 : NO_OUTPUT;
}
