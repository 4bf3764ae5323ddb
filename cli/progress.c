/* progress.c: how training goes on: a bar that is redrawn on a terminal, one line an epoch elsewhere. */
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

enum { BAR = 24 };

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_progress_init(cli_progress *p, const cli *c)
{
    *p = (cli_progress){.quiet = c->o.quiet, .terminal = isatty(STDERR_FILENO) == 1};
}

static void time_text(double seconds, char *buf, size_t size)
{
    long s = isfinite(seconds) && seconds > 0 ? lround(seconds) : 0;
    if (s >= 3600)
        snprintf(buf, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, size, "%ld:%02ld", s / 60, s % 60);
}

static void rate_text(double rate, char *buf, size_t size)
{
    if (rate >= 10000)
        snprintf(buf, size, "%.0fk samples/s", rate / 1000);
    else
        snprintf(buf, size, "%.0f samples/s", rate);
}

static void print_numbers(const bl_train_progress *p, bool classes)
{
    char rate[48], left[32];
    rate_text(p->samples_per_second, rate, sizeof rate);
    time_text(p->seconds_left, left, sizeof left);
    fprintf(stderr, "loss %.4f", p->loss);
    if (classes && isfinite(p->accuracy))
        fprintf(stderr, "  accuracy %.2f %%", 100 * p->accuracy);
    if (isfinite(p->validation_loss))
        fprintf(stderr, "  validation loss %.4f", p->validation_loss);
    if (classes && isfinite(p->validation_loss) && isfinite(p->validation_accuracy))
        fprintf(stderr, " accuracy %.2f %%", 100 * p->validation_accuracy);
    fprintf(stderr, "  %s  %s left", rate, left);
}

static void draw_bar(const bl_train_progress *p, bool classes)
{
    double share = p->epoch_steps > 0 ? (double)p->epoch_step / (double)p->epoch_steps : 1;
    int full = (int)(share * BAR);
    fprintf(stderr, "\r\033[Kepoch %d/%d [", p->epoch, p->epochs);
    for (int i = 0; i < BAR; i++)
        fputc(i < full ? '=' : i == full ? '>' : ' ', stderr);
    fputs("] ", stderr);
    print_numbers(p, classes);
}

void cli_progress_show(void *user, const bl_train_progress *now)
{
    cli_progress *p = user;
    p->last = *now;
    if (p->quiet)
        return;
    if (p->terminal) {
        double t = now_seconds();
        if (!now->epoch_done && t - p->last_drawn < 0.1)
            return;
        p->last_drawn = t;
        p->drawn = true;
        draw_bar(now, p->classes);
        if (now->epoch_done)
            fputc('\n', stderr);
        fflush(stderr);
    } else if (now->epoch_done) {
        fprintf(stderr, "epoch %d/%d  ", now->epoch, now->epochs);
        print_numbers(now, p->classes);
        fputc('\n', stderr);
    }
}

void cli_progress_end(cli_progress *p)
{
    if (p->drawn && !p->last.epoch_done)
        fputc('\n', stderr);
}
