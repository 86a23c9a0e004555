import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { SESSION_LOG_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { DockerRuntime } from '../../src/runtimes/docker.ts';
import { engineSocket } from '../../src/runtimes/engine.ts';
import { ask, type ScriptedInstall, scriptedInstall, shell } from '../fakes/scripted_group.ts';
import { sessionOf } from '../fakes/terminal.ts';

/** The limits that the host keeps by itself, of turns and of output, with gateway, host and a sandbox as they ship. */

const DEADLINE = 'That took longer than 2 seconds and was stopped.';
/** One line more says that the rest is not kept, and one was begun before the cap. */
const ROOM_BYTES = 8192;
const CUT = '[further output of this session is not kept]\n';
const TURNS_MAX = 8;

async function skipOf(runtime: string): Promise<string | false> {
  if (runtime === 'bubblewrap') return false;
  const docker = new DockerRuntime({ socket: engineSocket(process.env), cache: '/nonexistent', run: '/nonexistent' });
  return (await docker.check()).join('; ') || false;
}

for (const runtime of ['bubblewrap', 'docker']) {
  describe(`under ${runtime}`, { skip: await skipOf(runtime) }, () => {
    let made: ScriptedInstall;
    before(async () => {
      made = await scriptedInstall('limits: {turn: 2s}\n', runtime);
    });
    afterEach((context) => made.install.explain(context));
    after(() => made.stop());

    test('a turn ends at its deadline, and the next one answers', async () => {
      const agent = await made.terminal('slow');
      await ask(agent, 'hello');
      const began = performance.now();
      assert.equal(await shell(agent, 'sleep 20'), DEADLINE);
      assert.ok(performance.now() - began >= 2000);
      assert.match(await ask(agent, 'hello again'), /hello again/);
    });

    // Bubblewrap's is a socket, which an agent cannot open a second time.
    const skip = runtime === 'bubblewrap' && 'the agent has no way to the output';
    test('output without end is kept up to its cap, ends with its turn, and keeps nobody else waiting', {
      skip,
    }, async () => {
      const [agent, neighbour] = [await made.terminal('loud'), await made.terminal('neighbour')];
      await ask(neighbour, 'hello');
      const flood = () => shell(agent, 'yes a-line-of-output > /proc/$PPID/fd/1');
      const loud = flood();
      assert.match(await ask(neighbour, 'are you there?'), /are you there/);
      assert.equal(await loud, DEADLINE);
      const kept = () => readFileSync(made.install.paths.session(sessionOf(made.install, 'loud')).log, 'utf8');
      // A machine with other work needs more than one turn for as much.
      for (let turns = 1; turns < TURNS_MAX && !kept().endsWith(CUT); turns += 1) assert.equal(await flood(), DEADLINE);
      const log = kept();
      assert.match(log, /Z a-line-of-output\n/);
      assert.ok(log.endsWith(CUT), `${log.length} bytes: ${log.slice(-200)}`);
      assert.ok(log.length < SESSION_LOG_BYTES_MAX + ROOM_BYTES, `${log.length} bytes`);
      assert.match(await ask(agent, 'hello again'), /hello again/);
    });
  });
}
