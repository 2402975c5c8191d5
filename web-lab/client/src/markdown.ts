/**
 * Lessons and exercises are Markdown; raw HTML in them is shown as text. Code blocks get a bar with their file or language and
 * their buttons, which the view listens to as a whole; a block ```` ```exercise ID ```` splits the lesson, because what
 * stands there is alive.
 */
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import diff from 'highlight.js/lib/languages/diff';
import json from 'highlight.js/lib/languages/json';
import typescript from 'highlight.js/lib/languages/typescript';
import yaml from 'highlight.js/lib/languages/yaml';
import MarkdownIt from 'markdown-it';

export type Part =
  | { readonly kind: 'html'; readonly html: string }
  | { readonly kind: 'exercise'; readonly id: string };

for (const [name, language] of Object.entries({ bash, c, diff, json, typescript, yaml }))
  hljs.registerLanguage(name, language);
hljs.registerAliases(['sh', 'shell', 'console'], { languageName: 'bash' });
hljs.registerAliases(['ts', 'js', 'javascript'], { languageName: 'typescript' });

const md = new MarkdownIt({ html: false, linkify: false, typographer: false });

/** A lesson, cut where its exercises stand. */
export function renderLesson(markdown: string): Part[] {
  const parts: Part[] = [];
  const env = {};
  let pending: ReturnType<typeof md.parse> = [];
  const flush = () => {
    if (pending.length > 0) parts.push({ kind: 'html', html: md.renderer.render(pending, md.options, env) });
    pending = [];
  };
  for (const token of md.parse(markdown, env)) {
    const id = token.type === 'fence' && token.level === 0 ? /^exercise +(\S+)/.exec(token.info)?.[1] : undefined;
    if (id === undefined) {
      pending.push(token);
      continue;
    }
    flush();
    parts.push({ kind: 'exercise', id });
  }
  flush();
  return parts;
}

export function renderMarkdown(markdown: string): string {
  return md.render(markdown);
}

/** One line: a task's prompt, a hint. */
export function renderInline(markdown: string): string {
  return md.renderInline(markdown);
}

/** Code with its colours, as HTML. */
export function highlight(code: string, language: string): string {
  return hljs.getLanguage(language) ? hljs.highlight(code, { language }).value : md.utils.escapeHtml(code);
}

md.renderer.rules.fence = (tokens, index) => {
  const token = tokens[index];
  const [language = '', ...words] = (token?.info ?? '').trim().split(/\s+/);
  const fact = (name: string) => words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
  const { escapeHtml } = md.utils;
  const code = (token?.content ?? '').replace(/\n$/, '');
  const file = fact('file');
  const lines = fact('lines');
  const runs = words.includes('run');
  const label = file
    ? `${escapeHtml(file)}${lines ? ` <span>lines ${escapeHtml(lines)}</span>` : ''}`
    : (LABELS[language] ?? language);
  const title = file ? `<span class="code-file">${label}</span>` : escapeHtml(label);
  const run = runs ? '<button type="button" class="code-button code-run" data-code="run">Run</button>' : '';
  return (
    `<figure class="code${language === 'out' ? ' code-out' : ''}${runs ? ' code-runs' : ''}">` +
    `<figcaption><span class="code-label">${title}</span>${run}<button type="button" class="code-button" data-code="copy">Copy</button></figcaption>` +
    `<pre tabindex="0"><code>${highlight(code, language)}</code></pre></figure>\n`
  );
};

const LABELS: Readonly<Record<string, string>> = {
  sh: 'Shell',
  bash: 'Shell',
  out: 'What it shows',
  ts: 'TypeScript',
  c: 'C',
  json: 'JSON',
  '': 'Text',
};

md.renderer.rules.link_open = (tokens, index, options, _env, self) => {
  const token = tokens[index];
  // Links out of the lab open beside it, and the other site learns nothing about this page.
  if (/^https?:/.test(String(token?.attrGet('href') ?? ''))) {
    token?.attrSet('target', '_blank');
    token?.attrSet('rel', 'noopener noreferrer');
  }
  return self.renderToken(tokens, index, options);
};

md.renderer.rules.table_open = () => '<div class="table" tabindex="0"><table>\n';
md.renderer.rules.table_close = () => '</table></div>\n';
