import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInstalled } from '../../src/sessions/harnesses.ts';
import { until } from '../fakes/install.ts';
import { modelInstall } from '../fakes/model_install.ts';
import { Terminal } from '../fakes/terminal.ts';

/** What an agent notes outlives the conversation: the next one begins with its index, whatever the harness. */

const world = modelInstall();
const { install } = world;

for (const [harness, tool] of [
  ['native', 'bash'],
  ['claude', 'Bash'],
] as const) {
  test(`${harness}: what was noted is there after /new, and what was said is not`, async (context) => {
    if (!isInstalled(install.paths.root, harness)) return context.skip(`${harness} is not installed`);
    await install.change('assistant', world.yaml(harness));
    const chat = await Terminal.open(install.control, `memory-${harness}`);
    const noted = `the ${harness} cat sleeps`;
    const command = `mkdir -p memory && echo '- cats.md: ${noted}' > memory/INDEX.md && echo kept`;
    await chat.say(`tool ${tool} ${JSON.stringify({ command })}`);
    await chat.hears(/^tool said: .*kept/s, 60_000);
    await chat.say('/new');
    await chat.hears(/new conversation/);
    const asked = world.model.requests.length;
    await chat.say('good morning');
    await chat.hears(/^echo: [\s\S]*good morning/, 60_000);
    const request = await until('the request of the new conversation', async () => {
      const found = world.model.requests.slice(asked).find(({ body }) => body.includes('good morning'));
      if (found === undefined) throw new Error('none yet');
      return found.body;
    });
    assert.ok(request.includes(noted), 'the index');
    assert.ok(!request.includes('mkdir -p memory'), 'the old conversation');
  });
}
