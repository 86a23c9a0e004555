import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Anchors } from '../../src/operations/anchors.ts';
import { gatewayNews } from '../../src/operations/gateway_news.ts';
import { freshLedger } from '../fakes/ledger_kit.ts';

test('a gateway that is back is told the head of the events, and gets what waited for it', async (context) => {
  const done: string[] = [];
  const none = (): never => assert.fail('nobody asks for it');
  const anchors = { connected: () => done.push('anchor') } as unknown as Anchors;
  const parts = { sessions: none, approvals: none, drivers: none, warm: none, gatewayLost: none };
  const news = gatewayNews(await freshLedger(context), anchors, none, {
    ...parts,
    gatewayBack: () => done.push('alerts'),
  });
  news.connected();
  assert.deepEqual(done, ['anchor', 'alerts']);
});
