/** The exercises of chapter 3 prove themselves. */
import { proveChapter } from './prove-chapter.js';

await proveChapter(3);
