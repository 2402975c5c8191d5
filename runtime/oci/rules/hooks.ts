/** The rules of `hooks` and `annotations`: config.md#posix-platform-hooks, config.md#annotations. */
import { HOOK_NAMES } from '../config.js';
import { absolute, faultIf, type Rule } from './rule.js';

export const ofHooks: Rule = ({ hooks }) =>
  HOOK_NAMES.flatMap((name) =>
    (hooks?.[name] ?? []).flatMap((hook, i) => absolute(`hooks.${name}[${i}].path`, hook.path)),
  );

export const ofAnnotations: Rule = ({ annotations = {} }) =>
  faultIf(Object.hasOwn(annotations, ''), 'annotations[""]', 'has no name');
