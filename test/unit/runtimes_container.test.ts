import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LogFields } from '../../src/base/log.ts';
import { reap } from '../../src/operations/runtimes.ts';
import { DockerRuntime } from '../../src/runtimes/docker.ts';
import { IS_ROOT, sandboxSpec } from '../e2e/runtimes_kit.ts';
import { FakeEngine } from '../fakes/engine.ts';

const SPEC = sandboxSpec({ uid: 12 });
const NAME = 'glass-aaaaaaaaaa-s1';
const OURS = { 'glassclaw.install': 'aaaaaaaaaa', 'glassclaw.session': 's1' };

async function world(context: { after(clean: () => void): void }) {
  const engine = new FakeEngine();
  await engine.listen();
  context.after(() => engine.close());
  const runtime = new DockerRuntime({ socket: engine.socket, cache: engine.folder, run: engine.folder });
  return { engine, runtime, start: () => runtime.start(SPEC, () => {}) };
}

/** A log that keeps its warnings. */
function listening() {
  const said: LogFields[] = [];
  const warn = (event: string, fields = {}): void => void said.push({ event, ...fields });
  return { said, log: { info: () => {}, error: () => {}, warn } };
}

describe('a container of an engine that goes away', { timeout: 20_000 }, () => {
  for (const taken of [409, 500] as const)
    test(`is removed when its session starts again, where it could not be at its end (${taken})`, async (context) => {
      const { engine, start } = await world(context);
      engine.taken = taken;
      const first = await start();
      engine.away = /^DELETE/;
      first.kill();
      await first.exited;
      assert.equal(engine.containers.length, 1, 'it is left over');
      engine.away = null;
      const second = await start();
      assert.deepEqual(
        engine.containers.map(({ Id }) => Id),
        ['id2'],
      );
      second.kill();
      await second.exited;
      assert.deepEqual(engine.containers, []);
    });

  test('is not asked for again when nothing has its name', async (context) => {
    const { engine, start } = await world(context);
    engine.full = true;
    await assert.rejects(start(), { code: 'unavailable', message: /no space left on device/ });
    assert.equal(engine.asked.filter((call) => call === 'POST /containers/create').length, 1);
  });

  test('is asked for once more only: who cannot be removed keeps the name', async (context) => {
    const { engine, start } = await world(context);
    engine.add(NAME, OURS, false);
    engine.away = /^DELETE/;
    await assert.rejects(start(), { code: 'unavailable', message: /already in use/ });
    assert.equal(engine.asked.filter((call) => call === 'POST /containers/create').length, 2);
  });

  test('is never somebody else’s of that name', async (context) => {
    const others = [{}, { 'glassclaw.install': 'bbbbbbbbbb', 'glassclaw.session': 's1' }];
    for (const labels of others) {
      const { engine, start } = await world(context);
      engine.add(NAME, labels, true);
      await assert.rejects(start(), {
        code: 'unavailable',
        message: `A container of somebody else has the name ${NAME}`,
        fix: 'rename or remove it',
      });
      assert.equal(engine.containers[0]?.running, true);
    }
  });

  test('is killed when the engine is back, where it was away when the kill was sent', async (context) => {
    const { engine, start } = await world(context);
    const sandbox = await start();
    engine.away = /^/;
    engine.cut();
    sandbox.kill();
    while (!engine.asked.some((call) => call.endsWith('/kill'))) await new Promise((resolve) => setTimeout(resolve, 5));
    engine.away = null;
    assert.deepEqual(await sandbox.exited, { code: 137, signal: null, reason: null });
    assert.deepEqual(engine.containers, []);
  });

  test('is killed by an engine that waits with it and refuses the first kill', async (context) => {
    const { engine, start } = await world(context);
    const sandbox = await start();
    engine.away = /kill$/;
    sandbox.kill();
    sandbox.kill();
    while (!engine.asked.some((call) => call.endsWith('/kill'))) await new Promise((resolve) => setTimeout(resolve, 5));
    engine.away = null;
    assert.equal((await sandbox.exited).code, 137);
    assert.equal(engine.asked.filter((call) => call.endsWith('/kill')).length, 2, 'two who ask are one kill');
  });

  test('is ended before the first start, where the engine was away when the host started', async (context) => {
    const { engine, runtime } = await world(context);
    engine.add('glass-aaaaaaaaaa-s8', OURS, true);
    const foreign = engine.add('glass-bbbbbbbbbb-s8', { 'glassclaw.install': 'bbbbbbbbbb' }, true);
    engine.away = /^/;
    await assert.rejects(runtime.reap('aaaaaaaaaa'), { code: 'unavailable' });
    engine.away = null;
    const sandboxes = await Promise.all(['s1', 's2'].map((session) => runtime.start({ ...SPEC, session }, () => {})));
    assert.deepEqual(
      engine.containers.map(({ name }) => name),
      [foreign.name, 'glass-aaaaaaaaaa-s1', 'glass-aaaaaaaaaa-s2'],
    );
    assert.equal(engine.asked.filter((call) => call === 'GET /containers/json').length, 2, 'it looked once more');
    for (const sandbox of sandboxes) sandbox.kill();
    await Promise.all(sandboxes.map(({ exited }) => exited));
  });

  test('that does not answer when the host starts is told of, and one that is not there or closed to us is not', async (context) => {
    const { engine, runtime } = await world(context);
    engine.away = /^/;
    const { said, log } = listening();
    await reap(runtime, 'aaaaaaaaaa', log);
    const absent = new DockerRuntime({ socket: '/no/such.sock', cache: engine.folder, run: engine.folder });
    await reap(absent, 'aaaaaaaaaa', log);
    if (IS_ROOT) {
      process.seteuid!(65534);
      await reap(runtime, 'aaaaaaaaaa', log).finally(() => process.seteuid!(0));
    }
    const reason = 'The container engine does not answer (socket hang up)';
    assert.deepEqual(said, [{ event: 'runtime.reap_failed', runtime: 'docker', reason }]);
  });

  for (const [after, how] of [
    ['nothing', 'no word of it for 0.3 s'],
    ['head', 'aborted'],
  ] as const)
    test(`that takes a question and hangs (after ${after}) keeps neither a start of the host nor its status waiting, and is told of`, async (context) => {
      const { engine } = await world(context);
      const places = { socket: engine.socket, cache: engine.folder, run: engine.folder };
      const runtime = new DockerRuntime({ ...places, question_ms: 300 });
      engine.add('glass-aaaaaaaaaa-s8', OURS, true);
      engine.silent = { calls: /^GET/, after };
      const { said, log } = listening();
      await reap(runtime, 'aaaaaaaaaa', log);
      const reason = `The container engine does not answer (${how})`;
      assert.deepEqual(said, [{ event: 'runtime.reap_failed', runtime: 'docker', reason }]);
      assert.deepEqual(await runtime.check(), [reason]);
      await assert.rejects(
        runtime.start(SPEC, () => {}),
        { code: 'unavailable', message: reason },
      );
      engine.silent = null;
      const sandbox = await runtime.start(SPEC, () => {});
      assert.deepEqual(
        engine.containers.map(({ name }) => name),
        [NAME],
        'what an earlier host left is ended first',
      );
      sandbox.kill();
      await sandbox.exited;
    });
});
