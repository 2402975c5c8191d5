/*
 * plan.c: decodes and validates a plan, outside in: the header, the steps as a table, then the lanes in the order in
 * which they start, so that a slot is never read where no step before can have filled it.
 */
#include "plan.h"
#include "kinds.h"
#include "steps_hash.h"
#include <limits.h>
#include <linux/audit.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct plan_header) == 88, "the plan's header has 88 bytes");
_Static_assert(sizeof(struct plan_step) == 88, "a step has 88 bytes");

const struct kind KINDS[KIND_COUNT] = {
#define STEP(kind, inputs, input_names, outputs, output_names, what) { #kind, inputs, outputs },
#include "steps.def"
#undef STEP
};

static const uint8_t STEPS_HASH[32] = { STEPS_HASH_BYTES };

/* The slots that may be filled at some point of a lane. */
struct filled {
    uint64_t bits[PLAN_MAX_SLOTS / 64];
};

static bool check_header(struct plan *plan, const void *bytes, size_t size);
static bool check_starts(struct plan *plan);
static bool check_lane(struct plan *plan, unsigned lane, struct filled filled);
static bool check_step(struct plan *plan, unsigned lane, const struct plan_step *step, struct filled *filled);

bool plan_decode(struct plan *plan, const void *bytes, size_t size)
{
    memset(plan, 0, sizeof *plan);
    if (!check_header(plan, bytes, size) || !check_starts(plan))
        return false;
    struct filled filled = { 0 };
    for (unsigned slot = 0; slot < plan->header->given; slot++) {
        filled.bits[slot / 64] |= 1ull << slot % 64;
        plan->slot_letter[slot] = 'd';
    }
    if (!check_lane(plan, 0, filled))
        return false;
    plan->checked = NULL;
    for (unsigned lane = 1; lane < plan->header->lanes; lane++)
        if (!plan->family[lane])
            return plan_refuse(plan, "lane %u is started by no lane that runs", lane);
    return true;
}

static bool check_header(struct plan *plan, const void *bytes, size_t size)
{
    const struct plan_header *header = bytes;
    if (size < sizeof *header)
        return plan_refuse(plan, "%zu bytes are no plan", size);
    if (memcmp(header->magic, PLAN_MAGIC, sizeof header->magic) != 0)
        return plan_refuse(plan, "it does not begin with " PLAN_MAGIC);
    if (header->version != PLAN_VERSION)
        return plan_refuse(plan, "version %u is not %u", header->version, PLAN_VERSION);
    if (header->arch != AUDIT_ARCH_X86_64)
        return plan_refuse(plan, "architecture %#x is not x86_64", header->arch);
    if (memcmp(header->steps_hash, STEPS_HASH, sizeof STEPS_HASH) != 0)
        return plan_refuse(plan, "it was made for another steps.def");
    if (header->size != size || size > PLAN_MAX_SIZE)
        return plan_refuse(plan, "its size says %u and it has %zu bytes", header->size, size);
    if (header->slots > PLAN_MAX_SLOTS || header->given > header->slots)
        return plan_refuse(plan, "%u slots, %u of them given", header->slots, header->given);
    if (header->lanes < 1 || header->lanes > PLAN_MAX_LANES)
        return plan_refuse(plan, "%u lanes", header->lanes);
    if (header->reserved != 0)
        return plan_refuse(plan, "the header's reserved field is not 0");

    const struct plan_step *next = (const void *)(header + 1);
    uint32_t steps = 0;
    for (unsigned lane = 0; lane < PLAN_MAX_LANES; lane++) {
        uint32_t own = header->lane_steps[lane];
        if (own > PLAN_MAX_STEPS - steps || (own != 0 && lane >= header->lanes))
            return plan_refuse(plan, "lane %u has %u steps", lane, own);
        plan->lane[lane] = next + steps;
        steps += own;
    }
    if (header->data != sizeof *header + steps * sizeof *next || header->data > size)
        return plan_refuse(plan, "its data area is at %u", header->data);
    plan->header = header;
    plan->data = (const uint8_t *)bytes + header->data;
    plan->data_size = header->size - header->data;
    return true;
}

