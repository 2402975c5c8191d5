/*
 * arguments.cc: reads the arguments of a call from TypeScript. A wrong type is a mistake in Tare itself, so it is a
 * TypeError at once, and never a number or string that the kernel would then take for something else.
 */
#include "addon.h"

#include <climits>
#include <cmath>

namespace tare {

static Napi::Error wrong(const Napi::CallbackInfo &info, size_t index, const char *expected)
{
    return Napi::TypeError::New(info.Env(), "argument " + std::to_string(index + 1) + " must be " + expected);
}

/* A number that is not in the range, or none at all, never becomes one that is: as int, NaN is 0 and 2^32 + 1 is 1. */
static double whole(const Napi::CallbackInfo &info, size_t index, Napi::Value given, double min, double max,
                    const char *expected)
{
    double value = given.IsNumber() ? given.As<Napi::Number>().DoubleValue() : NAN;
    if (!(value >= min && value <= max) || value != std::floor(value)) throw wrong(info, index, expected);
    return value;
}

static double get_whole(const Napi::CallbackInfo &info, size_t index, double min, double max, const char *expected)
{
    return whole(info, index, info[index], min, max, expected);
}

int get_int(const Napi::CallbackInfo &info, size_t index)
{
    return static_cast<int>(get_whole(info, index, INT_MIN, INT_MAX, "a 32 bit integer"));
}

uint64_t get_unsigned(const Napi::CallbackInfo &info, size_t index)
{
    constexpr double max_safe = 9007199254740991.0; /* Number.MAX_SAFE_INTEGER */
    return static_cast<uint64_t>(get_whole(info, index, 0, max_safe, "an unsigned integer"));
}

uint32_t get_uint32(const Napi::CallbackInfo &info, size_t index)
{
    return static_cast<uint32_t>(get_whole(info, index, 0, UINT32_MAX, "an unsigned 32 bit integer"));
}

static std::string checked_string(const Napi::CallbackInfo &info, size_t index, Napi::Value value)
{
    if (!value.IsString()) throw wrong(info, index, "a string");
    std::string text = value.As<Napi::String>().Utf8Value();
    if (text.find('\0') != std::string::npos) throw wrong(info, index, "a string without NUL bytes");
    return text;
}

std::string get_string(const Napi::CallbackInfo &info, size_t index)
{
    return checked_string(info, index, info[index]);
}

std::string get_name(const Napi::CallbackInfo &info, size_t index)
{
    if (info[index].IsString()) return get_string(info, index);
    Bytes bytes = get_bytes(info, index);
    std::string name(reinterpret_cast<const char *>(bytes.data), bytes.size);
    if (name.find('\0') != std::string::npos) throw wrong(info, index, "a name without NUL bytes");
    return name;
}

std::vector<std::string> get_strings(const Napi::CallbackInfo &info, size_t index)
{
    if (!info[index].IsArray()) throw wrong(info, index, "an array of strings");
    Napi::Array array = info[index].As<Napi::Array>();
    std::vector<std::string> strings;
    for (uint32_t i = 0; i < array.Length(); i++) strings.push_back(checked_string(info, index, array.Get(i)));
    return strings;
}

std::vector<int> get_fds(const Napi::CallbackInfo &info, size_t index)
{
    std::vector<int> fds;
    if (info[index].IsUndefined()) return fds;
    if (!info[index].IsArray()) throw wrong(info, index, "an array of descriptors");
    Napi::Array array = info[index].As<Napi::Array>();
    for (uint32_t i = 0; i < array.Length(); i++) {
        fds.push_back(static_cast<int>(whole(info, index, array.Get(i), INT_MIN, INT_MAX, "an array of descriptors")));
    }
    return fds;
}

Bytes get_bytes(const Napi::CallbackInfo &info, size_t index)
{
    if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
        throw wrong(info, index, "a Uint8Array");
    Napi::Uint8Array array = info[index].As<Napi::Uint8Array>();
    return {array.Data(), array.ByteLength()};
}

} // namespace tare
