/** Which stage a name means: of FROM, `COPY --from`, and `RUN --mount=from=`. */
import type { Dockerfile, Stage } from './types.js';

/**
 * An earlier stage by name (the last of that name, in any case), or by number where the language takes numbers (everywhere but in FROM).
 * Undefined: it is the name of an image.
 */
export function stageOf(
  dockerfile: Pick<Dockerfile, 'stages'>,
  before: number,
  name: string,
  { byNumber = true } = {},
): Stage | undefined {
  const earlier = dockerfile.stages.slice(0, before);
  if (byNumber && /^\d+$/.test(name)) return earlier[Number(name)];
  const wanted = name.toLowerCase();
  return earlier.findLast((stage) => stage.name === wanted);
}
