import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { GroupShown } from '../../src/operations/groups.ts';
import { readFixture } from '../fakes/authorities.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { shell } from '../fakes/scripted_group.ts';
import { Terminal } from '../fakes/terminal.ts';
import { ServiceWorld } from '../kits/service_world.ts';

/**
 * A group's file that must not be applied, while its agent asks all the time: what was in force stays in force, for the sandbox
 * that runs and for the next one. What becomes of damaged files that are applied already is in `egress_policy_swap.test.ts`.
 */

const world = new ServiceWorld();
const { install, api } = world;

before(() => world.start());
beforeEach(() => world.reset());
afterEach((context) => install.explain(context));
after(() => world.stop());

/** Each opens everything, if one reads it carelessly. */
const OPEN = `{host: api.example.com, port: PORT, private: [127.0.0.0/8], allow: ["* /**"]}`;
const REFUSED: [name: string, of: (good: string) => string][] = [
  ['a part of a file', (good) => good.slice(0, good.indexOf('allow: ['))],
  ['garbage', () => '\\0\\x01\\x02 egress: [[['],
  ['an anchor and an alias', (good) => `${good}  more: &open ${OPEN}\n  again: *open\n`],
  ['a merge key', (good) => `${good}  more: {<<: ${OPEN}}\n`],
  ['a service twice', (good) => `${good}  api: ${OPEN}\n`],
  ['the rules twice', (good) => `${good}egress: {api: ${OPEN}}\n`],
  ['no as a list of rules', (good) => good.replace('allow: [GET /items/**, POST /items, GET /is-number]', 'allow: no')],
  ['a word in place of a truth', (good) => good.replace('ws: true', 'ws: yes')],
  ['a tag', (good) => `${good}  more: !!map ${OPEN}\n`],
  ['two documents', (good) => `${good}---\negress: {api: ${OPEN}}\n`],
  ['aliases without end', (good) => `a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n${good}`],
];

function textOf(of: (good: string) => string): string {
  return of(world.group('native')).replaceAll('PORT', String(api.port));
}

test('a file that is refused opens nothing, neither at once nor at the next start', async () => {
  const agent = await Terminal.open(install.control, 'asks');
  await shell(agent, 'true');
  const before = await install.control.call<GroupShown>('group_show', { group: 'assistant' });
  const asked = shell(
    agent,
    `until [ -e stop ]; do curl -sS -o /dev/null -w '%{http_code}\\n' https://${api.place}/items/1 -: -sS -o /dev/null -w '%{http_code}\\n' https://${api.place}/users; done > said.txt 2>&1
sort said.txt | uniq -c; rm stop`,
  );
  const { yaml, workspace } = install.paths.group('assistant');
  try {
    for (const [name, of] of REFUSED) {
      writeFileSync(yaml, textOf(of));
      await assert.rejects(install.control.call('group_plan', { group: 'assistant' }), { code: 'config' }, name);
      const { in_force } = before;
      await assert.rejects(
        install.control.call('group_apply', { group: 'assistant', hash: in_force!.hash }),
        { code: 'config' },
        name,
      );
      const shown = await install.control.call<GroupShown>('group_show', { group: 'assistant' });
      assert.deepEqual(shown.in_force, in_force, name);
    }
    // With nothing in it a file is a group with every default: without services, and only once it is applied.
    writeFileSync(yaml, '');
    const next = await Terminal.open(install.control, 'next');
    const statuses = await shell(
      next,
      `curl -sS -o /dev/null -w '%{http_code} ' https://${api.place}/items/2 -: -o /dev/null -w '%{http_code}' https://${api.place}/users`,
    );
    assert.match(statuses, /200 403/);
  } finally {
    writeFileSync(`${workspace}/stop`, '');
  }
  const said = await asked;
  const counted = said
    .replace('tool said:', '')
    .trim()
    .split(/\s*\n\s*/);
  assert.deepEqual(
    counted.map((line) => line.replace(/^\d+ /, '')),
    ['200', '403'],
  );
  assert.ok(api.received.every(({ target }) => target.startsWith('/items/')));
});

const YAML = 'src/base/yaml.ts';
const SABOTAGES: [without: string, patches: Patch[], name: string][] = [
  [
    'the refusal of anchors and aliases',
    [
      [YAML, "Alias: () => refuse(file, 'aliases (*name) are not allowed'),", ''],
      [YAML, 'if (node.anchor)', 'if (false)'],
    ],
    'an anchor and an alias',
  ],
  ['the refusal of merge keys', [[YAML, 'merge: false', 'merge: true']], 'a merge key'],
  ['the refusal of keys that stand twice', [[YAML, 'uniqueKeys: true', 'uniqueKeys: false']], 'a service twice'],
  ['the refusal of tags', [[YAML, 'if (node.tag !== undefined)', 'if (false)']], 'a tag'],
];

for (const [without, patches, name] of SABOTAGES)
  test(`without ${without} ${name} would open what nobody allowed`, async (context) => {
    using tree = new PatchedTree(patches);
    const file = join(temporaryFolder(context), 'group.yaml');
    writeFileSync(file, textOf(REFUSED.find(([one]) => one === name)![1]));
    assert.throws(() => readFixture(file), { code: 'config' });
    const careless: typeof import('../fakes/authorities.ts') = await import(
      pathToFileURL(join(tree.root, 'test/fakes/authorities.ts')).href
    );
    const { egress } = careless.readFixture(file);
    assert.ok(JSON.stringify(egress).includes('"allow":["* /**"]'));
  });
