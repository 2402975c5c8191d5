/**
 * The kinds of value that many fields of config.json share: ids, the integers of Go's types, mappings.
 * `definitions` of https://github.com/opencontainers/runtime-spec/blob/main/schema/defs.json
 */
import { array, exactInteger, integer, object, type TypeOf } from './schema.js';

/** Largest id that the kernel has: 2^32-1 means "unchanged" to it. Maps reach so far. */
export const MAX_ID = 2 ** 32 - 2;
/**
 * Largest id that a process is given. What is above has become 0 in programs that took it for a signed number
 * (CVE-2024-40635), so engines refuse it, and so is it here.
 */
export const MAX_USER_ID = 2 ** 31 - 1;

export const id = integer(0, MAX_ID);
export const userId = integer(0, MAX_USER_ID);
export const u16 = integer(0, 2 ** 16 - 1);
export const u32 = integer(0, 2 ** 32 - 1);
export const i32 = integer(-(2 ** 31), 2 ** 31 - 1);
export const u64 = integer(0, 2 ** 64);
export const i64 = integer(-(2 ** 63), 2 ** 63);
/** A bigint where a number would be rounded. */
export const exactU64 = exactInteger(0, 2 ** 64);

/** A run of ids: `size` of them, from `containerID` inside and `hostID` outside. user_namespaces(7). */
const idMapping = object({ containerID: id, hostID: id, size: integer(1, 2 ** 32 - 1) });
export const idMappings = array(idMapping);

export type IdMapping = TypeOf<typeof idMapping>;
