/** Chain ids: the name of a layer together with all that are below it. config.md of the image specification, "Layer ChainID". */
import { type Digest, digestOf } from '../../oci/image/index.js';

/** Of a layer over the chain `parent`: of the lowest layer it is the diff id itself. */
export function chainIdOf(parent: Digest | undefined, diffId: Digest): Digest {
  return parent === undefined ? diffId : digestOf(`${parent} ${diffId}`);
}

/** One for each layer, the lowest first. */
export function chainIdsOf(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) chain.push(chainIdOf(chain.at(-1), diffId));
  return chain;
}
