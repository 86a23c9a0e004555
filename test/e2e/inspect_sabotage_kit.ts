import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Inspection } from '../../src/evidence/inspection/inspection.ts';
import type { LimitState, Runtime } from '../../src/runtimes/runtime.ts';
import { PatchedTree } from '../fakes/patched_tree.ts';
import { InspectedHome, IS_ROOT, inspectFrom, redLines, runtimeOf } from './inspect_kit.ts';
import type { Sabotage } from './inspect_sabotage.ts';

/** The self-check is worth something only if it sees what it is there for: each guard is taken out of a copy of the code. */

const KIT = fileURLToPath(new URL('inspect_kit.ts', import.meta.url));

/** One test for each guard of a runtime. */
export async function describeSabotages(name: Runtime['name'], sabotages: readonly Sabotage[]): Promise<void> {
  const home = new InspectedHome();
  const runtime = await runtimeOf(name, home);
  const problems = await runtime.check();
  const limits = await runtime.limits();
  after(() => home.remove());
  describe(`an inspection of a ${name} sandbox`, { skip: problems.length > 0 ? problems.join('; ') : false }, () => {
    for (const sabotage of sabotages.filter(({ only }) => only === undefined || (only === 'root') === IS_ROOT)) {
      test(sentenceOf(sabotage), { skip: missingLimit(sabotage, limits) }, async (context) => {
        const inspection = await inspectWithout(sabotage, name, home);
        const failed = inspection.probes.filter(({ state }) => state === 'failed').map(({ id }) => id);
        context.diagnostic(`${inspection.ms} ms, ${failed.length} red: ${failed.slice(0, 8).join(', ')}`);
        judgeSabotage(sabotage, inspection, failed);
      });
    }
  });
}

/** Fails when the inspection did not see what the sabotage took away. */
export function judgeSabotage({ red, hidden }: Sabotage, inspection: Inspection, failed: string[]): void {
  assert.equal(inspection.ok, hidden !== undefined);
  if (red === 'all') {
    assert.ok(inspection.problem !== null && inspection.probes.every(({ state }) => state !== 'passed'));
    return;
  }
  // A sandbox that does not start is red for any reason: that would prove nothing.
  assert.equal(inspection.problem, null);
  if (hidden !== undefined) assert.deepEqual(redLines(inspection), []);
  const green = red.filter((id) => !failed.includes(id));
  assert.deepEqual(green, [], 'these stayed green');
}

export function sentenceOf({ without, red, hidden }: Sabotage): string {
  if (hidden !== undefined) return `stays green without ${without}: ${hidden}`;
  return `turns red without ${without}${red === 'all' ? '' : ` (${red.join(', ')})`}`;
}

/** A limit that this machine cannot hold anyway is no guard here. */
function missingLimit({ red }: Sabotage, limits: LimitState[]): string | false {
  const needed = {
    'host.pids': 'pids',
    'host.memory': 'memory_bytes',
    'host.swap': 'memory_bytes',
    'host.cpus': 'cpus',
    'host.disk_write': 'disk_write_bytes',
    'host.disk_writes': 'disk_write_bytes',
  } as const;
  const limit = Object.entries(needed).find(([probe]) => red.includes(probe))?.[1];
  const state = limits.find(({ name }) => name === limit);
  return limit !== undefined && state?.state !== 'enforced' ? `no limit of ${limit} here` : false;
}

async function inspectWithout(sabotage: Sabotage, name: Runtime['name'], home: InspectedHome): Promise<Inspection> {
  using tree = new PatchedTree(sabotage.patches);
  using _ = sabotage.shared ? sharedMount(home.paths.home) : null;
  await using __ = sabotage.image ? await home.mountWorkspace(tree.root) : null;
  const depth = sabotage.depth ?? 'quick';
  return sabotage.leak ? await inspectLeaking(tree.root) : await inspectFrom(tree.root, name, home, depth);
}

function sharedMount(folder: string): Disposable {
  execFileSync('mount', ['--bind', folder, folder]);
  execFileSync('mount', ['--make-shared', folder]);
  return { [Symbol.dispose]: () => execFileSync('umount', ['--lazy', folder]) };
}

/** Above those that Node itself closes in its children. */
const LEAKED_FD = 40;

/** In a process that was started with an open folder of the host, as a careless supervisor would. */
async function inspectLeaking(root: string): Promise<Inspection> {
  const folder = openSync('/', 'r');
  const child = spawn(process.execPath, [KIT, root], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'inherit', ...Array(LEAKED_FD - 3).fill('ignore'), folder],
  });
  closeSync(folder);
  return JSON.parse(await outputOf(child)) as Inspection;
}

function outputOf(child: ChildProcess): Promise<string> {
  let output = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return new Promise((resolve) => child.once('close', () => resolve(output)));
}
