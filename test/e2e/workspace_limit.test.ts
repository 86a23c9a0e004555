import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { pathsOf } from '../../src/base/paths.ts';
import type { Status } from '../../src/evidence/status.ts';
import { DockerRuntime } from '../../src/runtimes/docker.ts';
import { engineSocket } from '../../src/runtimes/engine.ts';
import { mountAt } from '../../src/runtimes/mounts.ts';
import { imagesProblem, mountWorkspace, unmountWorkspace } from '../../src/runtimes/workspace_image.ts';
import { until } from '../fakes/install.ts';
import { contentOf, litterScript } from '../fakes/litter.ts';
import { cannotDrop, passesForOrdinaryUser } from '../fakes/ordinary_user.ts';
import { remove } from '../fakes/remove.ts';
import { ask, type ScriptedInstall, scriptedInstall, shell } from '../fakes/scripted_group.ts';

/** The cap of a workspace as agents and people meet it: real sandboxes, by root with images and by an ordinary user without. */

const LIMITS = 'limits: {workspace: 24MiB, memory: 512MiB}\n';
const IS_ROOT = process.geteuid!() === 0;
const FILL = 'head -c 64M /dev/zero > fill$$; sync; du -sm .';
/** Of the host, until a workspace that was in use has its size. */
const STARTS_MAX = 4;

const scratch = mkdtempSync(join(tmpdir(), 'gw-'));
const problem = await imagesProblem(join(scratch, 'trial'));
remove(scratch);
const noDocker = await new DockerRuntime({ socket: engineSocket(process.env), cache: tmpdir(), run: tmpdir() }).check();

async function scripted(context: TestContext, runtime?: string): Promise<ScriptedInstall> {
  const made = await scriptedInstall(LIMITS, runtime);
  context.after(async () => {
    made.install.explain(context);
    await made.stop();
  });
  return made;
}

async function limitOf({ install }: ScriptedInstall): Promise<{ state: string; reason: string }> {
  const { runtime } = await install.control.call<Status>('status');
  return runtime.limits.find((limit) => limit.name === 'workspace_bytes')!;
}

describe('a workspace with a file system of its own', { skip: problem ?? false }, () => {
  test('is full for the agent that fills it, in every session of the group, until something is removed', async (context) => {
    const made = await scripted(context);
    assert.equal((await limitOf(made)).state, 'enforced');
    const [one, two] = [await made.terminal('one'), await made.terminal('two')];
    assert.match(await shell(one, FILL), /No space left on device/);
    assert.match(await shell(two, 'head -c 8192 /dev/zero > more'), /No space left on device/);
    assert.match(await shell(two, 'rm fill*; echo more > more; cat more'), /more/);
    assert.match(await shell(one, 'cat more; grep " /workspace " /proc/mounts'), /more[\s\S]* ext4 rw,nosuid,nodev/);
  });

  test('is told of when it cannot have the size that it should, and when it has it', async (context) => {
    const made = await scripted(context);
    const { install } = made;
    const told = async (): Promise<string[]> => {
      const { alerts } = await install.control.call<Status>('status');
      return alerts.flatMap(({ kind, subject, text }) => (kind === 'workspace.size' ? `${subject}: ${text}` : []));
    };
    await shell(await made.terminal('before'), 'echo x > x');
    await install.change('assistant', made.yaml('limits: {workspace: 16MiB, memory: 512MiB}\n'));
    await shell(await made.terminal('meanwhile'), 'echo x > x');
    await until('it is told of', async () =>
      assert.match((await told()).join(), /^assistant: .*until the host starts/),
    );
    // A sandbox of somebody else that starts just then holds a copy of the mount for a moment: then it is for the next start.
    for (let start = 1; start === 1 || ((await told()).length > 0 && start <= STARTS_MAX); start += 1) {
      await install.end('host', 'SIGTERM');
      install.spawn('host');
      await install.ready();
      await shell(await made.terminal(`after-${start}`), 'echo x > x');
    }
    await until('it is over', async () => assert.deepEqual(await told(), []));
  });

  test('outlives a host that is killed, and is unmounted by one that stops', async (context) => {
    const made = await scripted(context);
    const chat = await made.terminal('life');
    await shell(chat, 'echo kept > file; mkdir closed; echo x > "$(printf \'a\\nb\\377\')"; chmod 0 closed');
    const { workspace, folder } = made.install.paths.group('assistant');
    await made.install.end('host', 'SIGKILL');
    assert.notEqual(mountAt(workspace), null);
    made.install.spawn('host');
    await made.install.ready();
    assert.match(await shell(await made.terminal('life-after'), 'cat file'), /kept/);
    await made.install.end('host', 'SIGTERM');
    assert.equal(mountAt(workspace), null);
    const copy = mkdtempSync(join(tmpdir(), 'gw-'));
    context.after(() => remove(copy));
    execFileSync('cp', ['-a', `${folder}/.`, copy]);
    assert.deepEqual(readdirSync(copy).sort(), readdirSync(folder).sort());
    await made.install.end('gateway', 'SIGTERM');
    await made.install.start();
    assert.match(await shell(await made.terminal('life-again'), 'cat file; ls -d closed'), /kept\nclosed/);
  });

  test('that is damaged stops its group with one sentence, and nothing of it is deleted', async (context) => {
    const made = await scripted(context);
    const chat = await made.terminal('damaged');
    await shell(chat, 'echo kept > file');
    await made.install.end('host', 'SIGTERM');
    const { image } = made.install.paths.group('assistant');
    // A sandbox of another test may have a copy of the mount for a moment; through its device the image would still be whole.
    await until('its loop device is let go', async () => {
      const files = globSync('/sys/block/loop*/loop/backing_file').map((file) => readFileSync(file, 'utf8').trim());
      assert.ok(!files.includes(image));
    });
    truncateSync(image, 4 * 2 ** 20);
    made.install.spawn('host');
    await made.install.ready();
    assert.match(
      await ask(await made.terminal('told'), 'hello?'),
      /could not be answered[\s\S]*workspace image .* is damaged/,
    );
    assert.ok(existsSync(image));
  });

  test('is the one that a container sees', { skip: noDocker.join('; ') || false }, async (context) => {
    const made = await scripted(context, 'docker');
    const chat = await made.terminal('container');
    const said = await shell(chat, `grep " /workspace " /proc/mounts; ${FILL}`);
    assert.match(said, / ext4 rw,nosuid,nodev/);
    assert.match(said, /No space left on device/);
  });
});

