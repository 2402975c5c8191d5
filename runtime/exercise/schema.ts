/**
 * The front matter of exercise.md and lesson.md: YAML between two lines of `---`, checked by a strict schema. A field that is
 * missing, of the wrong type or not known is a TareError `config` that names the file and the field, so that an author
 * sees at once what to mend.
 */
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { TareError } from '../kernel/error.js';
import { FEATURES } from './features.js';

const id = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be lower-case letters, digits and dashes');
/** No quote, dollar or backslash: values are put into shell scripts as they are. */
const value = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 ._/-]*$/, 'may hold letters, digits, space and . _ / - only');
const sentence = z.string().trim().min(1, 'must not be empty');

export const exerciseSchema = z.strictObject({
  id,
  title: sentence,
  chapter: z.int().min(1).max(99),
  minutes: z.int().min(1).max(120),
  difficulty: z.enum(['easy', 'medium', 'hard']),
  concepts: z.array(sentence).min(1),
  prerequisites: z.array(id),
  systems: z.array(sentence),
  env: z.strictObject({
    terminals: z.int().min(1).max(6),
    features: z.array(z.enum(Object.keys(FEATURES) as [string, ...string[]])),
    kernelMin: z.string().regex(/^\d{1,2}\.\d{1,3}$/, 'must be a version such as "5.2", in quotes'),
  }),
  vars: z
    .record(z.string().regex(/^[a-z][a-z0-9]*$/, 'must be lower-case letters and digits'), z.array(value).min(2))
    .default({}),
  tasks: z
    .array(
      z.strictObject({
        id,
        prompt: sentence,
        mode: z.enum(['edge', 'level']),
        needs: z.array(id).default([]),
        hints: z.array(z.strictObject({ when: id, text: sentence })).default([]),
      }),
    )
    .min(1),
});

export const lessonSchema = z.strictObject({
  number: z.int().min(1).max(99),
  title: sentence,
  summary: sentence,
  minutes: z.int().min(1).max(120),
  systems: z.array(sentence).default([]),
});

export const outlineSchema = z.strictObject({
  chapters: z.array(z.strictObject({ number: z.int().min(1).max(99), title: sentence, summary: sentence })),
});

/** Splits a Markdown file into its checked front matter and what follows. `file` is for errors. */
export function parseFrontMatter<T>(file: string, text: string, schema: z.ZodType<T>): { front: T; body: string } {
  const match = /^---\n([\s\S]*?\n)---\n([\s\S]*)$/.exec(text);
  if (!match) throw new TareError('config', `${file}: no front matter between two lines of ---`, { path: file });
  return { front: parseYaml(file, match[1] as string, schema), body: match[2] as string };
}

/** Reads YAML and checks it. @throws TareError `config`, naming the file and the field or line. */
export function parseYaml<T>(file: string, text: string, schema: z.ZodType<T>): T {
  const document = parseDocument(text, { uniqueKeys: true });
  const broken = document.errors[0];
  if (broken) {
    throw new TareError('config', `${file}: not YAML: ${broken.message.split('\n')[0]}`, { cause: broken, path: file });
  }
  const result = schema.safeParse(document.toJS());
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (!issue) throw new TareError('internal', `${file}: refused for no reason`, { cause: result.error });
  const field = fieldOf(issue);
  throw new TareError('config', `${file}: ${field}: ${sentenceOf(issue)}`, { cause: result.error, path: field });
}

/** `tasks[0].mode`; for an unknown key, that key. */
function fieldOf(issue: z.core.$ZodIssue): string {
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path;
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return text.replace(/^\./, '') || 'front matter';
}

function sentenceOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return 'no such field';
  if (issue.code === 'invalid_type' && issue.input === undefined) return `missing, or not of type ${issue.expected}`;
  return issue.message;
}
