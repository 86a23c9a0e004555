import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PROOF_EVERY_MS, PROOF_LOOK_MS, PROOFS_KEPT } from '../../src/base/limits/sandbox.ts';
import { silentLog } from '../../src/base/log.ts';
import { pathsOf } from '../../src/base/paths.ts';
import type { Inspection, InspectionInput } from '../../src/evidence/inspection/inspection.ts';
import type { Depth } from '../../src/evidence/inspection/probes/probe.ts';
import { ensureGroup } from '../../src/ledger/chats.ts';
import { insertProof, lastProof } from '../../src/ledger/proofs.ts';
import { boundaryCodeHash } from '../../src/operations/code_hash.ts';
import { type BoundaryFacts, boundaryFacts, fingerprintOf } from '../../src/operations/fingerprint.ts';
import { Proofs } from '../../src/operations/proofs.ts';
import { countingProof, depthNeeded, isFullDue, isProven } from '../../src/operations/proven.ts';
import type { Runtime } from '../../src/runtimes/runtime.ts';
import type { StartPlan } from '../../src/sessions/services.ts';
import { sandboxSpec } from '../e2e/runtimes_kit.ts';
import { freshLedger, temporaryFolder } from '../fakes/ledger_kit.ts';
import { AUTHORITY } from '../fakes/session_world.ts';

/** Which proof counts, when another one is due, and what is told of it: real rows, and attempts that end as the test says. */

interface World {
  proofs: Proofs;
  db: Awaited<ReturnType<typeof freshLedger>>['db'];
  /** Depths of the attempts, in order. */
  tried: Depth[];
  /** What was raised and cleared, in order. */
  told: string[];
  /** What the next attempts find. */
  finds: { ok: boolean };
  /** The next plans are refused with it; null: they are made. */
  refused: { reason: string | null };
  plan(code?: string): StartPlan;
  kept(depth: Depth, ok: boolean, fingerprint?: string): void;
  fingerprint: string;
}

const NOW = 10 ** 12;

async function world(context: TestContext): Promise<World> {
  const ledger = await freshLedger(context);
  ensureGroup(ledger.db, NOW, 'assistant', null);
  const home = temporaryFolder(context);
  const paths = pathsOf(home, { XDG_RUNTIME_DIR: home });
  for (const folder of [paths.run, paths.group('assistant').folder]) mkdirSync(folder, { recursive: true });
  const [tried, told]: [Depth[], string[]] = [[], []];
  const finds = { ok: true };
  const refused: World['refused'] = { reason: null };
  const plan = (policy = 'f'): StartPlan => planOf(policy, paths.session('inspect-assistant').egress);
  const fingerprint = fingerprintOf(boundaryFacts(plan(), paths.root, 'code'));
  const proofs = new Proofs({
    ...{ paths, ledger, log: silentLog, code: 'code', groups: () => ['assistant'] },
    clock: { now: () => NOW, micros: () => NOW * 1000, monotonic: () => 0 },
    planner: {
      plan: async () => {
        if (refused.reason !== null) throw new Error(refused.reason);
        return plan();
      },
      harnessOf: () => ({ authority: AUTHORITY, image: null, harness: 'probe' }),
    },
    workspaces: { enter: async () => () => {} },
    attempt: async ({ depth }: InspectionInput): Promise<Inspection> => {
      tried.push(depth);
      return { ...FOUND, depth, ok: finds.ok, problem: finds.ok ? null : 'it has a hole' };
    },
    alert: (_kind, _subject, text) => told.push(text),
    clear: () => told.push('clear'),
  });
  context.after(() => proofs.stop());
  const kept: World['kept'] = (depth, ok, at = fingerprint) =>
    insertProof(
      ledger.db,
      { group_name: 'assistant', fingerprint: at, depth, ok: ok ? 1 : 0, at_ms: NOW, ms: 1, inspection: '{}' },
      [],
    );
  return { proofs, db: ledger.db, tried, told, finds, refused, plan, kept, fingerprint };
}

const FOUND: Inspection = {
  ...{ at_ms: NOW, profile: 'bubblewrap', depth: 'quick', ms: 1, ok: true, problem: null, probes: [] },
  declared: { binds: [], env: [], sockets: [], capabilities: 'none' },
  actual: {
    ...{ mounts: [], env: [], sockets: [], uid: '', gid: '', caps: {}, limits: {}, etc: [] },
    ...{ no_new_privs: '', seccomp: '', kernel: '', image: '' },
  },
};

function planOf(policy: string, socket: string): StartPlan {
  const runtime: Runtime = {
    name: 'bubblewrap',
    check: async () => [],
    engine: () => null,
    limits: async () => [],
    reap: async () => 0,
    start: () => Promise.reject(new Error('no attempt of these tests starts a sandbox')),
  };
  return {
    ...{ authority: AUTHORITY, harness: 'probe', runtime, controls: [], spec: sandboxSpec({ uid: null }) },
    egress: { session: 'inspect-assistant', group: 'assistant', policy, socket },
  };
}

test('what failed in full is not proven by a quick look that comes after it, and the start looks in full', async (context) => {
  const { proofs, db, kept, plan, tried, fingerprint, finds } = await world(context);
  kept('full', false);
  kept('quick', true);
  assert.equal(isProven(db, 'assistant', fingerprint), false);
  assert.equal(proofs.last('assistant')!.ok, false, 'status shows the one that counts');
  finds.ok = false;
  await assert.rejects(proofs.require(plan()), { code: 'refused', message: /it has a hole/ });
  finds.ok = true;
  await proofs.require(plan());
  await proofs.require(plan());
  assert.deepEqual(tried, ['full', 'full'], 'and the green one is enough');
});

