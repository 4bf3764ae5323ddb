/* message.h (internal): protobuf messages by their descriptors: which values are there, maps, bytes.
 *
 * One table of fields (protobuf-c's descriptors) serves reading, the binary writer and the text form.  Presence is
 * protobuf's: a member of a oneof is there if it is the one chosen, a proto3 field if it is not zero, and key and value
 * of a map's entry always.  A map is a repeated message whose name ends in "Entry".
 */
#ifndef BLI_MODEL_MESSAGE_H
#define BLI_MODEL_MESSAGE_H

#include "model/graphdef.h"
#include "model/wire.h"

typedef ProtobufCMessage bli_message;
typedef ProtobufCFieldDescriptor bli_field;

bool bli_field_is_repeated(const bli_field *f);
size_t bli_field_size(const bli_field *f); /* bytes of one value in memory */
/* How many values a field has (0 or 1 unless it is repeated), and where the i-th is: an integer of the field's type, a
 * protobuf_c_boolean, a char * (NULL: ""), a ProtobufCBinaryData, a bli_message * (NULL: an empty one). */
size_t bli_field_count(const bli_message *m, const bli_field *f);
const void *bli_field_at(const bli_message *m, const bli_field *f, size_t i);

BL_MUST_CHECK bli_message *bli_message_make(bli_tf_store *s, const ProtobufCMessageDescriptor *type);
/* The place of one more value, zeroed; the field counts it from now on. */
BL_MUST_CHECK void *bli_field_add(bli_tf_store *s, bli_message *m, const bli_field *f);
/* Every map below m in the order of its keys, the last of equal keys kept, absent values made empty ones. */
BL_MUST_CHECK bl_status bli_message_sort_maps(bli_tf_store *s, bli_message *m);

/* As protobuf's C++ has it: fields by number, then what is not known.  Sorted maps make it deterministic. */
size_t bli_message_size(const bli_message *m);
void bli_message_write(const bli_message *m, bli_wire_sink *sink);

#endif
