/* Formulas of published problems of reliability and sensitivity.
 *
 *     published problem.in problem.out
 *
 * reads   problem = name, x1 = ..., x2 = ..., one a line, as many as the problem has inputs
 * writes  y = ...                             with 17 significant digits
 *
 * Exit code: 0 if all went well, 2 wrong arguments, 3 input file not readable, 4 the problem is unknown, or
 * a number is missing, not a number or out of its domain, 5 output file not writable.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAD_ARGUMENTS = 2, NO_INPUT = 3, BAD_NUMBER = 4, NO_OUTPUT = 5, MAX_INPUTS = 8 };

#define PI 3.14159265358979323846
#define SQRT2 1.41421356237309504880

static double least4(double a, double b, double c, double d) { return fmin(fmin(a, b), fmin(c, d)); }

static double r_s(const double *x) { return x[0] - x[1]; }

/* Yield strength, and load over the section of a bar of diameter 20. */
static double stressed_beam(const double *x) { return x[0] - x[1] / (100.0 * PI); }

static double rp31(const double *x) { return 2.0 - x[1] + pow(4.0 * x[0], 4.0); }

static double rp35(const double *x) {
    return fmin(2.0 - x[1] + exp(-0.1 * x[0] * x[0]) + pow(0.2 * x[0], 4.0), 4.5 - x[0] * x[1]);
}

static double rp53(const double *x) {
    return sin(2.5 * x[0]) + 2.0 - (x[0] * x[0] + 4.0) * (x[1] - 1.0) / 20.0;
}

static double rp55(const double *x) {
    double d = x[0] - x[1], bowl = 0.2 + 0.6 * pow(d, 4.0), far = 5.0 / SQRT2 - 2.2;
    return least4(bowl - d / SQRT2, bowl + d / SQRT2, far + d, far - d);
}

static double four_branch(const double *x) {
    double d = x[0] - x[1], s = (x[0] + x[1]) / SQRT2, bowl = 3.0 + 0.1 * d * d, far = 7.0 / SQRT2;
    return least4(bowl - s, bowl + s, far + d, far - d);
}

/* Q, Ks, Zv, Zm, B, L: the height of the water. */
static double flood_height(const double *x) {
    return pow(x[0] / (x[1] * x[4] * sqrt((x[3] - x[2]) / x[5])), 0.6);
}

/* And Zb, Hd: by how much it exceeds the dyke. */
static double flood_overflow(const double *x) { return flood_height(x) + x[2] - (x[6] + x[7]); }

/* E, F, L, I. */
static double cantilever(const double *x) { return x[1] * pow(x[2], 3.0) / (3.0 * x[0] * x[3]); }

static double ishigami(const double *x) {
    return sin(x[0]) + 7.0 * pow(sin(x[1]), 2.0) + 0.1 * pow(x[2], 4.0) * sin(x[0]);
}

static double borgonovo(const double *x) { return x[0] * x[1] + x[2]; }

static double sum(const double *x) { return x[0] + x[1]; }

static double product(const double *x) { return x[0] * x[1]; }

static const struct {
    const char *name;
    int inputs;
    double (*answer)(const double *);
} PROBLEMS[] = {
    {"r-s", 2, r_s},
    {"stressed-beam", 2, stressed_beam},
    {"rp31", 2, rp31},
    {"rp35", 2, rp35},
    {"rp53", 2, rp53},
    {"rp55", 2, rp55},
    {"four-branch", 2, four_branch},
    {"flood-height", 6, flood_height},
    {"flood-overflow", 8, flood_overflow},
    {"cantilever", 4, cantilever},
    {"ishigami", 3, ishigami},
    {"borgonovo", 3, borgonovo},
    {"sum", 2, sum},
    {"product", 2, product},
};

static void read_file(const char *path, char *text, size_t room) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "published: cannot read %s\n", path);
        exit(NO_INPUT);
    }
    text[fread(text, 1, room - 1, file)] = '\0';
    fclose(file);
}

/* Copy what stands after "key =" up to the end of its line. */
static void find(const char *text, const char *key, char *value, size_t room) {
    const char *line, *at, *after;
    size_t length;
    for (line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        at = line + strlen(key);
        at += strspn(at, " \t");
        if (*at != '=')
            continue;
        at += 1 + strspn(at + 1, " \t");
        length = strcspn(at, " \t\r\n");
        after = at + length + strspn(at + length, " \t\r");
        if (length == 0 || length >= room || (*after != '\0' && *after != '\n'))
            break;
        memcpy(value, at, length);
        value[length] = '\0';
        return;
    }
    fprintf(stderr, "published: no line %s = value\n", key);
    exit(BAD_NUMBER);
}

static double number(const char *text, int i) {
    char key[16], value[64], *stop;
    double x;
    snprintf(key, sizeof key, "x%d", i + 1);
    find(text, key, value, sizeof value);
    x = strtod(value, &stop);
    /* strtod alone would accept hexadecimals, nan and inf. */
    if (value[strspn(value, "0123456789+-.eE")] != '\0' || *stop != '\0' || !isfinite(x)) {
        fprintf(stderr, "published: %s is not a number: %s\n", key, value);
        exit(BAD_NUMBER);
    }
    return x;
}

int main(int argc, char **argv) {
    char text[65536], name[32];
    double x[MAX_INPUTS], y;
    size_t p, problems = sizeof PROBLEMS / sizeof *PROBLEMS;
    FILE *file;
    int i;
    if (argc != 3) {
        fprintf(stderr, "usage: published problem.in problem.out\n");
        return BAD_ARGUMENTS;
    }
    read_file(argv[1], text, sizeof text);
    find(text, "problem", name, sizeof name);
    for (p = 0; p < problems && strcmp(PROBLEMS[p].name, name) != 0; ++p)
        ;
    if (p == problems) {
        fprintf(stderr, "published: unknown problem %s\n", name);
        return BAD_NUMBER;
    }
    for (i = 0; i < PROBLEMS[p].inputs; ++i)
        x[i] = number(text, i);
    y = PROBLEMS[p].answer(x);
    if (!isfinite(y)) {
        fprintf(stderr, "published: %s has no answer there\n", name);
        return BAD_NUMBER;
    }
    file = fopen(argv[2], "w");
    if (file == NULL) {
        fprintf(stderr, "published: cannot write %s\n", argv[2]);
        return NO_OUTPUT;
    }
    fprintf(file, "y = %.17g\n", y);
    return fclose(file) == 0 ? 0 : NO_OUTPUT;
}
