/* names.c: identifiers that C, C++, Verilog and SystemVerilog all take, each given once.
 *
 * The set is a hash table of what was given, open addressing, compared without case.  Reserved words stand in it from
 * the beginning, so that a layer called "reg" becomes "reg_2" by the same rule as a second layer "fc1".
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "emit/emit.h"

/* Keywords of C99/C11, C++20, Verilog-2005 and SystemVerilog; names of the headers that emitted code includes; words
 * that emitted code uses for itself.  Lower case: the comparison has none. */
static const char reserved[] =
    "alignas alignof and and_eq asm atomic auto bitand bitor bool break case catch char class compl complex concept "
    "const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do "
    "double dynamic_cast else enum explicit export extern false float for fortran friend generic goto if imaginary "
    "inline int long module mutable namespace new noexcept noreturn not not_eq null nullptr operator or or_eq override "
    "private protected public register reinterpret_cast requires restrict return short signed sizeof static "
    "static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename typeof "
    "union unsigned using virtual void volatile wchar_t while xor xor_eq final import linux unix i386 near far "
    "accept_on alias always always_comb always_ff always_latch assert assign assume automatic before begin bind bins "
    "binsof bit buf bufif0 bufif1 byte casex casez cell chandle checker clocking cmos config constraint context cover "
    "covergroup coverpoint cross deassign defparam design disable dist edge end endcase endchecker endclass "
    "endclocking endconfig endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram "
    "endproperty endsequence endspecify endtable endtask event eventually expect extends first_match force foreach "
    "forever fork forkjoin function generate genvar global highz0 highz1 iff ifnone ignore_bins illegal_bins "
    "implements implies incdir include initial inout input inside instance integer interconnect interface intersect "
    "join join_any join_none large let liblist library local localparam logic macromodule matches medium modport nand "
    "negedge nettype nexttime nmos nor noshowcancelled notif0 notif1 output package packed parameter pmos posedge "
    "primitive priority program property pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand "
    "randc randcase randsequence rcmos real realtime ref reg reject_on release repeat restrict rnmos rpmos rtran "
    "rtranif0 rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal "
    "showcancelled small soft solve specify specparam string strong strong0 strong1 super supply0 supply1 "
    "sync_accept_on sync_reject_on table tagged task throughout time timeprecision timeunit tran tranif0 tranif1 tri "
    "tri0 tri1 triand trior trireg type unique unique0 unsigned until until_with untyped use uwire var vectored "
    "wait wait_order wand weak weak0 weak1 wildcard wire with within wor xnor "
    "int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t intptr_t uintptr_t ptrdiff_t size_t ssize_t "
    "int8_min int8_max int16_min int16_max int32_min int32_max int64_min int64_max int64_c uint64_c "
    "abs labs llabs floor ceil round rint trunc ldexp frexp fabs fabsf pow exp log sqrt sin cos tan tanh index main "
    "memcpy memset memcmp memmove strlen strcmp printf fprintf sprintf snprintf puts putchar exit abort malloc calloc "
    "realloc free stdin stdout stderr errno read write open close select signal time clock div ldiv remove rename "
    "y0 y1 yn j0 j1 jn gamma lgamma erf std hls ap_int ap_uint ap_fixed ap_ufixed ac_int nnet eof nan infinity "
    "clk rst ce reset ready valid x y i j k m c v acc";

typedef struct entry {
    const char *name;
    unsigned last; /* the greatest number that was put behind it */
} entry;

struct bli_names {
    bl_context *ctx;
    bli_arena *arena;
    entry *slots;
    size_t capacity, used; /* capacity is a power of two, at most half of it used */
};

enum { FIRST_CAPACITY = 2048 };

static bool same(const char *a, const char *b)
{
    for (; *a && tolower((unsigned char)*a) == tolower((unsigned char)*b); a++, b++)
        ;
    return *a == *b;
}

