/* manifest.c: bitlathe.json, what an emitted Verilog project says about itself to the commands that come after. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "emit/verilog/synth.h"
#include "emit/verilog/verilog.h"

enum { MOST_MANIFEST = 64 << 20, PATH_ROOM = 4096 };

/* ---- writing ------------------------------------------------------------------------------------------------------
 */
static json_t *wires_of(const bli_program *p, const char *const *names)
{
    json_t *wires = json_object();
    for (int i = 0; i < p->num_wires; i++) {
        const char *layer = p->wires[i].layer;
        char safe[256];
        json_object_set_new(wires, names[i], json_string(bli_text_safe(layer ? layer : "", safe, sizeof safe)));
    }
    return wires;
}

static json_t *make(const bli_emit_job *job, const bli_manifest_facts *facts)
{
    const bl_emit_options *o = job->options;
    json_t *m = json_object();
    json_object_set_new(m, "bitlathe", json_string(bl_version()));
    json_object_set_new(m, "target", json_string("verilog"));
    json_object_set_new(m, "name", json_string(job->name));
    json_object_set_new(m, "strategy", json_string(o->strategy));
    json_object_set_new(m, "reuse", json_integer(o->reuse));
    json_object_set_new(m, "io", json_string(o->io));
    json_object_set_new(m, "part", json_string(o->part));
    json_object_set_new(m, "clock_ns", json_real(o->clock));
    if (facts->stages > 0) {
        json_object_set_new(m, "stages", json_integer(facts->stages));
        json_object_set_new(m, "latency", json_integer(facts->latency));
        json_object_set_new(m, "plain", json_boolean(facts->plain));
    }
    json_object_set_new(m, "x_bits", json_integer(facts->x_bits));
    json_object_set_new(m, "y_bits", json_integer(facts->y_bits));
    json_object_set_new(m, "samples", json_integer(o->samples));
    json_object_set_new(m, "wires", wires_of(job->program, facts->wires));
    return m;
}

bl_status bli_manifest_write(const bli_emit_job *job, const bli_manifest_facts *facts)
{
    json_t *m = make(job, facts);
    char *text = json_dumps(m, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    json_decref(m);
    if (!text)
        return bli_fail(job->ctx, BL_NO_MEMORY, "out of memory");
    bl_status s = bli_project_file(job->project, "bitlathe.json", text, strlen(text));
    free(text);
    return s;
}

/* ---- reading ------------------------------------------------------------------------------------------------------
 */
/* The name becomes part of paths and of scripts: an identifier, whatever the file says. */
static bool is_identifier(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t size = name ? strspn(name, letters) : 0;
    return size > 0 && size <= BLI_NAME_LONGEST && name[size] == '\0' && !(name[0] >= '0' && name[0] <= '9');
}

const char *bli_manifest_name(const json_t *manifest)
{
    return json_string_value(json_object_get(manifest, "name"));
}

static bl_status check(bl_context *ctx, const json_t *m, const char *path)
{
    const char *target = json_string_value(json_object_get(m, "target"));
    if (!target || strcmp(target, "verilog") != 0)
        return bli_fail(ctx, BL_BAD_FILE,
                        "%s: target is '%s' (expected a project that emit wrote with --target verilog)", path,
                        target ? target : "");
    if (!is_identifier(bli_manifest_name(m)))
        return bli_fail(ctx, BL_BAD_FILE, "%s: name is no identifier", path);
    if (!json_is_object(json_object_get(m, "wires")))
        return bli_fail(ctx, BL_BAD_FILE, "%s: wires is no object", path);
    return BL_OK;
}

bl_status bli_manifest_read(bl_context *ctx, const char *folder, json_t **out)
{
    char path[PATH_ROOM], *text;
    size_t size;
    json_error_t error;
    *out = NULL;
    if (snprintf(path, sizeof path, "%s/bitlathe.json", folder) >= PATH_ROOM)
        return bli_fail(ctx, BL_LIMIT, "%.60s...: a path longer than %d", folder, PATH_ROOM);
    BLI_TRY(bli_within(ctx, bli_file_read(ctx, path, MOST_MANIFEST, &text, &size), "no project of emit"));
    json_t *m = json_loadb(text, size, 0, &error);
    bli_free(ctx, text);
    if (!m)
        return bli_fail(ctx, BL_BAD_FILE, "%s: line %d: %s", path, error.line, error.text);
    bl_status s = check(ctx, m, path);
    if (s != BL_OK)
        return json_decref(m), s;
    *out = m;
    return BL_OK;
}