/* Kinds and counts of all steps, so that what follows may index by them; and one start for each lane. */
static bool check_starts(struct plan *plan)
{
    unsigned starts[PLAN_MAX_LANES] = { 0 };
    for (unsigned lane = 0; lane < plan->header->lanes; lane++)
        for (uint32_t i = 0; i < plan->header->lane_steps[lane]; i++) {
            const struct plan_step *step = &plan->lane[lane][i];
            if (step->kind >= KIND_COUNT)
                return plan_refuse(plan, "lane %u, step %u: kind %u does not exist", lane, i, step->kind);
            const struct kind *kind = &KINDS[step->kind];
            if (step->inputs != strlen(kind->inputs) || step->outputs != strlen(kind->outputs))
                return plan_refuse(plan, "lane %u, step %u: %s has %u inputs and %u outputs", lane, i, kind->name,
                                   step->inputs, step->outputs);
            if (step->kind != KIND_clone)
                continue;
            if (step->input[0] < 1 || step->input[0] >= plan->header->lanes)
                return plan_refuse(plan, "lane %u, step %u: clone of a lane that does not exist", lane, i);
            if (++starts[step->input[0]] > 1)
                return plan_refuse(plan, "lane %u is started twice", (unsigned)step->input[0]);
        }
    for (unsigned lane = 1; lane < plan->header->lanes; lane++)
        if (starts[lane] == 0)
            return plan_refuse(plan, "lane %u is never started", lane);
    return true;
}

/* Follows a clone into the lane that it starts. Each lane has one start and lane 0 none, so this comes to an end. */
static bool check_lane(struct plan *plan, unsigned lane, struct filled filled)
{
    plan->family[lane] = 1u << lane;
    for (uint32_t i = 0; i < plan->header->lane_steps[lane]; i++) {
        const struct plan_step *step = &plan->lane[lane][i];
        struct filled before = filled;
        plan->checked_lane = lane;
        plan->checked = step;
        if (!check_step(plan, lane, step, &filled) || !plan_check_kind(plan, lane, step))
            return false;
        if (step->kind == KIND_clone) {
            unsigned child = (unsigned)step->input[0];
            if (!check_lane(plan, child, before))
                return false;
            plan->family[lane] |= plan->family[child];
        }
    }
    return true;
}

static bool string_is_valid(const struct plan *plan, uint64_t word)
{
    uint32_t offset = (uint32_t)word, size = (uint32_t)(word >> 32);
    if (offset >= plan->data_size || size >= plan->data_size - offset)
        return false;
    return plan->data[offset + size] == 0 && memchr(plan->data + offset, 0, size) == NULL;
}

static bool vector_is_valid(const struct plan *plan, uint64_t word)
{
    uint32_t offset = (uint32_t)word, count = (uint32_t)(word >> 32);
    if (offset % 8 != 0 || offset > plan->data_size || count > (plan->data_size - offset) / 8)
        return false;
    const uint64_t *pairs = (const void *)(plan->data + offset);
    for (uint32_t i = 0; i < count; i++)
        if (!string_is_valid(plan, pairs[i]))
            return false;
    return true;
}

static bool bytes_are_valid(const struct plan *plan, uint64_t word)
{
    uint32_t offset = (uint32_t)word, size = (uint32_t)(word >> 32);
    return offset <= plan->data_size && size <= plan->data_size - offset;
}

static bool slot_is_valid(const struct plan *plan, uint64_t word, char letter, const struct filled *filled)
{
    int64_t slot = (int64_t)word;
    if (slot == SLOT_NONE || (slot == SLOT_CWD && letter == 'd'))
        return true;
    if (slot < 0 || slot >= plan->header->slots || plan->slot_letter[slot] != letter)
        return false;
    return filled->bits[slot / 64] >> slot % 64 & 1;
}

