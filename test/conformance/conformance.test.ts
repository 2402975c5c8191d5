/** The suite with the runtime that $RUNTIME names: the tare-oci of this tree, unless told; a copy of it, since some cases are of another user. */
import { afterAll } from 'vitest';
import { publicCopy } from '../harness/public-copy.js';
import { chosenRuntime } from './bench.js';
import { register } from './register.js';

const copy = process.env.RUNTIME ? undefined : publicCopy();
afterAll(() => copy?.[Symbol.dispose]());

register(chosenRuntime(copy?.tareOci));
