/** The exercises of chapter 5 prove themselves. */
import { proveChapter } from './prove-chapter.js';

await proveChapter(5);