test('another fingerprint asks for no less than what failed', async (context) => {
  const { proofs, db, kept, plan, tried } = await world(context);
  kept('full', false, 'before');
  assert.equal(depthNeeded(db, 'assistant'), 'full');
  await proofs.require(plan());
  assert.deepEqual(tried, ['full']);
  assert.equal(depthNeeded(db, 'assistant'), 'quick');
});

test('without a full one that failed, a quick look is enough to start', async (context) => {
  const { proofs, kept, plan, tried } = await world(context);
  kept('full', true, 'before');
  kept('quick', false);
  await proofs.require(plan());
  await proofs.require(plan());
  assert.deepEqual(tried, ['quick']);
});

test('the alert of what failed in full is cleared by a full look alone', async (context) => {
  const { proofs, kept, told } = await world(context);
  kept('full', false);
  await proofs.inspect('assistant', 'quick', false);
  assert.deepEqual(told, []);
  await proofs.inspect('assistant', 'full', false);
  assert.deepEqual(told, ['clear']);
});

test('the newest full proof is kept, however many quick ones follow', async (context) => {
  const { db, kept } = await world(context);
  kept('full', true);
  kept('full', false);
  for (let i = 0; i < PROOFS_KEPT + 5; i += 1) kept('quick', true);
  assert.equal(countingProof(db, 'assistant')!.depth, 'full');
  assert.equal(db.all('SELECT id FROM proofs').length, PROOFS_KEPT + 1);
});

test('a full one is due after a day, and for another boundary than that of the last full one', async (context) => {
  const { db, kept, fingerprint } = await world(context);
  const due = (at: string, now_ms: number): boolean => isFullDue(db, 'assistant', at, now_ms);
  assert.equal(due(fingerprint, NOW), true, 'none was made');
  kept('full', true);
  kept('quick', true, 'other');
  assert.equal(due(fingerprint, NOW + PROOF_EVERY_MS - 1), false);
  assert.equal(due(fingerprint, NOW + PROOF_EVERY_MS), true);
  assert.equal(due('other', NOW), true);
});

test('a boundary that changed within the day is looked at in full at the next look', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { proofs, db, kept, tried, fingerprint } = await world(context);
  kept('full', true, 'before');
  proofs.start();
  context.mock.timers.tick(PROOF_LOOK_MS);
  await turns(() => lastProof(db, 'assistant')!.fingerprint === fingerprint);
  assert.deepEqual(tried, ['full']);
});

test('one that cannot be looked at raises the alert with the reason, until it is known to hold again', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { proofs, kept, told, refused } = await world(context);
  kept('full', true);
  refused.reason = 'the mount /srv/notes does not exist';
  proofs.start();
  context.mock.timers.tick(PROOF_LOOK_MS);
  await turns(() => told.length > 0);
  assert.match(told[0]!, /group assistant cannot be inspected: the mount \/srv\/notes does not exist/);
  refused.reason = null;
  await turns(() => {
    context.mock.timers.tick(PROOF_LOOK_MS);
    return told.length > 1;
  });
  assert.equal(told[1], 'clear');
});

/** Waits for what is done beside the timers, whose clock is the test's; a bounded loop. */
async function turns(done: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !done(); i += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(done(), `never: ${done}`);
}

const FACTS: BoundaryFacts = {
  ...{ authority: 'a', runtime: 'bubblewrap', engine: null, userland: { kind: 'host' }, oci_runtime: null, uid: 1 },
  ...{ harness: 'probe', packages: '', code: 'c', controls: ['pids enforced'], kernel: '6.1', node: 'v24' },
};

const CHANGES: Required<BoundaryFacts> = {
  ...{ authority: 'b', runtime: 'docker', engine: '27.1 runc', userland: { kind: 'image', ref: 'r' } },
  ...{ oci_runtime: 'runsc', uid: null, harness: 'native', packages: 'p', code: 'd', controls: ['pids watched'] },
  ...{ kernel: '6.2', node: 'v25' },
};

for (const [name, value] of Object.entries(CHANGES))
  test(`another ${name} is another boundary`, () => {
    assert.equal(fingerprintOf({ ...FACTS }), fingerprintOf(FACTS));
    assert.notEqual(fingerprintOf({ ...FACTS, [name]: value }), fingerprintOf(FACTS));
  });

test('the code of a boundary is that of its sandboxes, its limits and every harness, without their packages', (context) => {
  const root = temporaryFolder(context);
  const put = (file: string, text: string): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  const files = [
    ...['src/runtimes/docker.ts', 'src/evidence/inspection/judge.ts', 'src/base/limits/sandbox.ts'],
    ...['src/sessions/spec.ts', 'src/sessions/folders.ts', 'sandbox/runner/runner.ts', 'sandbox/inspect/files.ts'],
    ...['sandbox/harnesses/native/shell.ts', 'sandbox/harnesses/claude/package-lock.json'],
  ];
  for (const file of files) put(file, 'as it was');
  const before = boundaryCodeHash(root);
  for (const file of files) {
    put(file, 'changed');
    assert.notEqual(boundaryCodeHash(root), before, file);
    put(file, 'as it was');
  }
  put('sandbox/harnesses/native/node_modules/ai/index.js', 'a package');
  assert.equal(boundaryCodeHash(root), before);
});
