/* The command line of EPANET 2.2. Codes above 100 are errors, those below are warnings and end with exit code 0. */
#include <stdio.h>

int ENepanet(const char *input, const char *report, const char *output, void (*progress)(char *));

int main(int argc, char **argv)
{
    int code;

    if (argc != 4) {
        puts("usage: runepanet <input file> <report file> <output file>");
        return 1;
    }
    code = ENepanet(argv[1], argv[2], argv[3], NULL);
    printf("EPANET completed (code %d)\n", code);
    return code > 100 ? code : 0;
}
