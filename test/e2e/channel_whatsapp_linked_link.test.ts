import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Channel } from '../../src/channels/channel.ts';
import { savedCreds } from '../../src/channels/whatsapp-linked/keys.ts';
import { SealedStore } from '../../src/channels/whatsapp-linked/store.ts';
import { until } from '../fakes/install.ts';
import { KEY, LinkedAccount, linkedDevice } from '../fakes/whatsapp_linked/account.ts';
import { DisconnectReason } from '../fakes/whatsapp_linked/baileys.ts';
import { PERSON } from '../fakes/whatsapp_linked/people.ts';
import { NUMBER } from '../fakes/whatsapp_linked/world.ts';
import { refusalOf, Scene } from '../kits/channel_scene.ts';
import { RecordingSink } from '../kits/channel_sink.ts';

/** How a device is linked to an account, and what becomes of it when it is not any more. */

function of(scene: Scene): LinkedAccount {
  return scene.account as LinkedAccount;
}

/** A device that was never linked. */
async function unlinked(settings: Record<string, unknown> = {}) {
  const account = new LinkedAccount(false);
  const sink = new RecordingSink();
  let changes = 0;
  const parts = { ...account.parts, settings, folder: account.folder, log: () => {} };
  const changed = (): void => {
    changes += 1;
  };
  const open = (): Channel => account.open({ ...parts, changed });
  const channel = open();
  return {
    ...{ account, sink, channel, open, changes: () => changes },
    [Symbol.asyncDispose]: async () => {
      await channel.stop();
      await account.stop();
    },
  };
}

async function is(channel: Channel, state: string): Promise<string> {
  return until(`it is ${state}`, async () => {
    const health = channel.health();
    assert.equal(health.state, state, health.detail);
    return health.detail;
  });
}

test('a picture is shown, anew when its time is over, and gone when it was scanned', async () => {
  await using world = await unlinked();
  const { account, channel, sink } = world;
  await channel.start(sink, new Map());
  const first = await until('there is a picture', async () => {
    const linking = channel.linking!();
    assert.ok(linking !== null && 'qr' in linking);
    return linking;
  });
  assert.match(first.picture, /^[ █▀▄\n]+$/);
  const rows = first.picture.split('\n');
  assert.ok(rows.length > 20 && rows.every((row) => row.length === rows[0]!.length), 'a square of two rows a line');
  assert.ok(Math.abs(rows.length * 2 - rows[0]!.length) <= 2);
  assert.equal(channel.health().state, 'starting');
  const [socket] = account.world.unlinked;
  socket!.ask('2@another');
  const second = channel.linking!();
  assert.ok(second !== null && 'qr' in second && second.qr === '2@another' && second.picture !== first.picture);
  const before = world.changes();
  account.world.link();
  assert.match(await is(channel, 'connected'), new RegExp(`^\\+${NUMBER} Glass$`));
  assert.equal(channel.linking!(), null);
  assert.ok(world.changes() > before);
  await account.people.say({ place: 'direct', from: 'person', text: 'hello' });
  await until('a message', async () => assert.equal(sink.messages.length, 1));
});

test('with a phone number a code is shown, once', async () => {
  await using world = await unlinked({ phone: '4917012345678' });
  const { account, channel, sink } = world;
  await channel.start(sink, new Map());
  await until('there is a code', async () => assert.deepEqual(channel.linking!(), { code: 'AB12CD34' }));
  const [socket] = account.world.unlinked;
  socket!.ask('2@another');
  assert.deepEqual(channel.linking!(), { code: 'AB12CD34' });
  account.world.link();
  await is(channel, 'connected');
});

test('nobody scans it: WhatsApp is left alone until somebody begins anew', async () => {
  await using world = await unlinked();
  const { account, channel, sink } = world;
  await channel.start(sink, new Map());
  await until('it asks', async () => assert.notEqual(channel.linking!(), null));
  const [socket] = account.world.unlinked;
  socket!.close(DisconnectReason.timedOut);
  assert.match(await is(channel, 'failed'), /^it is not linked to an account: "glass channel link wa"/);
  assert.deepEqual(channel.linking!(), { over: true });
  const plain = { kind: 'reply', reply_to: null, file: null, key: 'k' } as const;
  const refused = refusalOf(await channel.send({ chat: PERSON, thread: '', body: 'x', ...plain }));
  assert.equal(refused.class, 'auth', 'it waits until it is linked');
  assert.equal(account.world.connections, 1);
  await channel.stop();
  const again = world.open();
  await again.start(sink, new Map());
  await until('it asks again', async () => assert.notEqual(again.linking!(), null));
  account.world.link();
  await is(again, 'connected');
  await again.stop();
});

test('nothing of a link that was begun and not finished is kept', async () => {
  await using world = await unlinked();
  await world.channel.start(world.sink, new Map());
  await until('it asks', async () => assert.notEqual(world.channel.linking!(), null));
  const [socket] = world.account.sockets;
  socket!.ev.emit('creds.update', { me: { id: `${NUMBER}@s.whatsapp.net`, name: '~' } });
  await world.channel.stop();
  const store = SealedStore.open(world.account.folder, KEY);
  assert.equal(savedCreds(store), null);
  store.close();
});

test('unlinked on the phone it says so and how to link it again, and its keys are gone', async () => {
  await using scene = await Scene.of(linkedDevice);
  const account = of(scene);
  account.faults.revoke();
  await scene.until('it has failed', () => scene.channel.health().state === 'failed');
  assert.match(scene.channel.health().detail, /unlinked this device.*"glass channel link wa"/);
  assert.deepEqual(scene.channel.linking!(), { over: true });
  const { connections } = account.world;
  await scene.quiet();
  assert.equal(account.world.connections, connections, 'it does not come back by itself');
  await scene.channel.stop();
  const store = SealedStore.open(account.folder, KEY);
  assert.equal(savedCreds(store), null);
  store.close();
});
