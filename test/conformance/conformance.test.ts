/** The suite with the runtime that $RUNTIME names: the tare-oci of this tree, unless told. */
import { chosenRuntime } from './bench.js';
import { register } from './register.js';

register(chosenRuntime());
