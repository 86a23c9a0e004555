import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { Trace } from '../../src/evidence/trace.ts';
import { Install } from '../fakes/install.ts';
import { echoScript, type FakeModel, type Mode, type Script, startModel } from '../fakes/model.ts';
import { PatchedTree } from '../fakes/patched_tree.ts';
import { ask } from '../fakes/scripted_group.ts';
import { Terminal } from '../fakes/terminal.ts';
import { requireHarness } from '../kits/harness_bench.ts';

/** Each way in which a model endpoint fails, through sandbox, gateway and host as they ship: a sentence, a row, and it goes on. */

const HARNESSES = ['native', 'claude'] as const;
const mode = (name: Mode): Script => {
  return () => ({ mode: name });
};
const page = (type: string, body: string): Script => {
  return () => ({ raw: (response) => void response.writeHead(200, { 'content-type': type }).end(body) });
};
/** What it does, the status of its row, and what the person hears of it. */
const FAILURES: [what: string, script: Script, status: number, sentence: RegExp][] = [
  ['it refuses the credential', mode('401'), 401, /credential/],
  ['it wants money', mode('402'), 402, /budget|credit|paid|spent/],
  ['it wants fewer requests', mode('429'), 429, /no more requests/],
  ['it fails', mode('500'), 500, /failed \(500\)/],
  ['it hangs', mode('hang'), 504, /in time/],
  ['it cuts its stream', mode('cut'), 200, /broke off/],
  ['it speaks no HTTP', mode('garbage'), 502, /cannot be reached|no model answer/],
  ['a page is there in its place', page('text/html', '<html>Sign in to the network</html>'), 200, /no model answer/],
  ['it answers something else', page('application/json', '{"weather":"fine"}'), 200, /no model answer/],
];

/** Nobody waits here for as long as for a model. */
const tree = new PatchedTree(
  [['src/base/limits/gateway.ts', 'MODEL_FIRST_BYTE_MS = 5 * MINUTE_MS', 'MODEL_FIRST_BYTE_MS = 2 * SECOND_MS']],
  HARNESSES,
);
const install = new Install(undefined, tree.root);
let model: FakeModel;

before(async () => {
  for (const harness of HARNESSES) await requireHarness(harness);
  model = await startModel();
  await install.start();
  await install.secret('anthropic', 'sk-fake-0123456789');
  for (const group of HARNESSES) {
    await install.change(group, `harness: ${group}\nmodel: {upstream: "${model.origin}"}\n`);
    await install.control.call('wiring_set', { chat: `local:${group}`, group, engage: 'always', session: 'chat' });
  }
});
afterEach((context) => install.explain(context));
after(async () => {
  await install.stop();
  await model?.close();
  tree[Symbol.dispose]();
});

/** Says something while it fails; what is heard, after what its row says was looked at. */
async function failed(chat: Terminal, what: string, status: number): Promise<string> {
  const said = await ask(chat, `while ${what}`);
  assert.match(said, /^[A-Z][^\n]{20,300}\.$/, 'it is one sentence');
  assert.doesNotMatch(said, /undefined|\[object|<html/);
  const trace = await install.control.call<Trace>('trace', { message: 'latest' });
  const request = trace.steps.findLast(({ kind }) => kind === 'model.request');
  assert.equal(request?.data['status'], status);
  return said;
}

for (const harness of HARNESSES)
  test(`a model endpoint of ${harness} that fails`, async (context) => {
    const chat = await Terminal.open(install.control, harness);
    for (const [what, script, status, sentence] of FAILURES)
      await context.test(what, async () => {
        model.script = script;
        assert.match(await failed(chat, what, status), sentence);
        model.script = echoScript;
        assert.match(await ask(chat, `after ${what}`), /echo: /);
      });
    await context.test('it refuses connections', async () => {
      const { port } = model;
      await model.close();
      assert.match(await failed(chat, 'nobody is there', 502), /cannot be reached/);
      model = await startModel({ port });
      assert.match(await ask(chat, 'after nobody was there'), /echo: /);
    });
    chat.close();
  });
