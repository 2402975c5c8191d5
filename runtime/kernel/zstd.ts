/** The face of native/addon/zstd.cc: libzstd, a step at a time, in libuv's thread pool. zstd.h, "Streaming"; RFC 8878 */

/** One stream, in one direction. A second step before the first has ended is a TypeError. It is freed with its last reference. */
export interface ZstdStream {
  /**
   * Takes from `input`, gives to `output`, until the one is used up or the other is full. Both belong to the step until it has ended.
   * With `end` (of a compressor) nothing follows the input. `left` is 0 when a frame has ended, and all of it has been given.
   * @throws Error with zstd's text when the input is no zstd
   */
  step(
    input: Uint8Array,
    output: Uint8Array,
    end: boolean,
  ): Promise<{ readonly consumed: number; readonly produced: number; readonly left: number }>;
}

export interface NativeZstd {
  zstdCompressor(level: number): ZstdStream;
  /** Refuses frames that need a window of more than 2^maxWindowLog bytes. */
  zstdDecompressor(maxWindowLog: number): ZstdStream;
}
