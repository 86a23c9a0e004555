import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import type { Status } from '../../src/evidence/status.ts';
import type { ChannelShown } from '../../src/operations/channels.ts';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';

/** The listener for platforms that call us, while another program holds its port. */
const talk = await Talk.make(undefined, { GLASS_TEST_DRIVER: '1' });
const { install } = talk;
const other: Server = createServer();
const port = await new Promise<number>((resolve) =>
  other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port)),
);

before(async () => {
  install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
  install.install(
    `webhooks: {listen: "127.0.0.1:${port}"}\nchannels:\n  called: {kind: fake, url: "${talk.url}", alone: true}\n  asking: {kind: fake, url: "${talk.url}", deaf: true}\n`,
  );
  await install.start();
  for (const name of ['called', 'asking'])
    await install.secret(`${name}-token`, 'fake-token-good', { form: { kind: 'channel' }, hosts: [] });
});
afterEach((context) => install.explain(context));
after(async () => {
  if (other.listening) other.close();
  await talk.end();
});

/** Two waits of the listener, many times over. */
const WITHIN_MS = 20_000;

const stateOf = async (name: string): Promise<ChannelShown> => talk.call<ChannelShown>('channel_show', { name });
const alertsOf = async (): Promise<string[]> =>
  (await talk.call<Status>('status')).alerts
    .filter(({ kind }) => kind === 'webhooks.deaf')
    .map(({ subject, severity, text }) => `${subject} ${severity} ${text}`);

test('while the port is taken somebody is told, and a channel that is called alone has failed; others go on', async () => {
  await until(
    'it is told',
    async () => {
      const [said, ...more] = await alertsOf();
      assert.match(
        said ?? '',
        /^webhooks urgent Nothing comes in over HTTP: .*EADDRINUSE.*\. It is tried again for ever\.$/,
      );
      assert.deepEqual(more, []);
    },
    WITHIN_MS,
  );
  await until(
    'the other one is connected',
    async () => assert.equal((await stateOf('asking')).state, 'connected'),
    WITHIN_MS,
  );
  const { detail, seen } = await until(
    'what is called alone has failed',
    async () => {
      const found = await stateOf('called');
      assert.equal(found.state, 'failed');
      return found;
    },
    WITHIN_MS,
  );
  assert.match(detail, /^nothing comes in over HTTP: .*EADDRINUSE/);
  assert.equal(seen!.last_error!.text, detail);
  const { stdout, status } = await install.glass('status');
  assert.equal(status, 1);
  assert.match(stdout, /^ {2}webhooks for \d+ s nothing comes in over HTTP: .*EADDRINUSE/m);
  assert.match(stdout, /^ {2}channel {2}called: failed for .*nothing comes in over HTTP: .*EADDRINUSE/m);
});

test('when the port is free it listens by itself, and what was wrong is over', async () => {
  await new Promise((resolve) => other.close(resolve));
  await until(
    'it listens',
    async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/hooks/called`, { method: 'POST', body: 'x' });
      assert.equal(answer.status, 200);
    },
    WITHIN_MS,
  );
  await until('it is over', async () => assert.deepEqual(await alertsOf(), []), WITHIN_MS);
  assert.equal((await stateOf('called')).state, 'connected');
  assert.equal((await talk.call<Status>('status')).webhooks, null);
});
