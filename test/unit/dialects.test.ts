import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DIALECT_PARSE_CHARS_MAX, OUTBOUND_TEXT_BYTES_MAX } from '../../src/base/limits/messages.ts';
import type { Markup } from '../../src/channels/dialects/dialect.ts';
import { inDialect, piecesOf, textIn } from '../../src/channels/dialects/outgoing.ts';
import { randomOf } from '../fakes/random.ts';

const DIALECTS = ['telegram-html', 'slack-mrkdwn', 'discord', 'teams', 'whatsapp', 'plain'] as const;
const ALL: readonly Markup[] = [...DIALECTS, 'github', 'markdown'];

/** What is written, and how each of `DIALECTS` says it. */
const SAID: [name: string, markdown: string, shown: string[]][] = [
  ['bold', '**a b**', ['<b>a b</b>', '*a b*', '**a b**', '**a b**', '*a b*', 'a b']],
  ['italic', '*a*', ['<i>a</i>', '_a_', '*a*', '_a_', '_a_', 'a']],
  ['struck', '~~a~~', ['<s>a</s>', '~a~', '~~a~~', '~~a~~', '~a~', 'a']],
  ['nested', '**a *b* c**', ['<b>a <i>b</i> c</b>', '*a _b_ c*', '**a *b* c**', '**a _b_ c**', '*a _b_ c*', 'a b c']],
  ['code', '`a<b`', ['<code>a&lt;b</code>', '`a&lt;b`', '`a<b`', '`a<b`', '`a<b`', 'a<b']],
  [
    'a block of code',
    '```ts\na & b\n```',
    [
      '<pre><code class="language-ts">a &amp; b</code></pre>',
      '```\na &amp; b\n```',
      '```ts\na & b\n```',
      '```ts\na & b\n```',
      '```\na & b\n```',
      '    a & b',
    ],
  ],
  ['a heading', '## a **b**', ['<b>a b</b>', '*a b*', '## a b', '**a b**', '*a b*', 'a b']],
  [
    'a link',
    '[a](https://e.com/?x=1&y=2)',
    [
      '<a href="https://e.com/?x=1&amp;y=2">a</a>',
      '<https://e.com/?x=1&amp;y=2|a>',
      '[a](https://e.com/?x=1&y=2)',
      '[a](https://e.com/?x=1&y=2)',
      'a (https://e.com/?x=1&y=2)',
      'a (https://e.com/?x=1&y=2)',
    ],
  ],
  [
    'an address of its own',
    'https://e.com/a_b',
    [
      '<a href="https://e.com/a_b">https://e.com/a_b</a>',
      '<https://e.com/a_b>',
      'https://e.com/a_b',
      '[https://e.com/a\\_b](https://e.com/a_b)',
      'https://e.com/a_b',
      'https://e.com/a_b',
    ],
  ],
  ['a script', '[a](javascript:x)', Array(6).fill('a (javascript:x)')],
  ['a list', '- a\n- b\n  1. c', Array(6).fill('• a\n• b\n  1. c')],
  [
    'a quote',
    '> a\n> b',
    ['<blockquote>a\nb</blockquote>', '> a\n> b', '> a\n> b', '> a\n> b', '> a\n> b', '> a\n> b'],
  ],
  [
    'a tag',
    '<script>a</script>',
    [
      '&lt;script&gt;a&lt;/script&gt;',
      '&lt;script&gt;a&lt;/script&gt;',
      '<script>a</script>',
      '&lt;script>a&lt;/script>',
      '<script>a</script>',
      '<script>a</script>',
    ],
  ],
  [
    'marks that are none',
    '2 \\* 3 and a_b_c *d',
    [
      '2 * 3 and a_b_c *d',
      '2 * 3 and a_b_c *d',
      '2 \\* 3 and a\\_b\\_c \\*d',
      '2 \\* 3 and a\\_b\\_c \\*d',
      '2 * 3 and a_b_c *d',
      '2 * 3 and a_b_c *d',
    ],
  ],
];

for (const [name, markdown, shown] of SAID)
  test(`${name} in each dialect`, () =>
    assert.deepEqual(
      DIALECTS.map((markup) => inDialect(markdown, markup)),
      shown,
    ));

test('a table is a block of columns, and no cell is lost', () => {
  const shown = inDialect('|a|bb|\n|-|-|\n|*long*|[d](https://e.com)|', 'telegram-html');
  assert.equal(shown, '<pre>a    | bb\nlong | d (https://e.com)</pre>');
});

test('cells without a column are shown', () => {
  assert.match(inDialect('|a|\n|-|\n|b|c|', 'plain'), /b\|c/);
});

test('a quote in a quote has one tag on Telegram, which refuses two', () => {
  assert.equal(inDialect('> a\n>\n> > b', 'telegram-html'), '<blockquote>a\n\nb</blockquote>');
});

