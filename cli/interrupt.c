/* interrupt.c: Ctrl-C.  The one mutable global of the program: a signal handler has no other way to its context. */
#include <signal.h>

#include "cli.h"

static bl_context *volatile interrupted_context;

static void on_signal(int number)
{
    (void)number;
    if (interrupted_context)
        bl_context_interrupt(interrupted_context);
}

/* NULL: signals do what they did. */
void cli_interrupt_install(bl_context *ctx)
{
    interrupted_context = ctx;
    struct sigaction action = {.sa_handler = ctx ? on_signal : SIG_DFL, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
