/*
 * report.h: this lane's side of the conversation with TypeScript (protocol.h). When TypeScript is gone, a plan that has not
 * come to its supervise step is given up: these functions end the process then, and return only when it goes on.
 */
#ifndef TARE_STAGE_REPORT_H
#define TARE_STAGE_REPORT_H
#include "protocol.h"

/* A report about a step, or about the plan (step 0). `name` may be NULL, `fd` -1. Blocks while the reader is slow. */
void report(enum report_type type, uint32_t step, int error, int64_t value, const char *name, int fd);
void report_done(uint32_t step, int error, int64_t skipped, uint64_t ns);

/* Waits for a reply of this type, and takes REPLY_SIGNAL and REPLY_ABORT on the way. The descriptor goes to *fd, else -1. */
struct reply reply_await(enum reply_type type, int *fd);

/* Reads one reply that is there; for those who wait for something else too. */
void reply_take_early(void);

#endif
