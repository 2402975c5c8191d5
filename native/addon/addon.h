/*
 * addon.h: what the files of the addon share. The addon is the face that runtime/kernel/native.ts describes: one thin
 * function per system call, each reading its arguments, making the call, and throwing with the call as strace shows it.
 * It decides nothing, and changes no attribute of Node's process or threads.
 */
#ifndef TARE_ADDON_H
#define TARE_ADDON_H

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <napi.h>

namespace tare {

/* What belongs to one environment (the main thread, or a worker): the function that makes errors. */
struct Instance {
    Napi::FunctionReference make_error;
};

/* errors.cc */

/* The error of a failed call, made by the function that TypeScript registered: `throw failure(...)`. */
Napi::Error failure(Napi::Env env, const char *name, int error, std::initializer_list<std::string> args);

/* Arguments as strace shows them. */
std::string show(int64_t number);
std::string show_fd(int fd);
std::string show_hex(uint64_t flags);
std::string show_octal(uint64_t mode);
std::string show_string(const std::string &text);
std::string show_list(const std::vector<int> &numbers);

/* arguments.cc: each throws a TypeError that names the argument when it is not what it must be. */

int get_int(const Napi::CallbackInfo &info, size_t index);
uint64_t get_unsigned(const Napi::CallbackInfo &info, size_t index);
/* What the kernel takes as 32 bits: an owner of 2^32 is no owner, and never becomes 0. CVE-2024-40635 */
uint32_t get_uint32(const Napi::CallbackInfo &info, size_t index);
/* Refuses NUL bytes: the kernel would see another string than TypeScript checked. */
std::string get_string(const Napi::CallbackInfo &info, size_t index);
/* A name or path as the kernel has it: a string is UTF-8, a Uint8Array is the bytes. Refuses NUL bytes too. */
std::string get_name(const Napi::CallbackInfo &info, size_t index);
std::vector<std::string> get_strings(const Napi::CallbackInfo &info, size_t index);
std::vector<int> get_fds(const Napi::CallbackInfo &info, size_t index);
/* The bytes stay the caller's: valid during the call only. */
struct Bytes {
    const uint8_t *data;
    size_t size;
};
Bytes get_bytes(const Napi::CallbackInfo &info, size_t index);

/* One a file: puts its functions into the module's exports. */
void register_files(Napi::Env env, Napi::Object exports);
void register_tree(Napi::Env env, Napi::Object exports);
void register_attributes(Napi::Env env, Napi::Object exports);
void register_content(Napi::Env env, Napi::Object exports);
void register_zstd(Napi::Env env, Napi::Object exports);
void register_sockets(Napi::Env env, Napi::Object exports);
void register_spawn(Napi::Env env, Napi::Object exports);
void register_processes(Napi::Env env, Napi::Object exports);
void register_kernel(Napi::Env env, Napi::Object exports);
void register_namespaces(Napi::Env env, Napi::Object exports);
void register_netlink(Napi::Env env, Napi::Object exports);
void register_watch(Napi::Env env, Napi::Object exports);

} // namespace tare

#endif
