/** The lab's data over HTTP, as the views of ../../protocol.ts. A failure is an Error with one sentence to show. */
import type { ChapterListView, ChapterView, ProgressView } from '../../protocol.js';

export const getChapters = () => ask<ChapterListView>('GET', '/api/chapters');
export const getChapter = (id: string) => ask<ChapterView>('GET', `/api/chapters/${encodeURIComponent(id)}`);
export const clearProgress = () => ask<ProgressView>('DELETE', '/api/progress');

async function ask<View>(method: string, path: string): Promise<View> {
  let response: Response;
  try {
    response = await fetch(path, { method });
  } catch {
    throw new Error('The lab does not answer. Is its program still running?');
  }
  if (!response.ok) throw new Error((await response.text()).trim() || `The lab answered ${response.status}.`);
  return (await response.json()) as View;
}
