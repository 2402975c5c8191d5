/*
 * fuzz_plan.c: a libFuzzer target for the decoder. Whatever the bytes are, it must answer without reading outside them; what it
 * accepts is then read as the steps would read it. Hash and size are put right, so that mutations get past the header.
 */
#include "kinds.h"
#include "plan.h"
#include "steps_hash.h"
#include <stdlib.h>
#include <string.h>

static const uint8_t HASH[32] = { STEPS_HASH_BYTES };
static volatile unsigned sum;

static void read_lane(const struct plan *plan, unsigned lane);
static void read_input(const struct plan *plan, char letter, uint64_t word);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct plan plan;
    uint8_t *bytes = malloc(size ? size : 1); /* exactly as large: the sanitizer sees a read past its end */
    memcpy(bytes, data, size);
    if (size >= sizeof(struct plan_header)) {
        struct plan_header *header = (void *)bytes;
        memcpy(header->steps_hash, HASH, sizeof HASH);
        header->size = (uint32_t)size;
    }
    if (plan_decode(&plan, bytes, size)) {
        for (unsigned lane = 0; lane < plan.header->lanes; lane++)
            read_lane(&plan, lane);
    } else if (plan.refusal[0] == 0 || strlen(plan.refusal) >= sizeof plan.refusal) {
        abort();
    }
    free(bytes);
    return 0;
}

static void read_lane(const struct plan *plan, unsigned lane)
{
    for (uint32_t i = 0; i < plan->header->lane_steps[lane]; i++) {
        const struct plan_step *step = &plan->lane[lane][i];
        for (unsigned input = 0; input < step->inputs; input++)
            read_input(plan, KINDS[step->kind].inputs[input], step->input[input]);
        for (unsigned output = 0; output < step->outputs; output++)
            if (step->output[output] != SLOT_NONE)
                sum += (unsigned)plan->slot_letter[step->output[output]];
    }
}

static void read_input(const struct plan *plan, char letter, uint64_t word)
{
    struct span span = plan_span(plan, word);
    if (letter == 's') {
        sum += (unsigned)strlen((const char *)span.at);
    } else if (letter == 'v') {
        for (uint32_t i = 0; i < span.size; i++)
            sum += (unsigned)strlen(plan_string(plan, word, i));
    } else if (letter == 'b') {
        for (uint32_t i = 0; i < span.size; i++)
            sum += span.at[i];
    } else if (letter == 'd' && (int64_t)word >= 0) {
        sum += (unsigned)plan->slot_letter[word];
    }
}
