/**
 * The last words of a test run: every skipped test with its reason, then one line with the counts. A skipped test is
 * neither passed nor hidden.
 */
import type { Reporter, TestCase, TestModule } from 'vitest/node';

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const of = (state: string): TestCase[] => tests.filter((test) => test.result().state === state);
    const skipped = of('skipped');
    for (const test of skipped) {
      const result = test.result();
      const note = 'note' in result && result.note ? result.note : 'no reason given';
      console.log(`skipped: ${test.module.relativeModuleId} > ${test.fullName}: ${note}`);
    }
    const broken = modules.filter((module) => module.errors().length > 0).length + unhandled.length;
    console.log(
      `\ntests: ${of('passed').length} passed, ${of('failed').length + broken} failed, ${skipped.length} skipped`,
    );
  }
}
