# The guest agent: PID 1 of a virtual machine. Static (musl) for the guest, dynamic under AddressSanitizer for its tests,
# and a libFuzzer target for the frame decoder.
AGENT_SOURCES := main.c boot.c frames.c port.c channels.c launch.c requests.c files.c plans.c activity.c wake.c tsc.c seal.c
AGENT_C := $(addprefix agent/,$(AGENT_SOURCES))
AGENT_H := agent/agent.h agent/frames.h stage/protocol.h

$(OUT)/agent: $(AGENT_C) $(AGENT_H) | $(OUT)
	$(MUSL) $(CFLAGS) -D_GNU_SOURCE $(KERNEL_HEADERS) -ffunction-sections -fdata-sections $(LDFLAGS_STATIC) -o $@ $(AGENT_C)

$(OUT)/asan/agent: $(AGENT_C) $(AGENT_H) | $(OUT)/asan
	clang -std=gnu17 -D_GNU_SOURCE -O1 -g $(WARN) -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ $(AGENT_C)

$(OUT)/fuzz/frames: agent/fuzz_frames.c agent/frames.c agent/frames.h | $(OUT)/fuzz
	clang -std=gnu17 -O1 -g $(WARN) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ agent/fuzz_frames.c agent/frames.c

asan: $(OUT)/asan/agent
fuzz: $(OUT)/fuzz/frames