static bool check_input(struct plan *plan, char letter, uint64_t word, unsigned i, const struct filled *filled)
{
    switch (letter) {
    case 's': return string_is_valid(plan, word) || plan_refuse(plan, "input %u is no string", i);
    case 'v': return vector_is_valid(plan, word) || plan_refuse(plan, "input %u is no list of strings", i);
    case 'b': return bytes_are_valid(plan, word) || plan_refuse(plan, "input %u lies outside the plan", i);
    case 'd': return slot_is_valid(plan, word, 'd', filled) || plan_refuse(plan, "input %u names no descriptor that is there", i);
    case 'p': return slot_is_valid(plan, word, 'p', filled) || plan_refuse(plan, "input %u names no pid that is there", i);
    case 'l': return word < plan->header->lanes || plan_refuse(plan, "input %u names no lane", i);
    case 'i': return ((int64_t)word >= INT_MIN && (int64_t)word <= INT_MAX) || plan_refuse(plan, "input %u is no int", i);
    case 'u': return true; /* its width is the kind's affair: plan_kinds.c */
    default: return plan_refuse(plan, "input %u has the unknown letter %c", i, letter);
    }
}

static bool check_step(struct plan *plan, unsigned lane, const struct plan_step *step, struct filled *filled)
{
    const struct kind *kind = &KINDS[step->kind];
    const int slots = (int)plan->header->slots;
    if (step->reserved != 0)
        return plan_refuse(plan, "its reserved field is not 0");
    if (step->guard_if < SLOT_NONE || step->guard_if >= slots || step->guard_unless < SLOT_NONE || step->guard_unless >= slots)
        return plan_refuse(plan, "its guard names no slot");
    for (unsigned i = 0; i < 2; i++)
        if (step->tolerate[i] < 0 || step->tolerate[i] > 4095) /* MAX_ERRNO of the kernel */
            return plan_refuse(plan, "%d is no errno to tolerate", step->tolerate[i]);
    for (unsigned i = 0; i < STEP_MAX_INPUTS; i++) {
        if (i >= step->inputs) {
            if (step->input[i] != 0)
                return plan_refuse(plan, "the unused input %u is not 0", i);
        } else if (!check_input(plan, kind->inputs[i], step->input[i], i, filled)) {
            return false;
        }
        if (i < step->inputs && kind->inputs[i] == 'l') {
            if (step->input[i] == lane)
                return plan_refuse(plan, "it names its own lane");
            if (step->kind != KIND_clone)
                plan->talk[lane][step->input[i]] = plan->talk[step->input[i]][lane] = true;
        }
    }
    for (unsigned i = 0; i < STEP_MAX_OUTPUTS; i++) {
        int32_t slot = step->output[i];
        if (slot == SLOT_NONE)
            continue;
        if (i >= step->outputs || slot < 0 || slot >= slots)
            return plan_refuse(plan, "output %u names no slot", i);
        if (plan->slot_letter[slot] != 0 && plan->slot_letter[slot] != kind->outputs[i])
            return plan_refuse(plan, "slot %d holds a descriptor and a pid", slot);
        plan->slot_letter[slot] = kind->outputs[i];
        filled->bits[slot / 64] |= 1ull << slot % 64;
    }
    return true;
}

bool plan_refuse(struct plan *plan, const char *format, ...)
{
    int used = 0;
    if (plan->checked)
        used = snprintf(plan->refusal, sizeof plan->refusal, "lane %u, step %td (%s): ", plan->checked_lane,
                        plan->checked - plan->lane[plan->checked_lane], KINDS[plan->checked->kind].name);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(plan->refusal + used, sizeof plan->refusal - (size_t)used, format, arguments);
    va_end(arguments);
    return false;
}
