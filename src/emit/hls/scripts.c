/* scripts.c: what builds the project: a shell script for g++, Tcl for Vivado HLS and Vitis HLS, and a README. */
#include <stdio.h>

#include "emit/hls/hls.h"

static const char build_lib[] =
    "#!/bin/sh\n"
    "# build_lib.sh: compiles firmware and test bench with g++ and runs the test bench: no vendor tool is needed.\n"
    "# AP_TYPES is the folder of ap_int.h (Vitis HLS: include/; or .../hls4ml/templates/vivado/ap_types of the Python\n"
    "# wheel hls4ml).  build/@NAME@_test and build/lib@NAME@.so come out.\n"
    "set -eu\n"
    "cd \"$(dirname \"$0\")\"\n"
    "types=${AP_TYPES:-}\n"
    "if [ -z \"$types\" ]; then\n"
    "    types=$(python3 -c 'import importlib.util as u; print(u.find_spec(\"hls4ml\").submodule_search_locations[0])' "
    "\\\n"
    "        2>/dev/null)/templates/vivado/ap_types || true\n"
    "fi\n"
    "if [ ! -f \"$types/ap_int.h\" ]; then\n"
    "    echo 'build_lib.sh: set AP_TYPES to the folder that holds ap_int.h' >&2\n"
    "    exit 1\n"
    "fi\n"
    "mkdir -p build\n"
    "flags=\"-std=c++14 ${CXXFLAGS:--O1} -w -I$types -I.\"\n"
    "${CXX:-g++} $flags -fPIC -c firmware/@NAME@.cpp -o build/@NAME@.o\n"
    "${CXX:-g++} $flags @NAME@_test.cpp build/@NAME@.o -o build/@NAME@_test\n"
    "${CXX:-g++} -shared build/@NAME@.o -o build/lib@NAME@.so\n"
    "build/@NAME@_test\n";

static const char project_tcl[] = "# project.tcl: what build_prj.tcl builds.\n"
                                  "set project_name \"@NAME@\"\n"
                                  "set part \"@PART@\"\n"
                                  "set clock_period @CLOCK@\n"
                                  "set clock_uncertainty @UNCERTAINTY@\n";

static const char build_prj[] =
    "# build_prj.tcl: vivado_hls -f build_prj.tcl [\"reset=1 csim=1 ...\"] or vitis_hls -f build_prj.tcl ...\n"
    "array set opt {\n"
    "    reset  0\n"
    "    csim   1\n"
    "    synth  1\n"
    "    cosim  1\n"
    "    export 0\n"
    "    vsynth 0\n"
    "}\n"
    "source [file join [file dirname [info script]] project.tcl]\n"
    "foreach word [split [join $argv \" \"]] {\n"
    "    if {[regexp {^([a-z]+)=([01])$} $word all key value] && [info exists opt($key)]} {\n"
    "        set opt($key) $value\n"
    "    }\n"
    "}\n"
    "\n"
    "if {$opt(reset)} {\n"
    "    open_project -reset ${project_name}_prj\n"
    "} else {\n"
    "    open_project ${project_name}_prj\n"
    "}\n"
    "set_top ${project_name}\n"
    "add_files firmware/${project_name}.cpp -cflags \"-std=c++14\"\n"
    "add_files -tb ${project_name}_test.cpp -cflags \"-std=c++14\"\n"
    "add_files -tb tb_data\n"
    "if {$opt(reset)} {\n"
    "    open_solution -reset \"solution1\"\n"
    "} else {\n"
    "    open_solution \"solution1\"\n"
    "}\n"
    "catch {config_array_partition -maximum_size 8192}\n"
    "set_part $part\n"
    "create_clock -period $clock_period -name default\n"
    "set_clock_uncertainty $clock_uncertainty default\n"
    "\n"
    "if {$opt(csim)} {\n"
    "    csim_design\n"
    "}\n"
    "if {$opt(synth)} {\n"
    "    csynth_design\n"
    "}\n"
    "if {$opt(cosim)} {\n"
    "    cosim_design -trace_level none\n"
    "}\n"
    "if {$opt(export)} {\n"
    "    export_design -format ip_catalog\n"
    "}\n"
    "if {$opt(vsynth)} {\n"
    "    export_design -flow syn -format ip_catalog\n"
    "}\n"
    "exit\n";

