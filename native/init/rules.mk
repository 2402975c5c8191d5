# init: the in-container init. Static with musl; dynamic under AddressSanitizer and UBSan.
INIT_FLAGS := $(CFLAGS) -D_GNU_SOURCE

$(OUT)/init: init/init.c init/rules.mk | $(OUT)
	$(MUSL) $(INIT_FLAGS) -ffunction-sections -fdata-sections init/init.c -o $@ $(LDFLAGS_STATIC)

asan: $(OUT)/asan/init
$(OUT)/asan/init: init/init.c init/rules.mk | $(OUT)/asan
	$(CC) $(INIT_FLAGS) -g -fsanitize=address,undefined -fno-sanitize-recover=all init/init.c -o $@
