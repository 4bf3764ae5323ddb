/* team.h: a fixed team of threads that runs one function at a time on all members.  Member 0 is the caller.
 * Waiting spins briefly, then sleeps; a team of one costs a function call.
 */
#ifndef BLI_TEAM_H
#define BLI_TEAM_H

#include "base/base.h"

typedef struct bli_team bli_team;
typedef void (*bli_team_fn)(void *arg, int member, int members);

BL_MUST_CHECK bl_status bli_team_create(bl_context *ctx, int threads, bli_team **out);
void bli_team_destroy(bli_team *team);
int bli_team_size(const bli_team *team);
/* Runs fn(arg, m, size) for every member m and returns when all have returned. */
void bli_team_run(bli_team *team, bli_team_fn fn, void *arg);
/* Inside fn: waits until every member is here. */
void bli_team_barrier(bli_team *team, int member);

#endif