describe('a workspace that is measured', {
  skip: IS_ROOT && problem === null && 'this machine can mount images',
}, () => {
  test('ends the sandbox that fills it, says why, and can be cleaned up', async (context) => {
    const made = await scripted(context);
    const { state, reason } = await limitOf(made);
    assert.equal(state, 'watched');
    assert.match(reason, /^measured every \d+ s/);
    const chat = await made.terminal('watched');
    await shell(chat, 'head -c 14M /dev/zero > half');
    const ended = await shell(chat, 'head -c 64M /dev/zero > fill$(date +%N); sleep 60');
    assert.match(ended, /could not be answered[\s\S]*the workspace is larger than 24 MiB/);
    const { steps } = await made.install.control.call<{ steps: { kind: string }[] }>('trace', { message: 'latest' });
    assert.ok(JSON.stringify(steps).includes('the workspace is larger than 24 MiB'));
    assert.match(await shell(chat, 'rm fill*; sleep 5; du -sm .'), /14|15/, 'cleaning up takes its time and is let');
    assert.match(await shell(chat, 'echo fine'), /fine/);
  });

  test('that is hidden from the measurement is not allowed for long', async (context) => {
    const made = await scripted(context);
    const chat = await made.terminal('hidden');
    const ended = await shell(chat, 'head -c 14M /dev/zero > half; mkdir -p hide/a; chmod 0 hide; sleep 60');
    assert.match(ended, /the workspace cannot be measured \(a folder in it is closed to its own account\)/);
    await until('the host answers', async () => void (await made.install.control.call('status')));
  });
});

test('what agents wrote goes into a copy of the home, and goes with the home', async (context) => {
  const made = await scripted(context);
  await shell(await made.terminal('writer'), litterScript('/etc'));
  await made.install.end('host', 'SIGTERM');
  await made.install.end('gateway', 'SIGTERM');
  const { home } = made.install.paths;
  // Files are the operator's own here, and closed to their owner too: who is not root opens them first.
  if (!IS_ROOT) execFileSync('chmod', ['-R', 'u+rwX', join(home, 'groups')]);
  const copy = mkdtempSync(join(tmpdir(), 'gw-'));
  context.after(() => remove(copy));
  execFileSync('cp', ['-a', '--sparse=always', `${home}/.`, copy]);
  assert.equal(await workspaceIn(copy), await workspaceIn(home));
  for (const folder of [copy, home]) {
    execFileSync('rm', ['-r', folder], { stdio: 'pipe' });
    assert.ok(!existsSync(folder));
  }
});

/** What is in the workspace of a home whose host has stopped. */
async function workspaceIn(home: string): Promise<string> {
  const { workspace: folder, image } = pathsOf(home, process.env).group('assistant');
  if (!existsSync(image)) return contentOf(folder);
  await mountWorkspace({ folder, image, uid: statSync(image).uid, bytes: 24 * 2 ** 20 });
  const found = contentOf(folder);
  await unmountWorkspace(folder);
  return found;
}

test('the same tests pass for an ordinary user', { skip: cannotDrop() }, () => {
  passesForOrdinaryUser(import.meta.url);
});
