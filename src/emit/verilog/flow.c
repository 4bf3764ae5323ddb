/* flow.c: a program as processes: links, processes, files. */
#include "emit/verilog/flow.h"

#include <stdio.h>
#include <string.h>

enum { MOST_BITS = 1 << 20 }; /* of a vector: simulators end somewhere */

static bl_status check_sizes(const bli_flow *f)
{
    char name[96];
    for (int i = 0; i < f->p->num_wires; i++) {
        const bli_wire *w = &f->p->wires[i];
        bli_text_safe(w->name, name, sizeof name);
        if (w->count == 0)
            return bli_fail(f->job->ctx, BL_UNSUPPORTED, "wire '%s' has no elements: a stream has some", name);
        const bli_span hull = bli_wire_hull(w);
        if (w->count > MOST_BITS / (bli_span_bits(&hull) + 1))
            return bli_fail(f->job->ctx, BL_LIMIT, "wire '%s' has %lld elements: more than %d bits a sample", name,
                            (long long)w->count, MOST_BITS);
    }
    return BL_OK;
}

/* ---- links --------------------------------------------------------------------------------------------------------
 */
/* Wires that no input is behind: their codes, whatever the input. */
static bl_status find_constants(bli_flow *f)
{
    const bli_program *p = f->p;
    bool *known = bli_arena_array(f->arena, (size_t)p->num_wires + 1, sizeof *known), any = false;
    int64_t **codes = bli_arena_array(f->arena, (size_t)p->num_wires + 1, sizeof *codes);
    if (!known || !codes)
        return BL_NO_MEMORY;
    for (int i = 0; i < p->num_ops; i++) {
        bool all = p->ops[i].kind != BLI_PRIM_INPUT;
        for (int k = 0; k < p->ops[i].num_in; k++)
            all = all && known[p->ops[i].in[k]];
        known[p->ops[i].out] = all;
        any = any || all;
    }
    if (!any)
        return BL_OK;
    for (int i = 0; i < p->num_wires; i++)
        if (!(codes[i] = bli_arena_array(f->arena, (size_t)p->wires[i].count + 1, sizeof **codes)))
            return BL_NO_MEMORY;
    for (int i = 0; i < p->num_inputs; i++)
        for (int64_t e = 0; e < p->wires[p->inputs[i].wire].count; e++)
            codes[p->inputs[i].wire][e] = bli_wire_span(&p->wires[p->inputs[i].wire], e).low;
    const int64_t *inputs[64];
    for (int i = 0; i < p->num_inputs && i < 64; i++)
        inputs[i] = codes[p->inputs[i].wire];
    if (p->num_inputs > 64)
        return bli_fail(f->job->ctx, BL_LIMIT, "program '%s' has %d inputs (64 at most)", p->name, p->num_inputs);
    BLI_TRY(bli_program_interpret(p, inputs, codes));
    for (int i = 0; i < p->num_wires; i++)
        f->links[i].constant = known[i] ? codes[i] : NULL;
    return BL_OK;
}

static void count_readers(bli_flow *f)
{
    for (int i = 0; i < f->groups.count; i++) {
        const bli_group *g = &f->groups.at[i];
        bli_flow_plan plan;
        bli_flow_plan_make(f, g, &plan);
        for (int k = 0; k < plan.num_in && !f->links[f->groups.root[g->ops[0]->out]].constant; k++)
            f->links[plan.in[k].root].readers++;
    }
    for (int i = 0; i < f->p->num_outputs; i++)
        f->links[f->groups.root[f->p->outputs[i].wire]].readers++;
}

