# The addon, compiled without node-gyp: Node-API is a stable ABI, so the headers of two npm packages are all that it needs, and
# libuv's (Debian: libuv1-dev) for uv_poll_*, whose code is in Node itself. libzstd (libzstd-dev) is linked in.
ADDON_PARTS := arguments errors files tree attributes content zstd sockets spawn processes kernel namespaces netlink watch module
ADDON_LIBS := -l:libzstd.a -Wl,--exclude-libs,libzstd.a
ADDON_OBJECTS := $(ADDON_PARTS:%=$(OUT)/addon/%.o)
# Of a worker that ends while a step of its own is under way nobody hears an error any more, and the process goes on: the last macro.
ADDON_CXXFLAGS := -std=c++17 -O2 -fPIC -fvisibility=hidden $(WARN) -DNAPI_VERSION=9 -DNAPI_CPP_EXCEPTIONS -DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS \
	-isystem $(ROOT)/node_modules/node-addon-api -isystem $(ROOT)/node_modules/node-api-headers/include

$(OUT)/tare.node: $(ADDON_OBJECTS)
	$(CXX) -shared -s -o $@.new $^ $(ADDON_LIBS)
	mv $@.new $@

$(OUT)/addon/%.o: addon/%.cc addon/addon.h | $(OUT)/addon
	$(CXX) $(ADDON_CXXFLAGS) -c -o $@ $<

$(OUT)/addon:
	mkdir -p $@

# Node itself is not instrumented, so the library is preloaded: test/kernel/asan.test.ts.
asan: $(OUT)/asan/tare.node
$(OUT)/asan/tare.node: $(ADDON_PARTS:%=addon/%.cc) addon/addon.h | $(OUT)/asan
	$(CXX) $(ADDON_CXXFLAGS) -O1 -g -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all -shared -o $@ $(ADDON_PARTS:%=addon/%.cc) $(ADDON_LIBS)
