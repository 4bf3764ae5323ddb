/* main.c: finds the command and runs it. */
#include <stdio.h>

#include "bitlathe/bitlathe.h"

int main(void)
{
    printf("bitlathe\n");
    return 0;
}
