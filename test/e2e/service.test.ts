import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask } from '../fakes/scripted_group.ts';
import { type FakeModel, startModel } from '../fakes/model.ts';
import { Terminal } from '../fakes/terminal.ts';
import { requireHarness } from '../kits/harness_bench.ts';
import { TwoAccounts } from '../kits/two_accounts.ts';

let two: TwoAccounts; let model: FakeModel;
before(async () => {
  await requireHarness('native');
  model = await startModel();
  two = new TwoAccounts();
  two.group('assistant', `harness: native\nmodel: {upstream: "${model.origin}"}\n`);
  await two.start();
});
after(async () => { await two.stop(); await model.close(); });
test('x', async () => {
  console.log(two.glass(['secret','set','anthropic','--stdin'], 'sk-scripted-0123456789'));
  console.log(two.glass(['status']));
  const chat = await Terminal.open(two.control, 'main');
  console.log(await ask(chat, 'hello'));
  console.log(two.glass(['status'], '', 61309));
  console.log(two.glass(['inspect', 'assistant']).out);
});
