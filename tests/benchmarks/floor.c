/* The floor of the overhead benchmark: two processes that spawn the code, each in every second of the
 * folders FOLDER/0, FOLDER/1, ... that were prepared beforehand. Prints the seconds it took. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void spawn_all(const char *code, const char *folder, int first, int count)
{
    char path[4096];
    for (int i = first; i < count; i += 2) {
        int status;
        snprintf(path, sizeof path, "%s/%d", folder, i);
        pid_t child = vfork();
        if (child == 0) {
            if (chdir(path) != 0)
                _exit(9);
            execl(code, code, (char *)NULL);
            _exit(8);
        }
        if (waitpid(child, &status, 0) != child || status != 0)
            _exit(1);
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    struct timespec start, end;
    int status, failed = 0;
    if (argc != 4)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int worker = 0; worker < 2; worker++)
        if (fork() == 0)
            spawn_all(argv[1], argv[3], worker, atoi(argv[2]));
    while (wait(&status) > 0)
        failed |= status;
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.6f\n", (end.tv_sec - start.tv_sec) + 1e-9 * (end.tv_nsec - start.tv_nsec));
    return failed != 0;
}
