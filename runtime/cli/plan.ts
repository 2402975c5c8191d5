/** `tare plan`: the plan that would make a container, printed, as JSON, or compared with another's. Nothing is made. */
import { isatty } from 'node:tty';
import { Command } from 'commander';
import { prepare } from '../container/index.js';
import { TareError } from '../kernel/error.js';
import { FEATURES, type FeatureName, type Features, probeFeatures, withoutFeatures } from '../kernel/features.js';
import type { Bundle } from '../oci/index.js';
import { diffPlans, type Plan, planToJson, printDiff, printPlan } from '../plan/index.js';
import { addContainerOptions, bundleOf, type ContainerOptions } from './container-options.js';
import { describeContainer, isOfImage } from './image-container.js';
import { inOwnUserNamespace } from './own-users.js';
import { print } from './print.js';
import { warn } from './report-error.js';
import { windowSize } from './terminal-proxy.js';

interface PlanOptions extends ContainerOptions {
  readonly json?: boolean;
  readonly diff?: readonly string[];
  readonly order?: boolean;
  readonly full?: boolean;
  readonly featuresWithout?: string;
}

export function planCommand(): Command {
  return addContainerOptions(new Command('plan'))
    .option('--json', 'for machines; "tare/plan.schema.json" describes it')
    .option('--diff <bundle...>', 'two bundles: print what differs between their plans')
    .option('--order', 'all lanes side by side, in the order in which they run')
    .option('--full', 'shorten nothing')
    .option('--features-without <names>', 'as on a kernel without these, separated by commas')
    .addHelpText(
      'after',
      `
Examples:
  tare plan --bundle ./bundle
  tare plan --userns 100000 debian:12
  tare plan --rootfs ./rootfs --memory 64m -- /bin/sh
  tare plan --diff ./bundle-a ./bundle-b
  tare plan --bundle ./bundle --features-without mountSetattr,cloneIntoCgroup`,
    )
    .action(async (words: string[], options: PlanOptions) => {
      const features = featuresFor(options.featuresWithout);
      if (options.diff) await print(differenceText(options.diff, words, features, options));
      else if (!(isOfImage(options, words) && (await inOwnUserNamespace()))) {
        using described = await describeContainer(ANY_ID, options, words, { onlyPlan: true });
        await print(planText(compile(described.bundle, features, options.init), options));
      }
    });
}

function planText(plan: Plan, options: PlanOptions): string {
  if (options.json) return `${JSON.stringify(planToJson(plan), null, 2)}\n`;
  const terminal = isatty(1);
  return printPlan(plan, {
    color: terminal && !process.env.NO_COLOR,
    width: terminal ? windowSize()?.columns : undefined,
    view: options.order ? 'order' : 'lanes',
    full: options.full,
  });
}

function differenceText(
  folders: readonly string[],
  words: readonly string[],
  features: Features,
  options: PlanOptions,
): string {
  if (words.length > 0 || options.bundle !== undefined || options.rootfs !== undefined) {
    throw new TareError(
      'usage',
      '--diff compares two bundles as they are: leave out --rootfs, --bundle and the command',
    );
  }
  const [a, b, ...more] = folders;
  if (a === undefined || b === undefined || more.length > 0) {
    throw new TareError('usage', `--diff takes two bundles, not ${folders.length}: tare plan --diff A B`);
  }
  const [before, after] = [a, b].map((folder) =>
    compile(bundleOf({ bundle: folder }, []), features, undefined, `${folder}: `),
  ) as [Plan, Plan];
  const difference = diffPlans(before, after);
  if (options.json) return `${JSON.stringify(difference, numbers, 2)}\n`;
  const color = isatty(1) && !process.env.NO_COLOR;
  return printDiff(difference, { names: [a, b], color }) || 'the plans are the same\n';
}

/** In place of the id, which a plan has and a bundle has not. */
const ANY_ID = 'ID';

/** @param whose begins each warning */
function compile(bundle: Bundle, features: Features, init?: boolean, whose = ''): Plan {
  const { plan, warnings } = prepare({ bundle, id: ANY_ID, features, init });
  for (const sentence of warnings) warn('tare', `${whose}${sentence}`);
  return plan;
}

function featuresFor(names: string | undefined): Features {
  const features = probeFeatures();
  if (names === undefined) return features;
  const without = names
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  if (without.length === 0) throw new TareError('usage', '--features-without is empty: name what to do without');
  const unknown = without.find((name) => !Object.hasOwn(FEATURES, name));
  if (unknown !== undefined) {
    throw new TareError('usage', `there is no feature "${unknown}"; there are ${Object.keys(FEATURES).join(', ')}`);
  }
  return withoutFeatures(features, ...(without as FeatureName[]));
}

function numbers(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}
