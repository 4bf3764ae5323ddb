/* exact.c: which way a model is run: as the exact program where it lowers, else as the float graph. */
#include "cli.h"

bl_status cli_exact_check(cli *c)
{
    if (c->o.as_float && c->o.exact)
        return cli_fail(c, BL_USAGE, "--exact and --float exclude each other");
    return BL_OK;
}

bl_status cli_exact(cli *c, const bl_graph *g, bl_program **program)
{
    *program = NULL;
    if (c->o.as_float)
        return BL_OK;
    const bl_status s = bl_lower(c->ctx, g, program);
    if (s == BL_OK || c->o.exact || (s != BL_UNSUPPORTED && s != BL_LIMIT))
        return s;
    cli_note(c, "not exact: %s", bl_context_message(c->ctx));
    cli_add(c, "not_exact", json_string(bl_context_message(c->ctx)));
    return BL_OK;
}

const char *cli_through(const bl_program *program)
{
    return program ? "exact" : "float";
}

const char *cli_through_words(const bl_program *program)
{
    return program ? "exact program" : "float graph";
}

void cli_say_cut(cli *c, const bl_program *program)
{
    bl_port_info out;
    if (!program || !bl_program_output(program, 0, &out) || !out.cut)
        return;
    cli_note(c, "left out: %s; the outputs are the values before it", out.cut);
    cli_add(c, "cut", json_string(out.cut));
}