static bl_status make_links(bli_flow *f)
{
    const bli_program *p = f->p;
    f->links = bli_arena_array(f->arena, (size_t)p->num_wires + 1, sizeof *f->links);
    f->wires = bli_arena_array(f->arena, (size_t)p->num_wires + 1, sizeof *f->wires);
    if (!f->links || !f->wires)
        return BL_NO_MEMORY;
    BLI_TRY(bli_names_wires(f->job->names, p, f->wires));
    for (int i = 0; i < p->num_wires; i++) {
        const bli_wire *w = &p->wires[i];
        const bli_span hull = bli_wire_hull(w);
        int width = bli_span_bits(&hull);
        int64_t beat = w->shape.rank > 0 ? w->shape.dim[w->shape.rank - 1] : 1;
        f->links[i] = (bli_flow_link){.name = f->wires[i], .width = width > 0 ? width : 1, .is_signed = hull.low < 0};
        f->links[i].beat = beat;
        f->links[i].beats = w->count / beat;
    }
    BLI_TRY(find_constants(f));
    count_readers(f);
    return BL_OK;
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */
static bl_status add_file(const bli_flow *f, const char *folder, const char *suffix, const bli_text *t)
{
    char path[2 * BLI_NAME_LONGEST];
    snprintf(path, sizeof path, "%s/%s%s", folder, f->job->name, suffix);
    return bli_project_text(f->job->project, path, t);
}

static bl_status add_core(bli_flow *f)
{
    bli_text t;
    bli_text_init(&t, f->job->ctx);
    bli_text_line(&t, "// %s: processes and their arithmetic, the whole of it last.", f->job->name);
    bli_text_line(&t, "// Emitted by bitlathe %s.", bl_version());
    bli_text_line(&t, "/* verilator lint_off DECLFILENAME */");
    bli_text_put(&t, "\n");
    bli_verilog_widths(f->job->name, f->widest, &t);
    bl_status s = bli_text_status(&f->modules);
    if (s == BL_OK)
        s = bli_buf_append(&t.buf, f->modules.buf.data, f->modules.buf.size);
    bli_flow_put_top(f, &t);
    if (s == BL_OK)
        s = add_file(f, "rtl", "_core.v", &t);
    bli_text_free(&t);
    return s;
}

static bl_status add_cells(const bli_flow *f)
{
    const bli_text_key keys[] = {{"NAME", f->job->name}};
    bli_text t;
    bli_text_init(&t, f->job->ctx);
    bli_verilog_adders(f->job->name, f->adder3, f->widest, &t);
    for (int i = 0; bli_flow_cells[i]; i++)
        bli_text_template(&t, bli_flow_cells[i], keys, BLI_COUNT(keys));
    bl_status s = bli_text_status(&f->cells);
    if (s == BL_OK && f->cells.buf.size > 0)
        s = bli_buf_append(&t.buf, f->cells.buf.data, f->cells.buf.size);
    if (s == BL_OK)
        s = add_file(f, "rtl", "_cells.v", &t);
    bli_text_free(&t);
    return s;
}

static bl_status add_stream(const bli_flow *f)
{
    bli_text t;
    bli_text_init(&t, f->job->ctx);
    bli_flow_put_stream(f, &t);
    bl_status s = add_file(f, "rtl", "_stream.v", &t);
    bli_text_free(&t);
    return s;
}

static bl_status add_vectors(const bli_flow *f, const bli_vectors *vectors)
{
    const bli_program *p = f->p;
    bli_verilog_field *x = bli_arena_array(f->arena, (size_t)p->num_inputs + 1, sizeof *x);
    bli_verilog_field *y = bli_arena_array(f->arena, (size_t)p->num_outputs + 1, sizeof *y);
    if (!x || !y)
        return BL_NO_MEMORY;
    const bli_manifest_facts facts = {
        .wires = f->wires, .x_bits = bli_verilog_fields(p, true, x), .y_bits = bli_verilog_fields(p, false, y)};
    BLI_TRY(bli_manifest_write(f->job, &facts));
    return bli_verilog_vector_files(f->job, vectors, x, y);
}

static bl_status add_probe(const bli_flow *f)
{
    bli_text t;
    bli_text_init(&t, f->job->ctx);
    bl_status s = bli_flow_probe(f, &t) ? add_file(f, "tb", "_probe_tb.v", &t) : BL_OK;
    bli_text_free(&t);
    return s;
}

static bl_status add_bench(const bli_flow *f)
{
    bli_vectors vectors;
    bli_text t;
    BLI_TRY(bli_vectors_of_job(f->job, &vectors));
    bli_text_init(&t, f->job->ctx);
    bli_flow_put_bench(f, vectors.samples, &t);
    bl_status s = add_file(f, "tb", "_tb.v", &t);
    bli_text_free(&t);
    if (s == BL_OK)
        s = add_vectors(f, &vectors);
    if (s == BL_OK && f->job->vectors)
        s = add_probe(f);
    bli_vectors_free(&vectors);
    return s;
}

static bl_status make(bli_flow *f, bli_names *groups)
{
    if (f->p->num_inputs == 0 || f->p->num_outputs == 0)
        return bli_fail(f->job->ctx, BL_UNSUPPORTED, "program '%s' has no %s: there is nothing to build", f->p->name,
                        f->p->num_inputs == 0 ? "input" : "output");
    BLI_TRY(check_sizes(f));
    BLI_TRY(bli_groups_make(f->arena, f->p, groups, &f->groups));
    BLI_TRY(make_links(f));
    for (int i = 0; i < f->groups.count; i++)
        if (!f->links[f->groups.root[f->groups.at[i].ops[0]->out]].constant)
            BLI_TRY(bli_flow_put_process(f, &f->groups.at[i]));
    BLI_TRY(add_core(f));
    BLI_TRY(add_cells(f));
    BLI_TRY(add_stream(f));
    return add_bench(f);
}

bl_status bli_flow_emit(const bli_emit_job *job)
{
    const bl_emit_options *o = job->options;
    bli_flow f = {.job = job, .p = job->program, .net = bli_verilog_net_options(job), .turns = 1};
    bli_names *groups;
    f.reuse = strcmp(o->strategy, "resource") == 0 ? o->reuse : 1;
    f.whole = strcmp(o->io, "parallel") == 0;
    BLI_TRY(bli_verilog_model(job, &f.model));
    BLI_TRY(bli_names_create(job->ctx, &groups));
    bl_status s = bli_arena_create(job->ctx, &f.arena);
    if (s != BL_OK)
        return bli_names_destroy(groups), s;
    bli_text_init(&f.modules, job->ctx);
    bli_text_init(&f.cells, job->ctx);
    s = make(&f, groups);
    bli_text_free(&f.modules);
    bli_text_free(&f.cells);
    bli_arena_destroy(f.arena);
    bli_names_destroy(groups);
    return s;
}
