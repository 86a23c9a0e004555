import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CONTROL_REFUSALS_LOGGED_MAX } from '../../src/base/limits/messages.ts';
import { type Log, silentLog } from '../../src/base/log.ts';
import type { ControlServices } from '../../src/control/operations/operation.ts';
import { ControlServer } from '../../src/control/server.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';
import { post } from '../fakes/raw_control.ts';

test('what is refused stands in the log with its reason, and who asks without end does not fill it', async (context) => {
  context.mock.method(performance, 'now', () => 5000); // all within one second
  const path = join(temporaryFolder(context), 'control.sock');
  const said: unknown[] = [];
  const log: Log = { ...silentLog, info: (event, fields) => said.push({ event, ...fields }) };
  const server = new ControlServer(path, 0o600, { safe: false } as ControlServices, log);
  await server.listen();
  context.after(() => server.close());
  for (let i = 0; i < 3 * CONTROL_REFUSALS_LOGGED_MAX; i += 1) await post(path, '/v1/say', Buffer.from('{"text"'));
  const refused = {
    event: 'control.refused',
    url: '/v1/say',
    code: 'usage',
    reason: 'the request is not JSON in UTF-8',
  };
  assert.deepEqual(said, Array(CONTROL_REFUSALS_LOGGED_MAX).fill(refused));
});
