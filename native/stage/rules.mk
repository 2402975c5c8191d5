# stage: the plan interpreter and supervisor. Static with musl; dynamic under AddressSanitizer and UBSan; the decoder under libFuzzer.
STAGE_SOURCES := $(addprefix stage/,main.c plan.c plan_kinds.c run.c report.c message.c lanes.c descriptors.c in_root.c \
	steps_files.c steps_mounts.c steps_process.c steps_children.c steps_net.c steps_lanes.c steps_terminal.c steps_rights.c steps_schedule.c \
	copy_tree.c supervise.c clients.c)
STAGE_HEADERS := $(wildcard stage/*.h) stage/steps.def
GEN := $(OUT)/gen
STAGE_FLAGS := $(CFLAGS) -D_GNU_SOURCE -I$(GEN) -Istage

# The hash of steps.def that plans carry.
$(GEN)/steps_hash.h: stage/steps.def
	mkdir -p $(GEN)
	echo "#define STEPS_HASH_BYTES $$(sha256sum $< | cut -c1-64 | sed 's/../0x&,/g')" > $@

$(OUT)/stage: $(STAGE_SOURCES) $(STAGE_HEADERS) $(GEN)/steps_hash.h stage/rules.mk | $(OUT)
	$(MUSL) $(STAGE_FLAGS) -ffunction-sections -fdata-sections $(KERNEL_HEADERS) $(STAGE_SOURCES) -o $@ $(LDFLAGS_STATIC)

asan: $(OUT)/asan/stage
$(OUT)/asan/stage: $(STAGE_SOURCES) $(STAGE_HEADERS) $(GEN)/steps_hash.h stage/rules.mk | $(OUT)/asan
	$(CC) $(STAGE_FLAGS) -g -fsanitize=address,undefined -fno-sanitize-recover=all $(STAGE_SOURCES) -o $@

fuzz: $(OUT)/fuzz/plan
$(OUT)/fuzz/plan: stage/fuzz_plan.c stage/plan.c stage/plan_kinds.c $(STAGE_HEADERS) $(GEN)/steps_hash.h stage/rules.mk | $(OUT)/fuzz
	clang $(STAGE_FLAGS) -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all stage/fuzz_plan.c stage/plan.c stage/plan_kinds.c -o $@
