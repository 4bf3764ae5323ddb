/* run_log.h: the run log, one JSON object a line: "begin", one "epoch" each, "end". */
#ifndef BLI_RUN_LOG_H
#define BLI_RUN_LOG_H

#include "train/trainer.h"

BL_MUST_CHECK bl_status bli_run_log_begin(bl_trainer *t);
BL_MUST_CHECK bl_status bli_run_log_epoch(bl_trainer *t, const bl_train_progress *p);
BL_MUST_CHECK bl_status bli_run_log_end(bl_trainer *t);

#endif