static const char readme[] =
    "# @NAME@: firmware in HLS C++\n"
    "\n"
    "Written by bitlathe @VERSION@ from the network \"@MODEL@\"; change the model, not these files.\n"
    "\n"
    "strategy @STRATEGY@, io @IO@, reuse @REUSE@, clock @CLOCK@ ns, part @PART@\n"
    "\n"
    "| | |\n"
    "|---|---|\n"
    "| `firmware/@NAME@.cpp`, `.h` | the top function, one function per layer named after it |\n"
    "| `firmware/defines.h` | the type of every array or stream; codes and real numbers |\n"
    "| `firmware/parameters.h`, `weights/` | constants, as integers |\n"
    "| `firmware/bitlathe_*.h` | rounding, wrapping, streams |\n"
    "| `@NAME@_test.cpp`, `tb_data/` | test bench; codes of inputs and expected outputs |\n"
    "| `build_lib.sh` | compiles and runs the test bench with g++ |\n"
    "| `build_prj.tcl`, `project.tcl` | `vitis_hls -f build_prj.tcl` or `vivado_hls -f build_prj.tcl` |\n"
    "\n"
    "Every port carries integers (codes) of `ap_int` or `ap_uint`; value = code * 2^exp as `defines.h` says. Inputs "
    "are\n"
    "quantized before they come here, scales of outputs are applied by whoever reads them.\n"
    "\n"
    "## What has been checked\n"
    "\n"
    "- bitlathe's own tests compile projects like this one with g++ against the open ap_types headers and find the "
    "bits\n"
    "  of its integer program; `build_lib.sh` repeats that for this project.\n"
    "- **Not checked by a vendor tool**: the pragmas, the Tcl scripts, the interfaces, timing at the clock above, area "
    "and\n"
    "  co-simulation. They are written as Vivado HLS and Vitis HLS document them, and no such tool has read them.\n";

static bl_status write_template(bli_hls *h, const char *path, const char *text, bool script)
{
    const bl_emit_options *o = h->job->options;
    char clock[32], uncertainty[32], reuse[32], model[128];
    snprintf(clock, sizeof clock, "%g", o->clock);
    snprintf(uncertainty, sizeof uncertainty, "%g", o->clock * 0.125);
    snprintf(reuse, sizeof reuse, "%d", o->reuse);
    const bli_text_key keys[] = {{"NAME", h->job->name},
                                 {"PART", o->part},
                                 {"CLOCK", clock},
                                 {"UNCERTAINTY", uncertainty},
                                 {"REUSE", reuse},
                                 {"STRATEGY", o->strategy},
                                 {"IO", o->io},
                                 {"VERSION", bl_version()},
                                 {"MODEL", bli_text_safe(h->p->name, model, sizeof model)}};
    bli_text t;
    bli_text_init(&t, h->job->ctx);
    bli_text_template(&t, text, keys, BLI_COUNT(keys));
    bl_status s = script ? bli_text_status(&t) : bli_project_text(h->job->project, path, &t);
    if (s == BL_OK && script)
        s = bli_project_script(h->job->project, path, t.buf.data, t.buf.size);
    bli_text_free(&t);
    return s;
}

bl_status bli_hls_scripts(bli_hls *h)
{
    BLI_TRY(write_template(h, "build_lib.sh", build_lib, true));
    BLI_TRY(write_template(h, "project.tcl", project_tcl, false));
    BLI_TRY(write_template(h, "build_prj.tcl", build_prj, false));
    return write_template(h, "README.md", readme, false);
}
