/**
 * Lists of processors and memory nodes, as `0-3,7` (cpuset(7), "List format"). Spaces around an element and elements with
 * nothing in them are taken, as other runtimes take them.
 */

/** More than any kernel has (CONFIG_NR_CPUS is at most 8192): a longer range is a slip, and would be held in memory. */
const MOST = 65_535;

/** The numbers of a list, ascending, each once; null for text that is no such list. */
export function parseNumberList(text: string): number[] | null {
  const numbers = new Set<number>();
  for (const element of text.split(',').map((part) => part.trim())) {
    if (element === '') continue;
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(element) ?? [];
    if (first === undefined || Number(last) < Number(first) || Number(last) > MOST) return null;
    for (let number = Number(first); number <= Number(last); number++) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}