/* Where name is, or where it would go. */
static entry *find(entry *slots, size_t capacity, const char *name)
{
    uint64_t h = 0;
    for (const char *c = name; *c; c++)
        h = (h ^ (uint64_t)tolower((unsigned char)*c)) * 0x100000001b3u;
    size_t at = (size_t)(h ^ h >> 32) & (capacity - 1);
    while (slots[at].name != NULL && !same(slots[at].name, name))
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static bl_status grow(bli_names *n)
{
    size_t capacity = n->capacity == 0 ? FIRST_CAPACITY : n->capacity * 2;
    entry *slots = bli_alloc_array(n->ctx, capacity, sizeof *slots);
    if (slots == NULL)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < n->capacity; i++)
        if (n->slots[i].name != NULL)
            *find(slots, capacity, n->slots[i].name) = n->slots[i];
    bli_free(n->ctx, n->slots);
    n->slots = slots;
    n->capacity = capacity;
    return BL_OK;
}

static bl_status add(bli_names *n, const char *name, const char **out)
{
    if (n->used * 2 >= n->capacity)
        BLI_TRY(grow(n));
    const char *kept = bli_arena_strdup(n->arena, name);
    if (kept == NULL)
        return BL_NO_MEMORY;
    *find(n->slots, n->capacity, kept) = (entry){kept, 1};
    n->used++;
    *out = kept;
    return BL_OK;
}

static bl_status add_reserved(bli_names *n)
{
    char word[BLI_NAME_LONGEST + 1];
    const char *kept;
    for (const char *at = reserved; *at;) {
        size_t length = strcspn(at, " ");
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        if (n->capacity == 0 || find(n->slots, n->capacity, word)->name == NULL)
            BLI_TRY(add(n, word, &kept));
        at += length + strspn(at + length, " ");
    }
    return BL_OK;
}

bl_status bli_names_create(bl_context *ctx, bli_names **out)
{
    *out = NULL;
    bli_names *n = bli_alloc(ctx, sizeof *n);
    if (n == NULL)
        return BL_NO_MEMORY;
    n->ctx = ctx;
    bl_status s = bli_arena_create(ctx, &n->arena);
    if (s == BL_OK)
        s = add_reserved(n);
    if (s != BL_OK) {
        bli_names_destroy(n);
        return s;
    }
    *out = n;
    return BL_OK;
}

void bli_names_destroy(bli_names *n)
{
    if (n == NULL)
        return;
    bli_arena_destroy(n->arena);
    bli_free(n->ctx, n->slots);
    bli_free(n->ctx, n);
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters and digits are kept, runs of anything else become one underscore, none stays at the end. */
static void clean(const char *wanted, char out[BLI_NAME_LONGEST + 1])
{
    size_t used = 0, most = BLI_NAME_LONGEST - 12; /* room for a number */
    bool gap = false;
    for (; *wanted && used + 2 < most; wanted++) {
        if (!is_plain(*wanted)) {
            gap = used > 0;
            continue;
        }
        if (used == 0 && *wanted >= '0' && *wanted <= '9')
            out[used++] = 'n';
        if (gap)
            out[used++] = '_';
        gap = false;
        out[used++] = *wanted;
    }
    if (used == 0)
        out[used++] = 'n';
    out[used] = '\0';
}

bl_status bli_names_take(bli_names *n, const char *wanted, const char **out)
{
    char name[BLI_NAME_LONGEST + 1], numbered[BLI_NAME_LONGEST + 1];
    clean(wanted, name);
    entry *there = find(n->slots, n->capacity, name);
    if (there->name == NULL)
        return add(n, name, out);
    do
        snprintf(numbered, sizeof numbered, "%.*s_%u", (int)(BLI_NAME_LONGEST - 12), name, ++there->last);
    while (find(n->slots, n->capacity, numbered)->name != NULL);
    return add(n, numbered, out);
}

bl_status bli_names_wires(bli_names *n, const bli_program *p, const char **out)
{
    for (int i = 0; i < p->num_wires; i++)
        BLI_TRY(bli_names_take(n, p->wires[i].name, &out[i]));
    return BL_OK;
}
