import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupSchema } from '../../src/authority/schema.ts';
import { reachesOut, wishSchema, withWish } from '../../src/authority/wish.ts';
import { parseYaml } from '../../src/base/yaml.ts';

/** What an agent asks for, as a change of the text of its `group.yaml`. */

const FILE = `# Of the operator.
harness: probe # for now
packages:
  pip: [pandas] # old
egress:
  github: {host: api.github.com, allow: [GET /user]}
`;

const wish = (more: object) => wishSchema.parse({ reason: 'because', ...more });
const changed = (more: object, file = FILE) => withWish(file, wish(more));
const read = (text: string) => parseYaml(text, 'group.yaml', groupSchema);

test('what is asked for is added, and everything else stays as it was written', () => {
  const text = changed({
    ...{ apt: ['jq'], pip: ['numpy'], secrets: ['github'], mounts: [{ source: '/data' }] },
    mcp: [{ name: 'clock', command: ['date', '-u'] }],
  });
  assert.ok(text.startsWith('# Of the operator.\nharness: probe # for now\n'));
  assert.match(text, /# old/);
  const group = read(text);
  assert.deepEqual(group.packages, { apt: ['jq'], npm: [], pip: ['pandas', 'numpy'] });
  assert.deepEqual(group.secrets, ['github']);
  assert.deepEqual(group.mounts, [{ source: '/data', access: 'read' }]);
  assert.deepEqual(group.mcp, { clock: { command: ['date', '-u'], env: {} } });
  assert.equal(group.harness, 'probe');
});

test('asked for twice, it is there once', () => {
  const asked = {
    ...{ pip: ['numpy', 'pandas'], secrets: ['github'], mounts: [{ source: '/data' }] },
    mcp: [{ name: 'clock', command: ['true'] }],
    egress: [{ name: 'mail', host: 'mail.example.com', use: 'token', allow: ['GET /'] }],
    agents: [{ name: 'work' }],
  };
  const once = changed(asked);
  assert.equal(changed(asked, once), once);
});

test('an empty file is an empty map', () => {
  assert.deepEqual(read(changed({ npm: ['left-pad'] }, '')).packages.npm, ['left-pad']);
  assert.deepEqual(read(changed({ npm: ['left-pad'] }, '# nothing yet\n')).packages.npm, ['left-pad']);
});

test('rules go to the service that is there; another host or secret under its name is refused', () => {
  const more = { name: 'github', host: 'api.github.com', allow: ['GET /repos/**'] };
  assert.deepEqual(read(changed({ egress: [more] })).egress['github']!.allow, ['GET /user', 'GET /repos/**']);
  const refused = { message: /the service github is there with another host or secret/ };
  assert.throws(() => changed({ egress: [{ ...more, host: 'evil.example.com' }] }), refused);
  assert.throws(() => changed({ egress: [{ ...more, use: 'pat' }] }), refused);
  const other = { name: 'mail', host: 'mail.example.com', use: 'token', approve: ['POST /send'] };
  const { mail } = read(changed({ egress: [other], secrets: ['token'] })).egress;
  assert.deepEqual(
    [mail!.host, mail!.use, mail!.approve, mail!.allow],
    ['mail.example.com', 'token', ['POST /send'], []],
  );
});

test('a server of tools is not replaced by another one of its name', () => {
  const asked = { mcp: [{ name: 'clock', command: ['true'] }] };
  const other = { mcp: [{ name: 'clock', command: ['true'], env: { A: 'b' } }] };
  assert.throws(() => changed(other, changed(asked)), { message: /there is another MCP server clock/ });
});

const REFUSED: [name: string, input: unknown, reason: RegExp][] = [
  ['nothing', { reason: 'x' }, /asks for nothing/],
  ['no reason', { pip: ['numpy'] }, /reason/],
  ['another key', { reason: 'x', harness: 'claude' }, /harness/],
  ['a package that is an option', { reason: 'x', pip: ['--index-url=http://evil'] }, /name of a package/],
  [
    'a wildcard of methods and paths in doubt',
    { reason: 'x', egress: [{ name: 'a', host: 'a.example', allow: ['GET //'] }] },
    /plain path/,
  ],
  [
    'private addresses',
    { reason: 'x', egress: [{ name: 'a', host: 'a.example', private: ['10.0.0.0/8'] }] },
    /private/,
  ],
  ['eleven packages', { reason: 'x', apt: Array(11).fill('jq') }, /10/],
  ['a list that is none', { reason: 'x', apt: 'jq' }, /array/],
  ['a text', 'everything', /object/],
];

for (const [name, input, reason] of REFUSED)
  test(`${name} is refused with its reason`, () => {
    const { error } = wishSchema.safeParse(input);
    assert.match(JSON.stringify(error?.issues), reason);
  });

test('programs stay inside; folders, secrets and services reach out', () => {
  assert.equal(reachesOut(wish({ apt: ['jq'], mcp: [{ name: 'a', command: ['true'] }] })), false);
  assert.equal(reachesOut(wish({ mounts: [{ source: '/data' }] })), true);
  assert.equal(reachesOut(wish({ secrets: ['a'] })), true);
  assert.equal(reachesOut(wish({ egress: [{ name: 'a', host: 'a.example', allow: ['GET /'] }] })), true);
});
