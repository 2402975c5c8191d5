/** Variables, quotes and escapes of a word. The cases of the language's own definition, with what a shell does where it says nothing. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are what is expanded
import { describe, expect, it } from 'vitest';
import { expandWord, expandWords, parseMount } from '../../../runtime/image/build/parse/index.js';
import { Source } from '../../../runtime/image/build/parse/source.js';

const VARIABLES: Readonly<Record<string, string>> = {
  PWD: '/home',
  SHELL: 'bash',
  NULL: '',
  KOREAN: '한국어',
  PATHS: '/a/b/c.tar.gz',
  SPACES: ' x  y ',
};
const variables = { get: (name: string) => (Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined) };
const source = new Source('Dockerfile', 'FROM scratch');
const word = (text: string) => ({ text, at: { line: 1, column: 6 } });

function expand(text: string, options = {}): string | undefined {
  try {
    return expandWord(source, word(text), variables, options);
  } catch (error) {
    expect((error as Error).message).toMatch(/^Dockerfile:1:6: .+\n1 \| FROM scratch\n {2}\| {6}\^$/);
    return undefined;
  }
}

describe('one word', () => {
  it.each<[string, string | undefined]>([
    ['hello', 'hello'],
    ["he'll'o", 'hello'],
    ["he'llo", undefined],
    ["he\\'llo", "he'llo"],
    ["he\\\\'llo", undefined],
    ['abc\\tdef', 'abctdef'],
    ['"abc\\tdef"', 'abc\\tdef'],
    ['"abc\\\\tdef"', 'abc\\tdef'],
    ["'abc\\tdef'", 'abc\\tdef'],
    ['hello\\', 'hello'],
    ['hello\\\\', 'hello\\'],
    ['"hello', undefined],
    ['"hello\\"', undefined],
    ['"hel\'lo"', "hel'lo"],
    ["'hello\\'", 'hello\\'],
    ['"\'\'"', "''"],
    ['$.', '$.'],
    ['he$1x', 'hex'],
    ['he$.x', 'he$.x'],
    ['he$pwd.', 'he.'],
    ['he$PWD', 'he/home'],
    ['he\\$PWD', 'he$PWD'],
    ['he\\\\$PWD', 'he\\/home'],
    ['"he\\$PWD"', 'he$PWD'],
    ['"he\\\\$PWD"', 'he\\/home'],
    ['\\${}aaa', '${}aaa'],
    ['${}', undefined],
    ['he${hi}xx', 'hexx'],
    ['he${PWD}', 'he/home'],
    ['he${.}', undefined],
    ['he${XXX:-000}xx', 'he000xx'],
    ['he${NULL:-000}xx', 'he000xx'],
    ['he${NULL-000}xx', 'hexx'],
    ['he${PWD:-000}xx', 'he/homexx'],
    ['he${XXX:-$PWD}xx', 'he/homexx'],
    ['he${XXX:-${YYY:-yyy}}xx', 'heyyyxx'],
    ['he${XXX:YYY}', undefined],
    ['he${XXX?}', undefined],
    ['he${XXX:?say why}', undefined],
    ['he${PWD:?}', 'he/home'],
    ['he${NULL?}', 'he'],
    ['he${NULL:?}', undefined],
    ['he${XXX:+000}xx', 'hexx'],
    ['he${NULL:+000}xx', 'hexx'],
    ['he${NULL+000}xx', 'he000xx'],
    ['he${PWD:+${SHELL}}xx', 'hebashxx'],
    ["'he${XX}'", 'he${XX}'],
    ['"he\'$PWD\'"', "he'/home'"],
    ['he${PWD', undefined],
    ['he${PWD:=000}xx', undefined],
    ['he${PWD:+${PWD}:}xx', 'he/home:xx'],
    ['he${XXX:-\\$PWD:}xx', 'he$PWD:xx'],
    ['he${XXX:-\\${PWD}z}xx', 'he${PWDz}xx'],
    ["안'녕'하세요$KOREAN", '안녕하세요한국어'],
    ['${aaa}}', '}'],
    ['${aaa:-bbb {foo}', 'bbb {foo'],
    ['${:-bbb}', undefined],
    ['${1:-bbb}', 'bbb'],
    ['$001aaa', 'aaa'],
    ['$@@@', '@@'],
    ['${#:-bbb}', 'bbb'],
    ['${?}', ''],
    ['$SPACES', ' x  y '],
    ['a b', 'a b'],
    ['"<<EOF"', '<<EOF'],
    ['${PATHS#*/}', 'a/b/c.tar.gz'],
    ['${PATHS##*/}', 'c.tar.gz'],
    ['${PATHS%/*}', '/a/b'],
    ['${PATHS%%/*}', ''],
    ['${PATHS%.*}', '/a/b/c.tar'],
    ['${PATHS%%.*}', '/a/b/c'],
    ['${PATHS#x}', '/a/b/c.tar.gz'],
    ['${PATHS#?a}', '/b/c.tar.gz'],
    ['${PATHS#${XXX:-/a}}', '/b/c.tar.gz'],
    ['${PATHS#\\*}', '/a/b/c.tar.gz'],
    ['${PATHS/b/X}', '/a/X/c.tar.gz'],
    ['${PATHS//\\//:}', ':a:b:c.tar.gz'],
    ['${PATHS//[ab]/-}', '/a/b/c.tar.gz'],
    ['${PATHS/b*./-}', '/a/-gz'],
    ['${PATHS/b}', undefined],
    ['${PATHS/b/x', undefined],
    ['${KOREAN#?}', '국어'],
    ['${XXX//a/b}', ''],
    ['${PATHS/.*/\\/}', '/a/b/c\\/'],
    ['${PATHS/$NULL/x}', 'x/a/b/c.tar.gz'],
    ['${SPACES//$NULL/-}', '- -x- - -y- -'],
    ['${SPACES//*/-}', '-'],
  ])('%s', (text, expected) => {
    expect(expand(text)).toBe(expected);
  });

  it('with the other escape character', () => {
    expect(expand('c:\\a`$PWD$PWD', { escape: '`' })).toBe('c:\\a$PWD/home');
  });

  it('of a here-document keeps its quotes', () => {
    expect(expand('it\'s "$PWD" \\$PWD\n', { keepQuotes: true })).toBe('it\'s "/home" $PWD\n');
  });

  it('tells what is not set', () => {
    const unset: string[] = [];
    expand('$a ${b:-x} $PWD', { onUnset: (name: string) => unset.push(name) });
    expect(unset).toEqual(['a']);
  });

  it('says why it stops', () => {
    expect(() => expandWord(source, word('${XXX:?say why}'), variables)).toThrow('XXX: say why');
  });
});

