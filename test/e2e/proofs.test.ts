import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { InspectAnswer } from '../../src/cli/inspect.ts';
import { Install, until } from '../fakes/install.ts';
import { PatchedTree } from '../fakes/patched_tree.ts';
import { rows, Terminal } from '../fakes/terminal.ts';

/** When a group's boundary is proven, what is kept of it, and what it shows, with real processes and sandboxes. */

const IS_ROOT = process.geteuid!() === 0;
const install = new Install();
/** A model without a secret: then there is none at all. */
const MODEL = 'model: {provider: ollama, name: none}\n';

before(async () => {
  install.group('assistant', `harness: probe\n${MODEL}limits: {memory: 512MiB, pids: 100}\n`);
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => install.stop());

interface Proof {
  fingerprint: string;
  depth: string;
  ok: number;
}

function proofs(): Proof[] {
  return rows<Proof>(install, 'SELECT fingerprint, depth, ok FROM proofs ORDER BY id');
}

async function answered(chat: string): Promise<void> {
  const terminal = await Terminal.open(install.control, chat);
  await terminal.say('hello');
  await terminal.hears(/You said: hello/);
}

test('a group is proven before its first sandbox starts, and not again while nothing changes', async () => {
  assert.deepEqual(proofs(), []);
  await Promise.all([answered('one'), answered('two')]);
  assert.equal(proofs().length, 1, 'two starts at once share one proof');
  assert.equal(proofs()[0]!.ok, 1);
  await answered('three');
  assert.equal(proofs().length, 1);
  const { groups } = await install.ready();
  assert.equal(groups[0]!.proof?.ok, true);
});

test('another authority is another boundary: it is proven anew, also after a restart', async () => {
  await install.change('assistant', `harness: probe\n${MODEL}limits: {memory: 512MiB, pids: 101}\n`);
  await answered('changed');
  assert.equal(proofs().length, 2);
  assert.notEqual(proofs()[0]!.fingerprint, proofs()[1]!.fingerprint);
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  await answered('after-restart');
  assert.equal(proofs().length, 2);
});

test('glass inspect shows what is declared, what is, and every attempt, as a table, JSON and a report', async () => {
  const table = install.glass('inspect', 'assistant', ...(IS_ROOT ? ['--canary'] : []));
  assert.equal(table.status, 0, table.stderr + table.stdout);
  assert.match(table.stdout, /memory +512 MiB/);
  assert.match(table.stdout, /mount +write +\/workspace/);
  for (const label of ['egress', 'secrets', 'capabilities'])
    assert.match(table.stdout, new RegExp(`^ +${label} +none$`, 'm'));
  assert.match(
    table.stdout,
    /^ +environment +HOME LANG .*\n +sockets +\/run\/glass\/hatch\.sock \/run\/glass\/egress\.sock$/m,
  );
  assert.match(table.stdout, /bind +write \/workspace +from .*groups\/assistant\/workspace$/m);
  assert.match(table.stdout, /^ +sockets +\/run\/glass\/inspect\.sock$/m);
  assert.match(table.stdout, /✓ reach the docker engine/);
  assert.match(table.stdout, /assistant on bubblewrap: \d+ held, 0 failed/);
  const json = install.glass('inspect', 'assistant', '--quick', '--json');
  const found = JSON.parse(json.stdout) as InspectAnswer;
  const { declared, actual } = found.inspection;
  assert.deepEqual([found.egress, found.secrets, declared.capabilities], [[], [], 'none']);
  assert.deepEqual(declared.sockets, ['/run/glass/hatch.sock', '/run/glass/egress.sock']);
  assert.deepEqual(actual.sockets, ['/run/glass/inspect.sock']);
  // Bubblewrap's label and its shell's folder come on top.
  assert.deepEqual(
    actual.env.filter((name) => !declared.env.includes(name)),
    ['GLASS_LABEL', 'PWD'],
  );
  const inside = new Map(actual.mounts.map(({ target, access }) => [target, access]));
  for (const { target, access } of declared.binds) assert.equal(inside.get(target), access, target);
  assert.ok(found.inspection.probes.filter((probe) => probe.state === 'passed').length >= 60);
  assert.ok(
    (found.last_seen['exhaust.processes'] ?? 0) > 0 || !IS_ROOT,
    'what a quick look leaves out was seen before',
  );
  const report = install.glass('inspect', 'assistant', '--quick', '--markdown').stdout;
  assert.match(report, /^# /);
  assert.match(report, /512 MiB/);
  assert.match(report, /not built/);
  assert.match(report, /\| egress \| none \|\n\| secrets \| none \|\n\| environment \| HOME LANG /);
  assert.match(report, /\| capabilities \| none \|\n\| bind \| read /);
  assert.match(report, /\| sockets \| \/run\/glass\/inspect\.sock \|/);
  assert.equal(install.glass('inspect', 'nobody').status, 4);
  assert.equal(install.glass('inspect').status, 2);
});

test('an inspection leaves nothing behind', () => {
  assert.deepEqual(
    readdirSync(install.paths.sessions).filter((name) => name.startsWith('inspect')),
    [],
  );
  assert.ok(!existsSync(dirname(install.paths.session('inspect-assistant').state)));
  assert.deepEqual(
    readdirSync('/etc').filter((name) => name.startsWith('glassclaw-canary')),
    [],
  );
});

test('a boundary with a hole starts nothing: the person is told, the operator is alerted, and it says which guard', async () => {
  using tree = new PatchedTree([['src/runtimes/bubblewrap_argv.ts', "'--unshare-net',", '']]);
  const holed = new Install(undefined, tree.root);
  try {
    holed.group('assistant', 'harness: probe\n');
    await holed.start();
    const terminal = await Terminal.open(holed.control, 'holed');
    await terminal.say('hello');
    const told = await terminal.hears(/could not be answered/);
    assert.match(told.body, /self-check of the group assistant failed: .*net/);
    const { groups, alerts, state } = await holed.ready();
    assert.equal(state, 'attention');
    assert.equal(groups[0]!.proof?.ok, false);
    assert.ok(alerts.some((alert) => alert.kind === 'boundary.failed' && alert.subject === 'assistant'));
    assert.equal(rows(holed, "SELECT id FROM events WHERE kind = 'sandbox.ready'").length, 0);
  } finally {
    await holed.stop();
  }
});

test('a boundary that nobody asks about is proven in full by itself, when it is due', async () => {
  using tree = new PatchedTree([
    ['src/base/limits/sandbox.ts', 'PROOF_LOOK_MS = 60 * MINUTE_MS', 'PROOF_LOOK_MS = SECOND_MS'],
  ]);
  const due = new Install(undefined, tree.root);
  try {
    due.group('assistant', 'harness: probe\n');
    await due.start();
    const kept = (): Proof[] => rows<Proof>(due, 'SELECT fingerprint, depth, ok FROM proofs ORDER BY id');
    await until('it was proven', async () =>
      assert.deepEqual(
        kept().map(({ depth, ok }) => [depth, ok]),
        [['full', 1]],
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.equal(kept().length, 1, 'once is enough for a day');
  } finally {
    await due.stop();
  }
});

test('a warm-up that is killed in the middle leaves nothing that a sandbox cannot read', async () => {
  const killed = new Install();
  try {
    killed.group('assistant', 'harness: probe\n');
    for (const part of ['gateway', 'host'] as const) killed.spawn(part); // with nothing that others have compiled
    await killed.ready();
    const codes = join(killed.paths.cache, `code-${process.version}-${process.arch}`);
    await until('a warm-up has begun', async () =>
      assert.ok(readdirSync(codes).some((name) => name.startsWith('.probe-'))),
    );
    await killed.end('host', 'SIGKILL');
    assert.deepEqual(readdirSync(join(codes, 'probe')), []);
    killed.spawn('host');
    await killed.ready();
    const terminal = await Terminal.open(killed.control, 'after');
    await terminal.say('hello');
    await terminal.hears(/You said: hello/);
    await until('another one has done it', async () => assert.ok(readdirSync(join(codes, 'probe')).length > 0));
    await until('the draft is gone', async () => assert.deepEqual(readdirSync(codes), ['probe']));
  } finally {
    await killed.stop();
  }
});
