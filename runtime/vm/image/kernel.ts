/**
 * Takes the kernel's ELF file (vmlinux) out of the bzImage that distributions ship: QEMU's microvm enters it directly by PVH,
 * without firmware and without unpacking it in the guest. The header is described in Documentation/arch/x86/boot.rst.
 */
import { spawnSync } from 'node:child_process';
import { gunzipSync } from 'node:zlib';
import { TareError } from '../../kernel/error.js';

const SETUP_SECTORS = 0x1f1;
const MAGIC = 0x202; // "HdrS"
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const MAX_KERNEL = 256 << 20;

/** Each compressor that the kernel's build offers and Debian has used: its magic, and who unpacks it. */
const COMPRESSORS = [
  { name: 'gzip', magic: '1f8b', unpack: (data: Buffer) => gunzipSync(data) },
  { name: 'lz4', magic: '02214c18', unpack: (data: Buffer) => pipe('lz4', ['-dc'], data.subarray(0, -4)) }, // the last 4 bytes are the size
  { name: 'xz', magic: 'fd377a585a00', unpack: (data: Buffer) => pipe('xz', ['-dc'], data.subarray(0, -4)) },
  { name: 'zstd', magic: '28b52ffd', unpack: (data: Buffer) => pipe('zstd', ['-dc'], data.subarray(0, -4)) },
] as const;

/** The ELF file within a bzImage. Throws `unsupported` for what is not one, or is packed in an unknown way. */
export function extractVmlinux(bzImage: Buffer): Buffer {
  if (bzImage.length < 0x260 || bzImage.toString('latin1', MAGIC, MAGIC + 4) !== 'HdrS')
    throw new TareError('unsupported', 'the kernel is not a bzImage');
  const start = ((bzImage[SETUP_SECTORS] || 4) + 1) * 512 + bzImage.readUInt32LE(PAYLOAD_OFFSET);
  const payload = bzImage.subarray(start, start + bzImage.readUInt32LE(PAYLOAD_LENGTH));
  const compressor = COMPRESSORS.find(({ magic }) => payload.subarray(0, magic.length / 2).toString('hex') === magic);
  if (!compressor) throw new TareError('unsupported', 'the kernel is compressed in a way that Tare does not know');
  const elf = compressor.unpack(payload);
  if (elf.toString('latin1', 0, 4) !== '\x7fELF')
    throw new TareError('unsupported', `the kernel’s ${compressor.name} payload is not an ELF file`);
  return elf;
}

function pipe(program: string, args: string[], input: Buffer): Buffer {
  const result = spawnSync(program, args, { input, maxBuffer: MAX_KERNEL });
  if (result.error) throw new TareError('not-found', `${program} is not installed`, { cause: result.error });
  if (result.status !== 0)
    throw new TareError('machine', `${program} could not unpack the kernel: ${result.stderr.toString().trim()}`);
  return result.stdout;
}