describe('words', () => {
  it.each<[string, string[]]>([
    ['80 $SPACES', ['80', 'x', 'y']],
    ['"$SPACES"', [' x  y ']],
    ['a$SPACES"b c"', ['a', 'x', 'y', 'b c']],
    ['$NULL', []],
    ['a\\ b', ['a b']],
  ])('%s', (text, expected) => {
    expect(expandWords(source, word(text), variables)).toEqual(expected);
  });
});

describe('time and size are bounded', () => {
  it.each<[string, string]>([
    ['a value that doubles', '${BIG}'.repeat(3)],
    ['variables in variables', `$\{x:-`.repeat(5000)],
    ['a pattern with many possibilities', `$\{BIG//${'*?'.repeat(500)}y/x}`],
  ])('%s', (_name, text) => {
    const big = { get: (name: string) => (name === 'BIG' ? 'x'.repeat(500_000) : undefined) };
    expect(() => expandWord(source, word(text), big)).toThrow(/characters come out|deeper than|too long/);
  });
});

describe('mounts', () => {
  it.each<[string, object]>([
    ['target=/a', { type: 'bind', target: '/a', readOnly: true }],
    ['target=/a,rw', { type: 'bind', target: '/a', readOnly: false }],
    [
      'type=bind,from=b,src=/s,dst=/a,readonly=false',
      { type: 'bind', from: 'b', source: '/s', target: '/a', readOnly: false },
    ],
    [
      'type=cache,target=$PWD/c,id=x,sharing=locked,mode=0700,uid=1,gid=2',
      { type: 'cache', target: '/home/c', id: 'x', sharing: 'locked', mode: 0o700, uid: 1, gid: 2, readOnly: false },
    ],
    ['type=tmpfs,target=/t,size=1.5m', { type: 'tmpfs', target: '/t', size: 1_572_864, readOnly: false }],
    ['type=secret,id=s,required,env=TOKEN', { type: 'secret', id: 's', required: true, env: 'TOKEN', readOnly: true }],
    ['type=ssh', { type: 'ssh', readOnly: true }],
    ['"target=/a,b"', { type: 'bind', target: '/a,b', readOnly: true }],
  ])('%s', (text, expected) => {
    const { at: _at, ...mount } = parseMount(source, word(text), variables);
    expect(mount).toEqual({ required: false, ...expected });
  });

  it.each(['target=/a,rw=2', 'type=$XXX,target=/a', '"target=/a', 'target=$NULL', 'type=ssh,sharing=locked', 'target'])(
    'not %s',
    (text) => {
      expect(() => parseMount(source, word(text), variables)).toThrow(/^Dockerfile:1:6: /);
    },
  );
});
