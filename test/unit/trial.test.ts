import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHECK_CHAT, CHECK_GROUP } from '../../src/evidence/check/names.ts';
import { onlyOfTrial } from '../../src/operations/trial.ts';
import { freshLedger, seedChat } from '../fakes/ledger_kit.ts';

test('in a trial the sessions and chats of its throw-away are woken, and no others', async (context) => {
  const ledger = await freshLedger(context);
  const [own, other, outside] = await ledger.write('start', (db) => [
    seedChat(db, 'local', `${CHECK_CHAT}trial-answer`, CHECK_GROUP),
    seedChat(db, 'local', 'main', 'assistant'),
    seedChat(db, 'telegram', `${CHECK_CHAT}trial-answer`, 'assistant'),
  ]);
  const woken = (trial: boolean): number[][] => {
    const found: number[][] = [[], []];
    const only = onlyOfTrial({ trial, ledger });
    const [session, chat] = [only.sessions((id) => found[0]!.push(id)), only.chats((id) => found[1]!.push(id))];
    for (const each of [own!, other!, outside!]) {
      session(each.id);
      chat(each.chat_id);
    }
    return found;
  };
  assert.deepEqual(woken(true), [[own!.id], [own!.chat_id]]);
  assert.deepEqual(
    woken(false).map((ids) => ids.length),
    [3, 3],
  );
});
