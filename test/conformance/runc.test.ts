/** The suite with runc: what it expects is what a runtime that everybody uses does, but for what differences.ts says. */
import { chosenRuntime } from './bench.js';
import { register } from './register.js';

register(chosenRuntime('runc'));
