/* bitlathe.h: everything a program needs. */
#ifndef BITLATHE_BITLATHE_H
#define BITLATHE_BITLATHE_H
#include "bitlathe/base.h"
#include "bitlathe/dataset.h"
#include "bitlathe/emit.h"
#include "bitlathe/exec.h"
#include "bitlathe/format.h"
#include "bitlathe/graph.h"
#include "bitlathe/graphdef.h"
#include "bitlathe/list.h"
#include "bitlathe/lower.h"
#include "bitlathe/model.h"
#include "bitlathe/program.h"
#include "bitlathe/recipe.h"
#include "bitlathe/run.h"
#include "bitlathe/synth.h"
#include "bitlathe/tensor.h"
#include "bitlathe/tf.h"
#include "bitlathe/tfrun.h"
#include "bitlathe/train.h"
#include "bitlathe/verify.h"
#endif
