/*
 * errors.cc: a failed system call becomes an exception. The addon hands name, arguments and errno to a function that
 * runtime/kernel/addon.ts registers; what it returns (a TareError) is thrown. The names of errnos are TypeScript's to know.
 */
#include "addon.h"

#include <cstdio>

#include <fcntl.h>

namespace tare {

Napi::Error failure(Napi::Env env, const char *name, int error, std::initializer_list<std::string> args)
{
    std::string text;
    for (const std::string &arg : args) {
        if (!text.empty()) text += ", ";
        text += arg;
    }
    Napi::Value made = env.GetInstanceData<Instance>()->make_error.Call(
        {Napi::String::New(env, name), Napi::String::New(env, text), Napi::Number::New(env, error)});
    return Napi::Error(env, made);
}

std::string show(int64_t number)
{
    return std::to_string(number);
}

std::string show_fd(int fd)
{
    return fd == AT_FDCWD ? "AT_FDCWD" : std::to_string(fd);
}

static std::string show_format(const char *format, uint64_t value)
{
    char text[40];
    snprintf(text, sizeof text, format, static_cast<unsigned long long>(value));
    return text;
}

std::string show_hex(uint64_t flags)
{
    return flags == 0 ? "0" : show_format("0x%llx", flags);
}

std::string show_octal(uint64_t mode)
{
    return show_format("0%llo", mode);
}

std::string show_string(const std::string &text)
{
    std::string shown = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') {
            shown += '\\';
            shown += c;
        } else if (c == '\n') {
            shown += "\\n";
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            shown += show_format("\\%03llo", static_cast<unsigned char>(c));
        } else {
            shown += c;
        }
    }
    return shown + "\"";
}

std::string show_list(const std::vector<int> &numbers)
{
    std::string shown = "[";
    for (size_t i = 0; i < numbers.size(); i++) {
        if (i > 0) shown += ", ";
        shown += std::to_string(numbers[i]);
    }
    return shown + "]";
}

} // namespace tare
