import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { readInstall } from '../../src/base/config.ts';
import { pathsOf, ROOT } from '../../src/base/paths.ts';
import { Groups, type GroupsInput, makeGroup } from '../../src/operations/groups.ts';
import { templateSchema } from '../../src/operations/template_schema.ts';
import {
  filledYaml,
  fillTemplate,
  listTemplates,
  shellWord,
  type TemplateShown,
} from '../../src/operations/templates.ts';
import { readFixture } from '../fakes/authorities.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

const HOSTILE = [
  ...[
    'x"\nsecrets: [all]',
    "x', y: '",
    '{{days}}',
    '$HOME',
    '$(id)',
    '`id`',
    'a; id',
    'a\\"b',
    "a'b",
    '# x',
    '*',
    '&a',
    '!!x',
  ],
  ...['| x', '- x', 'a: b', '[a]', '{a: b}', 'null', 'true', '12', '\u0085\u2028', '', ' ', '~', '--yes'],
];

function examples({ parameters }: TemplateShown): Record<string, string> {
  return Object.fromEntries(parameters.map(({ name, example }) => [name, example]));
}

/** A checkout with one template of its own. */
function checkout(context: TestContext, template: string, files: Record<string, string> = {}): string {
  const root = temporaryFolder(context);
  const folder = join(root, 'templates/mine');
  mkdirSync(folder, { recursive: true });
  const all = { 'group.yaml': 'harness: probe\n', 'AGENTS.md': 'x\n', ...files, 'template.yaml': template };
  for (const [name, text] of Object.entries(all)) writeFileSync(join(folder, name), text);
  return root;
}

const ANY = `parameters: {thing: {about: x, example: x, pattern: '[^]*'}}\n`;

