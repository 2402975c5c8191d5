/* run.h: the interpreter. Runs the steps of this process's lane to the end, which is also the end of the process. */
#ifndef TARE_STAGE_RUN_H
#define TARE_STAGE_RUN_H

_Noreturn void lane_run(void);

#endif
