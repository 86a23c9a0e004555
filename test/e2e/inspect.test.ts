import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { type Inspection, inspectSandbox } from '../../src/evidence/inspection/inspection.ts';
import { renderInspection } from '../../src/evidence/inspection/report.ts';
import { cannotDrop, passesForOrdinaryUser } from '../fakes/ordinary_user.ts';
import { InspectedHome, IS_ROOT, redLines, runtimeOf } from './inspect_kit.ts';

/** Ten times what it takes on a small machine. */
const QUICK_MS = 20_000;
const FULL_MS = 60_000;
const PASSED_MIN = 150;

function assertGreen(inspection: Inspection, most_ms: number): void {
  assert.deepEqual(redLines(inspection), []);
  assert.ok(inspection.ok);
  const passed = inspection.probes.filter(({ state }) => state === 'passed').length;
  assert.ok(passed >= PASSED_MIN, `${passed} probes passed`);
  assert.ok(inspection.ms < most_ms, `${inspection.ms} ms`);
}

function stateOf(inspection: Inspection, id: string): string {
  return inspection.probes.find((probe) => probe.id === id)?.state ?? 'no such probe';
}

for (const name of ['bubblewrap', 'docker'] as const) {
  const home = new InspectedHome();
  const runtime = await runtimeOf(name, home);
  const problems = await runtime.check();
  after(() => home.remove());

  const who = IS_ROOT ? 'of root' : 'of an ordinary user';
  describe(`an inspection of a ${name} sandbox ${who}`, {
    skip: problems.length > 0 ? problems.join('; ') : false,
  }, () => {
    test('finds every guard in its place', async (context) => {
      const inspection = await inspectSandbox(await home.input(runtime));
      context.diagnostic(`${inspection.probes.length} probes, quick: ${inspection.ms} ms`);
      assertGreen(inspection, QUICK_MS);
      assert.equal(inspection.actual.seccomp, '2');
      assert.ok(inspection.actual.mounts.some(({ target, access }) => target === '/workspace' && access === 'write'));
      assert.equal(new Set(inspection.probes.map(({ id }) => id)).size, inspection.probes.length, 'ids are unique');
    });

    test('exhausts each limit that holds here, in sandboxes of their own', async (context) => {
      const input = await home.input(runtime, 'full');
      const inspection = await inspectSandbox(input);
      context.diagnostic(`full: ${inspection.ms} ms`);
      assertGreen(inspection, FULL_MS);
      const expected = (limit: string): string => ((input.absent as string[]).includes(limit) ? 'not_run' : 'passed');
      assert.equal(stateOf(inspection, 'exhaust.memory'), expected('memory_bytes'));
      assert.equal(stateOf(inspection, 'exhaust.processes'), expected('pids'));
      assert.equal(stateOf(inspection, 'exhaust./tmp'), 'passed');
    });

    test('finds nothing of a readable file in the host’s /etc', {
      skip: IS_ROOT ? false : 'only root can put one there',
    }, async () => {
      const folder = mkdtempSync('/etc/glass-inspect-');
      const canary = `${folder}/canary`;
      try {
        writeFileSync(canary, 'of the host\n', { mode: 0o644 });
        const inspection = await inspectSandbox({ ...(await home.input(runtime)), canary });
        assertGreen(inspection, QUICK_MS);
        assert.equal(stateOf(inspection, 'absent.canary'), 'passed');
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    test('leaves nothing behind: no socket, no file in the workspace, no sandbox', async () => {
      const input = await home.input(runtime);
      await inspectSandbox(input);
      assert.ok(!existsSync(input.run));
      assert.deepEqual(readdirSync(home.paths.group('tested').workspace), []);
      assert.equal(await runtime.reap(input.spec.install), 0);
    });

    test('has failed as a whole when its sandbox cannot be started', async () => {
      const input = await home.input(runtime);
      const inspection = await inspectSandbox({ ...input, spec: { ...input.spec, argv: ['/no/such/node'] } });
      assert.equal(inspection.ok, false);
      assert.ok(inspection.probes.every(({ state }) => state !== 'passed'));
      assert.match(inspection.problem!, /\/no\/such\/node/);
    });

    test('reads as a report', async () => {
      const inspection = await inspectSandbox(await home.input(runtime));
      const report = renderInspection({ group: 'tested', versions: [], declared: [], inspection, last_seen: {} });
      assert.match(report, /No attempt to leave the sandbox succeeded/);
      for (const { id } of inspection.probes) assert.ok(report.includes(`| ${id.replaceAll('_', '\\_')} |`), id);
    });
  });
}

test('the same tests pass for an ordinary user', { skip: cannotDrop() }, () => {
  passesForOrdinaryUser(import.meta.url);
});
