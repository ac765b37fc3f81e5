/* The command line of EPA SWMM 5. As EPA's own, it ends with exit code 0 whatever happened. */
#include <stdio.h>

int swmm_run(const char *input, const char *report, const char *output);

int main(int argc, char **argv)
{
    if (argc != 4) {
        puts("usage: runswmm <input file> <report file> <output file>");
        return 0;
    }
    puts(swmm_run(argv[1], argv[2], argv[3]) ? "\nSWMM completed. There are errors." : "\nSWMM completed.");
    return 0;
}
