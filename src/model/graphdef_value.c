/* graphdef_value.c: values of attributes: made, and as bytes. */
#include <string.h>

#include "model/graphdef.h"
#include "model/message.h"

typedef BliTf__AttrValue__ListValue list_value;

static bli_tf_value *make(bli_tf_store *s, BliTf__AttrValue__ValueCase kind)
{
    bli_tf_value *v = bli_tf_alloc(s, sizeof *v);
    if (v) {
        bli_tf__attr_value__init(v);
        v->value_case = kind;
    }
    return v;
}

#define CASE(name) BLI_TF__ATTR_VALUE__VALUE_##name

const bli_tf_value *bli_tf_value_int(bli_tf_store *s, int64_t i)
{
    bli_tf_value *v = make(s, CASE(I));
    if (v)
        v->i = i;
    return v;
}

const bli_tf_value *bli_tf_value_float(bli_tf_store *s, float f)
{
    bli_tf_value *v = make(s, CASE(F));
    if (v)
        v->f = f;
    return v;
}

const bli_tf_value *bli_tf_value_bool(bli_tf_store *s, bool b)
{
    bli_tf_value *v = make(s, CASE(B));
    if (v)
        v->b = b;
    return v;
}

const bli_tf_value *bli_tf_value_type(bli_tf_store *s, int dtype)
{
    bli_tf_value *v = make(s, CASE(TYPE));
    if (v)
        v->type = (BliTf__DataType)dtype;
    return v;
}

const bli_tf_value *bli_tf_value_bytes(bli_tf_store *s, const void *data, size_t size)
{
    bli_tf_value *v = make(s, CASE(S));
    char *copy = bli_tf_text_copy(s, data, size);
    if (!v || !copy)
        return NULL;
    v->s = (ProtobufCBinaryData){size, (uint8_t *)copy};
    return v;
}

const bli_tf_value *bli_tf_value_string(bli_tf_store *s, const char *text)
{
    return bli_tf_value_bytes(s, text, strlen(text));
}

/* ---- shapes and tensors ---------------------------------------------------------------------------------------- */

static bli_tf_shape *make_shape(bli_tf_store *s, int rank, const int64_t *dim)
{
    bli_tf_shape *shape = bli_tf_alloc(s, sizeof *shape);
    if (!shape)
        return NULL;
    bli_tf__tensor_shape_proto__init(shape);
    shape->unknown_rank = rank < 0;
    if (rank <= 0)
        return shape;
    BliTf__TensorShapeProto__Dim *dims = bli_tf_alloc_array(s, (size_t)rank, sizeof *dims);
    shape->dim = bli_tf_alloc_array(s, (size_t)rank, sizeof *shape->dim);
    if (!dims || !shape->dim)
        return NULL;
    for (int i = 0; i < rank; i++) {
        bli_tf__tensor_shape_proto__dim__init(&dims[i]);
        dims[i].size = dim[i];
        shape->dim[i] = &dims[i];
    }
    shape->n_dim = (size_t)rank;
    return shape;
}

const bli_tf_value *bli_tf_value_shape(bli_tf_store *s, int rank, const int64_t *dim)
{
    bli_tf_value *v = make(s, CASE(SHAPE));
    bli_tf_shape *shape = make_shape(s, rank, dim);
    if (!v || !shape)
        return NULL;
    v->shape = shape;
    return v;
}

/* The bytes of dim's product of elements; false when they cannot be counted. */
static bool content_size(int dtype, int rank, const int64_t *dim, size_t *size)
{
    *size = bli_tf_dtype_size(dtype);
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0 || !bli_mul_size(*size, (size_t)dim[i], size))
            return false;
    return *size <= PTRDIFF_MAX;
}

const bli_tf_value *bli_tf_value_tensor(bli_tf_store *s, int dtype, int rank, const int64_t *dim, const void *data,
                                        void **content)
{
    size_t size;
    if (!content_size(dtype, rank, dim, &size))
        size = SIZE_MAX; /* cannot be had, and says so */
    bli_tf_value *v = make(s, CASE(TENSOR));
    bli_tf_tensor_proto *t = bli_tf_alloc(s, sizeof *t);
    bli_tf_shape *shape = make_shape(s, rank, dim);
    uint8_t *bytes = bli_tf_alloc(s, size);
    if (!v || !t || !shape || !bytes)
        return NULL;
    bli_tf__tensor_proto__init(t);
    t->dtype = (BliTf__DataType)dtype;
    t->tensor_shape = shape;
    t->tensor_content = (ProtobufCBinaryData){size, bytes};
    v->tensor = t;
    if (data && size)
        memcpy(bytes, data, size);
    if (content)
        *content = bytes;
    return v;
}

/* ---- lists ----------------------------------------------------------------------------------------------------- */

static list_value *make_list(bli_tf_store *s, bli_tf_value **v)
{
    list_value *l = bli_tf_alloc(s, sizeof *l);
    *v = make(s, CASE(LIST));
    if (!l || !*v)
        return NULL;
    bli_tf__attr_value__list_value__init(l);
    (*v)->list = l;
    return l;
}

static void *copy_array(bli_tf_store *s, const void *from, size_t count, size_t size)
{
    void *copy = bli_tf_alloc_array(s, count, size);
    if (copy && count)
        memcpy(copy, from, count * size);
    return copy;
}

const bli_tf_value *bli_tf_value_ints(bli_tf_store *s, const int64_t *i, size_t count)
{
    bli_tf_value *v;
    list_value *l = make_list(s, &v);
    if (!l || !(l->i = copy_array(s, i, count, sizeof *i)))
        return NULL;
    l->n_i = count;
    return v;
}

const bli_tf_value *bli_tf_value_floats(bli_tf_store *s, const float *f, size_t count)
{
    bli_tf_value *v;
    list_value *l = make_list(s, &v);
    if (!l || !(l->f = copy_array(s, f, count, sizeof *f)))
        return NULL;
    l->n_f = count;
    return v;
}

const bli_tf_value *bli_tf_value_types(bli_tf_store *s, const int *dtypes, size_t count)
{
    bli_tf_value *v;
    list_value *l = make_list(s, &v);
    if (!l || !(l->type = bli_tf_alloc_array(s, count, sizeof *l->type)))
        return NULL;
    for (size_t i = 0; i < count; i++)
        l->type[i] = (BliTf__DataType)dtypes[i];
    l->n_type = count;
    return v;
}

const bli_tf_value *bli_tf_value_strings(bli_tf_store *s, const char *const *text, size_t count)
{
    bli_tf_value *v;
    list_value *l = make_list(s, &v);
    if (!l || !(l->s = bli_tf_alloc_array(s, count, sizeof *l->s)))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(text[i]);
        char *copy = bli_tf_text_copy(s, text[i], size);
        if (!copy)
            return NULL;
        l->s[i] = (ProtobufCBinaryData){size, (uint8_t *)copy};
    }
    l->n_s = count;
    return v;
}

bl_status bli_tf_value_encode(const bli_tf_value *v, bli_buf *b)
{
    bli_wire_sink sink = bli_wire_sink_make(bli_wire_to_buf, b);
    bli_message_write(&v->base, &sink);
    return sink.status;
}
