import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelInstall } from '../fakes/model_install.ts';
import { ask } from '../fakes/scripted_group.ts';
import { Terminal } from '../fakes/terminal.ts';
import { requireHarness } from '../kits/harness_bench.ts';

await requireHarness('claude');
const made = modelInstall();

test('an agent that removes its own transcript, and whose process ends, remembers from the ledger', async () => {
  const { install, model } = made;
  await install.change('assistant', made.yaml('claude'));
  const chat = await Terminal.open(install.control, 'self-harm');
  await ask(chat, 'remember the word pomegranate');
  await ask(chat, 'tool Bash {"command":"rm -rf ~/claude/projects"}');
  model.mode = '401'; // after a turn that failed its process is ended
  assert.match(await ask(chat, 'are you there?'), /refused|credential|401/);
  model.mode = 'ok';
  assert.match(await ask(chat, 'and now?'), /and now\?/);
  const { body } = model.requests.findLast((request) => request.body.includes('and now?'))!;
  assert.ok(body.includes('pomegranate'), 'the conversation was not given to it again');
});
