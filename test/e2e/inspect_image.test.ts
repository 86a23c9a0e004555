import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, describe, test } from 'node:test';
import { type Inspection, inspectSandbox } from '../../src/evidence/inspection/inspection.ts';
import { SANDBOX_IMAGE } from '../../src/runtimes/docker.ts';
import type { Runtime } from '../../src/runtimes/runtime.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { InspectedHome, redLines, runtimeOf } from './inspect_kit.ts';

/** Whether a container is made of the image that its group names: by its id, as the engine says it. */

const OF_THE_INSTALL: Patch = [
  'src/runtimes/docker_request.ts',
  "Image: spec.userland.kind === 'image' ? spec.userland.ref : plan.image",
  'Image: plan.image',
];

const home = new InspectedHome();
const docker = await runtimeOf('docker', home);
const problems = await docker.check();
after(() => home.remove());

/** Differs from the install's by a label. */
function ownImage(): { id: string } & Disposable {
  const input = `FROM ${SANDBOX_IMAGE}\nLABEL glassclaw.test=${process.pid}\n`;
  const stdio = ['pipe', 'pipe', 'ignore'] as const;
  const id = execFileSync('docker', ['build', '--quiet', '-'], { input, stdio: [...stdio] })
    .toString()
    .trim();
  return { id, [Symbol.dispose]: () => void execFileSync('docker', ['rmi', id], { stdio: 'ignore' }) };
}

async function inspected(runtime: Runtime, ref: string): Promise<Inspection> {
  const input = await home.input(runtime);
  return inspectSandbox({ ...input, spec: { ...input.spec, userland: { kind: 'image', ref } } });
}

describe('an inspection of a container', { skip: problems.length > 0 ? problems.join('; ') : false }, () => {
  test('finds the image that the group names, and turns red without it (host.image)', async () => {
    using image = ownImage();
    const right = await inspected(docker, image.id);
    assert.deepEqual(redLines(right), []);
    assert.equal(right.actual.image, image.id);
    assert.equal(right.probes.find(({ id }) => id === 'host.image')?.state, 'passed');
    using tree = new PatchedTree([OF_THE_INSTALL]);
    const wrong = await inspected(await runtimeOf('docker', home, tree.root), image.id);
    assert.match(redLines(wrong).join('\n'), /^host\.image: expected as declared, seen sha256:\w+$/);
  });
});
