/** The exercises of chapter 1 prove themselves. */
import { proveChapter } from './prove-chapter.js';

await proveChapter(1);
