import { defineConfig } from 'vitest/config';

/**
 * Tests mirror the source: test/<folder> for the units of runtime/<folder>, and test/system, security and browser for what needs
 * the real kernel, a virtual machine or a browser.
 */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: './test/harness/cgroup-parents.ts',
    // To end what hangs, also on a machine that is busy with much else.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
    pool: 'forks',
    reporters: ['default', './test/harness/summary-reporter.ts'],
  },
});
