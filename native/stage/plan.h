/*
 * plan.h: the decoder. A plan is checked as a whole before any step of it runs: plan_decode answers with a plan whose
 * every offset, string, slot and lane is valid, or with a sentence. What runs later reads without checking again, so the
 * bytes must not change (a sealed memfd). Allocates nothing.
 */
#ifndef TARE_STAGE_PLAN_H
#define TARE_STAGE_PLAN_H
#include "protocol.h"
#include <stdbool.h>
#include <stddef.h>

struct plan {
    const struct plan_header *header;
    const struct plan_step *lane[PLAN_MAX_LANES];
    const uint8_t *data;
    uint32_t data_size;
    char slot_letter[PLAN_MAX_SLOTS];            /* d or p; 0: never filled */
    uint8_t family[PLAN_MAX_LANES];              /* a mask of lanes: this one, and those that it starts, and so on */
    bool talk[PLAN_MAX_LANES][PLAN_MAX_LANES];   /* two lanes have a post or wait between them */
    const struct plan_step *checked;             /* while decoding: what a refusal is about */
    unsigned checked_lane;
    char refusal[200];
};

/* Bytes of the data area. A string's NUL is not counted in size. */
struct span {
    const uint8_t *at;
    uint32_t size;
};

/* True, or false with plan->refusal. `bytes` is 8-byte aligned and stays as it is. */
bool plan_decode(struct plan *plan, const void *bytes, size_t size);

/* An input word of letter s, b or v (then the size counts pairs), as the place in the data area that it names. */
static inline struct span plan_span(const struct plan *plan, uint64_t word)
{
    return (struct span){ plan->data + (uint32_t)word, (uint32_t)(word >> 32) };
}

/* String i of an input word of letter v. */
static inline const char *plan_string(const struct plan *plan, uint64_t word, uint32_t i)
{
    const uint64_t *pairs = (const uint64_t *)(const void *)(plan->data + (uint32_t)word);
    return (const char *)plan_span(plan, pairs[i]).at;
}

/* plan_kinds.c: what a kind asks of its inputs beyond their letters; false with plan->refusal. */
bool plan_check_kind(struct plan *plan, unsigned lane, const struct plan_step *step);
__attribute__((format(printf, 2, 3))) bool plan_refuse(struct plan *plan, const char *format, ...);

#endif
