/* The code of the overhead benchmark: reads four numbers, writes one. */
#include <stdio.h>

int main(void)
{
    double a, b, c, d;
    FILE *file = fopen("input.txt", "r");
    if (file == NULL || fscanf(file, "%lf %lf %lf %lf", &a, &b, &c, &d) != 4)
        return 2;
    fclose(file);
    file = fopen("output.txt", "w");
    if (file == NULL)
        return 3;
    fprintf(file, "y = %.17g\n", a * b + c / d);
    return fclose(file) == 0 ? 0 : 4;
}
