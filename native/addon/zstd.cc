/*
 * zstd.cc: libzstd, one step of a stream at a time, in a thread of libuv's pool: Node 20's zlib does not have it. Linked statically: the
 * addon needs nothing to be installed. zstd.h, "Streaming compression" and "Streaming decompression".
 */
#include "addon.h"

#include <memory>

#include <zstd.h>

namespace tare {

/* One stream: owned by its function `step` in JavaScript, and by the step that is under way. */
struct Zstd {
    ZSTD_CCtx *compressor = nullptr;
    ZSTD_DCtx *decompressor = nullptr;
    bool busy = false;
    bool within = false; /* a frame has begun and not ended */

    ~Zstd()
    {
        ZSTD_freeCCtx(compressor); /* both take NULL */
        ZSTD_freeDCtx(decompressor);
    }
};

class Step : public Napi::AsyncWorker {
public:
    Step(Napi::Env env, std::shared_ptr<Zstd> zstd, const Napi::CallbackInfo &info)
        : Napi::AsyncWorker(env, "tare:zstd"), promise(Napi::Promise::Deferred::New(env)), zstd_(std::move(zstd))
    {
        Bytes in = get_bytes(info, 0), out = get_bytes(info, 1);
        in_ = {in.data, in.size, 0};
        out_ = {const_cast<uint8_t *>(out.data), out.size, 0};
        end_ = info[2].ToBoolean();
        in_memory_ = Napi::Persistent(info[0].As<Napi::Object>());
        out_memory_ = Napi::Persistent(info[1].As<Napi::Object>());
        zstd_->busy = true;
    }

    Napi::Promise::Deferred promise;

protected:
    void Execute() override
    {
        if (zstd_->compressor)
            left_ = ZSTD_compressStream2(zstd_->compressor, &out_, &in_, end_ ? ZSTD_e_end : ZSTD_e_continue);
        else
            decompress();
        if (ZSTD_isError(left_)) SetError(ZSTD_getErrorName(left_));
    }

    /*
     * All frames of the input, as a frame that holds nothing is 9 bytes: a step for each would be a million steps for a layer of 9 MB. At
     * the start of each the library would take its forms of 2016 and before, too, by decoders that no writer has needed since; the
     * first byte tells them apart. RFC 8878 sections 3.1.1 and 3.1.2
     */
    void decompress()
    {
        while (zstd_->within || in_.pos < in_.size) {
            if (!zstd_->within) {
                uint8_t first = static_cast<const uint8_t *>(in_.src)[in_.pos];
                if (first != 0x28 && (first & 0xf0) != 0x50) {
                    SetError("no frame of zstd begins here");
                    return;
                }
            }
            size_t before = in_.pos + out_.pos;
            left_ = ZSTD_decompressStream(zstd_->decompressor, &out_, &in_);
            if (ZSTD_isError(left_)) return;
            zstd_->within = left_ > 0;
            if (in_.pos + out_.pos == before) return; /* it waits for more, or for room */
        }
    }

    void OnOK() override
    {
        Napi::HandleScope scope(Env());
        zstd_->busy = false;
        Napi::Object result = Napi::Object::New(Env());
        result.Set("consumed", Napi::Number::New(Env(), static_cast<double>(in_.pos)));
        result.Set("produced", Napi::Number::New(Env(), static_cast<double>(out_.pos)));
        result.Set("left", Napi::Number::New(Env(), static_cast<double>(left_)));
        promise.Resolve(result);
    }

    void OnError(const Napi::Error &error) override
    {
        Napi::HandleScope scope(Env());
        zstd_->busy = false;
        promise.Reject(error.Value());
    }

private:
    std::shared_ptr<Zstd> zstd_;
    Napi::ObjectReference in_memory_, out_memory_; /* it stays where it is until the step is over */
    ZSTD_inBuffer in_;
    ZSTD_outBuffer out_;
    bool end_;
    size_t left_ = 0;
};

static Napi::Value step(const Napi::CallbackInfo &info)
{
    std::shared_ptr<Zstd> zstd = *static_cast<std::shared_ptr<Zstd> *>(info.Data());
    if (zstd->busy) throw Napi::TypeError::New(info.Env(), "a step of this stream is still under way");
    Step *step = new Step(info.Env(), zstd, info); /* deletes itself */
    Napi::Value promise = step->promise.Promise();
    step->Queue();
    return promise;
}

static Napi::Value make_stream(Napi::Env env, std::shared_ptr<Zstd> zstd)
{
    Napi::Object stream = Napi::Object::New(env);
    auto *share = new std::shared_ptr<Zstd>(std::move(zstd));
    Napi::Function function = Napi::Function::New(env, step, "step", share);
    function.AddFinalizer([](Napi::Env, std::shared_ptr<Zstd> *old) { delete old; }, share);
    stream.Set("step", function);
    return stream;
}

static Napi::Value compressor(const Napi::CallbackInfo &info)
{
    int level = get_int(info, 0);
    auto zstd = std::make_shared<Zstd>();
    zstd->compressor = ZSTD_createCCtx();
    if (!zstd->compressor || ZSTD_isError(ZSTD_CCtx_setParameter(zstd->compressor, ZSTD_c_compressionLevel, level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(zstd->compressor, ZSTD_c_checksumFlag, 1)))
        throw Napi::RangeError::New(info.Env(), "zstd cannot compress so");
    return make_stream(info.Env(), zstd);
}

static Napi::Value decompressor(const Napi::CallbackInfo &info)
{
    int max_window_log = get_int(info, 0);
    auto zstd = std::make_shared<Zstd>();
    zstd->decompressor = ZSTD_createDCtx();
    if (!zstd->decompressor || ZSTD_isError(ZSTD_DCtx_setParameter(zstd->decompressor, ZSTD_d_windowLogMax, max_window_log)))
        throw Napi::RangeError::New(info.Env(), "zstd cannot decompress so");
    return make_stream(info.Env(), zstd);
}

void register_zstd(Napi::Env env, Napi::Object exports)
{
    exports.Set("zstdCompressor", Napi::Function::New(env, compressor, "zstdCompressor"));
    exports.Set("zstdDecompressor", Napi::Function::New(env, decompressor, "zstdDecompressor"));
}

} // namespace tare
