/**
 * Bundles the lab's page into dist/web-lab/client: everything that it needs, fonts included, so that it works offline.
 * Nothing is inlined, because the page's Content-Security-Policy allows only what comes from files of the server.
 */
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../../dist/web-lab/client',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
});
