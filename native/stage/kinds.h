/*
 * kinds.h: the step kinds of steps.def as C sees them: a number for each (its position), and its letters.
 */
#ifndef TARE_STAGE_KINDS_H
#define TARE_STAGE_KINDS_H

enum kind_number {
#define STEP(kind, inputs, input_names, outputs, output_names, what) KIND_##kind,
#include "steps.def"
#undef STEP
    KIND_COUNT
};

struct kind {
    const char *name;
    const char *inputs;  /* a letter each, see steps.def */
    const char *outputs;
};

extern const struct kind KINDS[KIND_COUNT];

#endif