for (const shown of listTemplates(ROOT)) {
  test(`the template ${shown.template} fills in to a whole group, with nothing left open`, (context) => {
    const filled = fillTemplate(ROOT, shown.template, examples(shown));
    const paths = filled.files.map(({ path }) => path);
    assert.ok(paths.includes('group.yaml') && paths.includes('AGENTS.md'), paths.join());
    for (const { path, text } of filled.files) assert.doesNotMatch(text, /\{\{/, path);
    const file = join(temporaryFolder(context), 'group.yaml');
    writeFileSync(file, filled.files.find(({ path }) => path === 'group.yaml')!.text);
    const authority = readFixture(file);
    const steps = filled.steps('mine', 'telegram:-100').map(({ command }) => command ?? '');
    const set = steps.map((command) => /^\.\/glass secret set (\S+)/.exec(command)?.[1]).filter((name) => name);
    assert.deepEqual(set.sort(), authority.secrets);
    assert.ok(steps.includes('./glass group apply mine'));
    assert.ok(steps.every((command) => !command.includes('{{')));
  });

  test(`no parameter of ${shown.template} takes what could be read as something else`, () => {
    for (const { name } of shown.parameters)
      for (const value of [
        ...HOSTILE.filter((text) => !['null', 'true', '12'].includes(text)),
        'a/*',
        '../b',
        'a/..',
        'a/b/c d',
      ])
        assert.throws(
          () => fillTemplate(ROOT, shown.template, { ...examples(shown), [name]: value }),
          { code: 'usage', message: /does not take|no time zone/ },
          `${name}: ${value}`,
        );
  });
}

test('whatever a value is, the YAML around it stays what it was, and it stays one text', () => {
  const text = `# {{thing}} in a comment\nplain: a {{thing}} b # why\nlist: ["{{thing}}", '{{thing}}']\nlast: 1\n`;
  for (const value of HOSTILE) {
    const filled = filledYaml(text, new Map([['thing', value]]));
    assert.deepEqual(parse(filled), { plain: `a ${value} b`, list: [value, value], last: 1 }, value);
    assert.ok(filled.startsWith('# {{thing}} in a comment\n') && filled.includes(' # why\n'));
  }
});

test('a word of a printed line is read back by a shell as it was', () => {
  for (const value of HOSTILE) {
    const { stdout } = spawnSync('/bin/sh', ['-c', `printf %s ${shellWord(value)}`], { encoding: 'utf8' });
    assert.equal(stdout, value);
  }
});

test('a parameter in a gate is one word of it, and in a printed line so is the gate', (context) => {
  const root = checkout(
    context,
    `summary: x\n${ANY}tasks: [{when: every 1h, text: look, gate: 'printf %s {{thing}}'}]\n`,
  );
  for (const value of HOSTILE.filter((text) => /^[^\p{C}\u2028]+$/u.test(text))) {
    const { command } = fillTemplate(root, 'mine', { thing: value }).steps('g', 'local:main').at(-1)!;
    const words = `glass() { while [ "$1" != --gate ]; do shift; done; sh -c "$2"; }; ${command!.replace('./glass', 'glass')}`;
    assert.equal(spawnSync('/bin/sh', ['-c', words], { encoding: 'utf8' }).stdout, value);
  }
});

test('a value of several lines, or an endless one, is refused whatever the pattern says', (context) => {
  const root = checkout(context, `summary: x\n${ANY}`);
  for (const value of ['a\nb', 'a\tb', '\u202e', 'a'.repeat(201), ''])
    assert.throws(() => fillTemplate(root, 'mine', { thing: value }), { code: 'usage', message: /does not take/ });
  assert.equal(fillTemplate(root, 'mine', { thing: 'a'.repeat(200) }).template, 'mine');
});

test('a template that is not strict, or names a parameter that it has not, is refused', (context) => {
  for (const [template, reason] of [
    ['summary: x\nrun: rm\n', /Unrecognized key/],
    [
      'summary: x\nsecrets: [{name: a, about: x, kind: bearer, hosts: [a.example.com], value: x}]\n',
      /Unrecognized key/,
    ],
    ['summary: x\nchat: {about: x, example: x, policy: public}\n', /Unrecognized key/],
    ['summary: x\ntasks: [{when: every 1h, text: x, to: all}]\n', /Unrecognized key/],
    ['summary: x\nparameters: {a: {about: x, example: x, pattern: x, run: x}}\n', /Unrecognized key/],
    ["summary: x\nparameters: {a: {about: x, example: '1', pattern: '[a-z]'}}\n", /own pattern refuses/],
    ["summary: x\nparameters: {a: {about: x, example: '1', pattern: '['}}\n", /regular expression/],
    ['summary: x\nsecrets: [{name: a, about: x, kind: basic, hosts: [a.example.com]}]\n', /secrets/],
    ['summary: x\ntasks: [{when: every 1h, text: "{{b}}"}]\n', /\{\{b\}\} in a template is no parameter/],
    ['summary: x\ntasks: [{when: now and then, text: x}]\n', /is no time/],
  ] as const)
    assert.throws(() => fillTemplate(checkout(context, template), 'mine', {}), { message: reason }, template);
  assert.deepEqual(templateSchema.parse({ summary: 'x' }).tasks, []);
});

test('a file that no group could have is refused before anything is written', (context) => {
  const root = checkout(context, `summary: x\n${ANY}`, { 'group.yaml': 'harness: "{{thing}}"\n' });
  const paths = { ...pathsOf(temporaryFolder(context), {}), root };
  mkdirSync(paths.groups, { recursive: true });
  const groups = new Groups({ paths, install: readInstall('/dev/null'), env: {} } as unknown as GroupsInput);
  const create = (thing: string): void => groups.create('mine', groups.filled('mine', { thing }));
  assert.throws(() => create('magic'), { code: 'config', message: /harness/ });
  assert.deepEqual(groups.names(), []);
  create('probe');
  assert.deepEqual(groups.names(), ['mine']);
});

test('the files of a group are there for its agent to read, and only those', (context) => {
  const paths = pathsOf(temporaryFolder(context), {});
  const filled = fillTemplate(ROOT, 'stalled-prs', { repo: 'acme/app', zone: 'UTC' });
  const umask = process.umask(0o077);
  try {
    makeGroup(paths, 'mine', filled);
  } finally {
    process.umask(umask);
  }
  const { folder } = paths.group('mine');
  const modes = ['.', 'group.yaml', 'AGENTS.md', 'skills', 'skills/stalled-prs', 'skills/stalled-prs/stalled.mjs'];
  assert.deepEqual(
    modes.map((path) => (statSync(join(folder, path)).mode & 0o777).toString(8)),
    ['700', '600', '644', '755', '755', '644'],
  );
});