const CROWDS: [markup: Markup, said: string, not: RegExp][] = [
  ['discord', 'hi @everyone and @here', /@(?:everyone|here)/],
  ['discord', '`@everyone`', /@everyone/],
  ['discord', '```\n@here\n```', /@here/],
  ['discord', 'hi <@123> <@&45> <#6>', /<[@#]/],
  ['discord', '<@everyone>', /@everyone/],
  ['slack-mrkdwn', 'hi <!channel> <!here> <@U1>', /<[!@]/],
  ['slack-mrkdwn', '`<!channel>`', /<!/],
  ['slack-mrkdwn', '```\n<!channel>\n```', /<!/],
  ['slack-mrkdwn', '[x](https://e.com/|<!channel>)', /<!/],
  ['slack-mrkdwn', '[<!channel>](https://e.com)', /<!/],
  ['slack-mrkdwn', '[a> <!channel](https://e.com)', /<!/],
  ['teams', '<at>Everyone</at>', /<at>/],
  ['github', 'ask @org/team', /@org\/team/],
  ['github', '```\n`\n```\nask @org/team', /@org\/team/],
];

for (const [markup, said, not] of CROWDS)
  test(`"${said.replaceAll('\n', '⏎')}" wakes nobody on ${markup}, said by an agent or by us`, () => {
    assert.doesNotMatch(inDialect(said, markup), not);
    if (!said.includes('`')) assert.doesNotMatch(textIn(markup, said), not);
  });

test('an address or a picture in a link cannot open another link on Slack', () => {
  assert.equal(inDialect('[a|b](https://e.com/x|y)', 'slack-mrkdwn'), '<https://e.com/x%7Cy|a b>');
  assert.equal(inDialect('[![p](https://i.com)](https://e.com)', 'slack-mrkdwn'), '<https://e.com| https://i.com p >');
});

test('what GitHub would take for HTML, and hide, stays words; in code it is what it was', () => {
  const said = 'a <many> b <!-- unseen --> `<code>` 1 < 2\n```\n<pre>\n```';
  assert.equal(inDialect(said, 'github'), 'a \\<many> b \\<!-- unseen --> `<code>` 1 < 2\n```\n<pre>\n```');
  assert.equal(inDialect('\\<done>', 'github'), '\\<done>');
});

test('the name of a package in code stays what it is on GitHub', () => {
  const said = 'install `@types/node`\n```\nnpm i @types/node\n```';
  assert.equal(inDialect(said, 'github'), said);
});

test('directions and controls are dropped, letters of languages that are written to the left are not', () => {
  for (const markup of ALL.filter((each) => each !== 'markdown'))
    assert.equal(inDialect('a\u202eb\u2066c\0d \u05d0\u200f', markup), 'abcd \u05d0\u200f');
});

/** Only tags that we wrote, closed in their order; nothing else that looks like one, and every `&` an entity. */
function wellFormed(html: string): boolean {
  const open: string[] = [];
  for (const [tag, end, name] of html.matchAll(/<(\/?)([a-z]+)(?: (?:href|class)="[^"<>]*")?>|[<>]/g)) {
    if (tag === '<' || tag === '>') return false;
    if (end !== '/') open.push(name!);
    else if (open.pop() !== name) return false;
  }
  return open.length === 0 && !/&(?!(?:amp|lt|gt|quot);)/.test(html);
}

const PARTS = [
  '**',
  '*',
  '_',
  '~~',
  '`',
  '```\n',
  '\n```js\n',
  '[',
  '](https://e.com/a&b)',
  '](javascript:x)',
  '<b>',
  '</b>',
];
PARTS.push(
  '<script>',
  '&amp;',
  '&',
  '\n',
  '\n\n',
  '\n- ',
  '\n1. ',
  '\n> ',
  '\n# ',
  '|',
  '\n|-|-|\n',
  ' ',
  ' ',
  ' ',
  '@',
  '<@',
);
PARTS.push('\\', '😀', '\n    ', '![', '"', "'", '!');

test('of 400 random texts no word is lost or doubled in any dialect, no piece is too long, no tag or character is cut', () => {
  for (let seed = 1; seed <= 400; seed += 1) {
    const random = randomOf(seed);
    let markdown = '';
    for (let at = 0; at < random() * 250; at += 1)
      markdown += random() < 0.6 ? PARTS[Math.floor(random() * PARTS.length)] : ` w${at}.z `;
    const words = markdown.match(/w\d+\.z/g) ?? [];
    const max = 200 + Math.floor(random() * 300);
    for (const markup of ALL) {
      const pieces = piecesOf(markdown, { markup, text_max: max });
      const where = `seed ${seed}, ${markup}: ${JSON.stringify(markdown)}`;
      const found = pieces.flatMap(({ body }) => body.match(/w\d+\.z/g) ?? []);
      assert.deepEqual(found, words, where);
      for (const { body } of pieces) {
        assert.ok(body.length <= max, `${where}: ${body.length} > ${max}`);
        assert.ok(body.isWellFormed(), `${where}: half a character`);
        if (markup === 'telegram-html') assert.ok(wellFormed(body), `${where}: ${body}`);
        if (markup === 'slack-mrkdwn') assert.doesNotMatch(body, /<(?!https?:)/, where);
      }
    }
  }
});

test('a long block of code is closed in each piece and opened again in the next', () => {
  const markdown = `see:\n\n\`\`\`py\n${'x < 1\n'.repeat(200)}\`\`\`\nend`;
  const pieces = piecesOf(markdown, { markup: 'telegram-html', text_max: 400 });
  assert.ok(pieces.length > 3);
  for (const { body } of pieces) assert.ok(wellFormed(body), body);
  assert.match(pieces[1]!.body, /^<pre><code class="language-py">x &lt; 1/);
});

test('a text that is mostly marks is cut at lines until its marks are shown as what they say', () => {
  const words = Array.from({ length: 300 }, (_, at) => `**line ${at}.z** of \`code\` and *more*`);
  const code = Array.from({ length: 300 }, (_, at) => `f(*a, **b)[${at}]`);
  const markdown = `${words.join('\n')}\n\n\`\`\`py\n${code.join('\n')}\n\`\`\`\nend`;
  const bodies = piecesOf(markdown, { markup: 'telegram-html', text_max: DIALECT_PARSE_CHARS_MAX }).map(
    ({ body }) => body,
  );
  const all = bodies.join('\n');
  const found = (what: RegExp): (string | undefined)[] => [...all.matchAll(what)].map(([, number]) => number);
  const numbers = words.map((_, at) => String(at));
  assert.deepEqual(found(/<b>line (\d+)\.z<\/b> of <code>code<\/code> and <i>more<\/i>/g), numbers);
  assert.deepEqual(
    found(/^(?:<pre><code class="language-py">)?f\(\*a, \*\*b\)\[(\d+)\](?:<\/code><\/pre>)?$/gm),
    numbers,
  );
  for (const body of bodies) assert.ok(wellFormed(body) && body.length <= DIALECT_PARSE_CHARS_MAX, body);
  assert.match(bodies.at(-1)!, /<\/pre>\s+end$/);
  // In one line nothing can be cut without cutting through what is marked.
  const line = words.join(' ');
  assert.deepEqual(
    piecesOf(line, { markup: 'teams', text_max: line.length }).length,
    Math.ceil(line.length / DIALECT_PARSE_CHARS_MAX),
  );
});

const N = OUTBOUND_TEXT_BYTES_MAX * 4;
const HOSTILE: [name: string, text: string][] = [
  ['stars', '**_a'.repeat(N / 4)],
  ['stars, two a line', '**a\n'.repeat(N / 4)],
  ['quotes', '> '.repeat(N / 2)],
  ['quotes without spaces', '>'.repeat(N)],
  ['lists in lists', '* - + '.repeat(N / 6)],
  ['a staircase', Array.from({ length: 1000 }, (_, at) => `${' '.repeat(at)}- a\n`).join('')],
  ['numbers', '1. '.repeat(N / 3)],
  ['brackets', '['.repeat(N)],
  ['links', '[a]('.repeat(N / 4)],
  ['ticks', Array.from({ length: 1000 }, (_, at) => `${'`'.repeat(at)}a`).join('')],
  ['tags', '<a x="'.repeat(N / 6)],
  ['an address', `${'a.'.repeat(N / 2)}@`],
  ['ampersands', '&'.repeat(N)],
  ['cells', `${'|a'.repeat(N / 4)}\n${'|-'.repeat(N / 4)}\n`],
  ['a run of ticks', `a${'`'.repeat(N)}`],
  ['signs before empty lines', `${'<'.repeat(401)}${'\n'.repeat(3600)}`.repeat(N / 4001)],
  ['half characters', '\ud83d'.repeat(N)],
];

for (const [name, text] of HOSTILE)
  test(`1 MiB of ${name} is through in bounded time, whole`, () => {
    for (const markup of ['telegram-html', 'discord', 'teams', 'github'] as const) {
      const begin = performance.now();
      const pieces = piecesOf(text, { markup, text_max: DIALECT_PARSE_CHARS_MAX });
      const ms = performance.now() - begin;
      assert.ok(ms < 20_000, `${markup}: ${Math.round(ms)} ms`);
      for (const { body } of pieces) assert.ok(body.length <= DIALECT_PARSE_CHARS_MAX);
      const letters = (of: string): number => of.match(/a/g)?.length ?? 0;
      if (!/[&<]/.test(text))
        assert.ok(pieces.map(({ body }) => letters(body)).reduce((a, b) => a + b) >= letters(text));
    }
  });

test('no piece is blank beside one that is not', () => {
  for (const markup of ALL) {
    const pieces = piecesOf(`a${'\n'.repeat(500)}b`, { markup, text_max: 100 });
    assert.deepEqual(
      pieces.map(({ body }) => body.trim()),
      ['a', 'b'],
    );
  }
});

test('an empty text is one empty piece', () => {
  for (const markup of ALL) assert.deepEqual(piecesOf('', { markup, text_max: 1000 }), [{ body: '', source: '' }]);
});
