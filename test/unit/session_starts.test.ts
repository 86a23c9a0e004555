import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HarnessName } from '../../src/base/config.ts';
import { Sessions } from '../../src/sessions/sessions.ts';
import { queueMessage } from '../fakes/ledger_kit.ts';
import { eventually, sessionWorld } from '../fakes/session_world.ts';

test('a secret that becomes known while a start is planned is known to what starts', async (context) => {
  const { ledger, row, services, sandbox } = await sessionWorld(context);
  const proven = Promise.withResolvers<void>();
  let harness: HarnessName = 'probe';
  let proofs = 0;
  const sessions = new Sessions({
    ...services,
    planner: {
      plan: async () => ({ ...(await services.plan(row)), harness }),
      harnessOf: () => ({ harness }) as never,
    },
    prove: () => {
      proofs += 1;
      return proven.promise;
    },
  });
  queueMessage(ledger.db, row, 'hello');
  sessions.wake(row.id);
  await eventually(() => proofs === 1);
  harness = 'native';
  sessions.secretsChanged();
  proven.resolve();
  const first = await sandbox(1);
  await first.ready();
  await eventually(() => first.turn() !== undefined);
  const { turn, messages } = first.turn()!;
  const done = { t: 'done', turn, outcome: 'answered', text: 'the answer', resume: null };
  first.send({ t: 'taken', turn, ids: messages.map(({ id }) => id) }, done);
  await eventually(() => ledger.db.get("SELECT 1 FROM events WHERE kind = 'turn.settled'") !== undefined);
  await sessions.drain();
  const started = ledger.db.all<{ data: string }>("SELECT data FROM events WHERE kind = 'sandbox.starting'");
  assert.deepEqual(
    started.map(({ data }) => JSON.parse(data).harness),
    ['native'],
  );
});
