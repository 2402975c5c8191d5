/**
 * A ProcSource that asks each question once: all checks of one run see the same answers, and a file that three of them read
 * crosses to the machine a single time. Made anew for every run.
 */
import type { FileFacts, ProcSource } from '../inspect/index.js';

export function cachedSource(source: ProcSource): ProcSource {
  const files = new Map<string, Promise<Buffer>>();
  const links = new Map<string, Promise<string>>();
  const lists = new Map<string, Promise<string[]>>();
  const facts = new Map<string, Promise<FileFacts>>();
  return {
    readFile: (path, maxBytes) => once(files, `${maxBytes ?? ''} ${path}`, () => source.readFile(path, maxBytes)),
    readlink: (path) => once(links, path, () => source.readlink(path)),
    readdir: (path) => once(lists, path, () => source.readdir(path)),
    stat: (path) => once(facts, path, () => source.stat(path)),
  };
}

function once<T>(answers: Map<string, Promise<T>>, question: string, ask: () => Promise<T>): Promise<T> {
  const known = answers.get(question);
  if (known) return known;
  const answer = ask();
  answers.set(question, answer);
  return answer;
}
