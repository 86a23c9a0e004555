import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { connectTo } from '../../src/channels/whatsapp-linked/connect.ts';
import { Inbox } from '../../src/channels/whatsapp-linked/inbox.ts';
import { numberOfLid, SealedKeys, saveCreds, savedCreds } from '../../src/channels/whatsapp-linked/keys.ts';
import { SealedStore } from '../../src/channels/whatsapp-linked/store.ts';
import { until } from '../fakes/install.ts';
import { remove } from '../fakes/remove.ts';
import { KEY } from '../fakes/whatsapp_linked/account.ts';
import {
  type AuthenticationCreds,
  type BinaryNode,
  type DEFAULT_CONNECTION_CONFIG,
  encodeWAMessage,
  initAuthCreds,
  type WAMessage,
  WAProto,
  type WASocket,
} from '../fakes/whatsapp_linked/baileys.ts';
import { type Listener, listen } from '../fakes/whatsapp_linked/listener.ts';
import { FIRST, Phone } from '../fakes/whatsapp_linked/phone.ts';
import { linkedCreds } from '../fakes/whatsapp_linked/world.ts';

/**
 * The real Baileys, with real sessions of Signal, connected to a server on this machine that says nothing: what it does with a message
 * that comes, and in which order, is what the driver's promises stand on.
 */
const { jid: PEER, lid: LID } = FIRST;
const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

class Device {
  readonly folder = mkdtempSync(join(tmpdir(), 'linked-'));
  readonly creds: AuthenticationCreds = initAuthCreds();
  store!: SealedStore;
  inbox!: Inbox;
  socket!: WASocket;
  readonly upserts: WAMessage[] = [];
  /** What reached the server, and whether the message was in the inbox when it did. */
  readonly frames: { text: string; kept: number }[] = [];

  constructor() {
    Object.assign(this.creds, linkedCreds(this.creds));
    ends.push(() => remove(this.folder));
  }

  async open(): Promise<void> {
    const server = await listen();
    this.store = SealedStore.open(this.folder, KEY);
    this.inbox = new Inbox(this.store);
    const { port } = server.address();
    const keys = new SealedKeys(this.store);
    const { creds, inbox } = this;
    this.socket = connectTo(
      { creds, keys, inbox, sentBefore: () => undefined },
      { waWebSocketUrl: `ws://127.0.0.1:${port}/`, connectTimeoutMs: 3000, defaultQueryTimeoutMs: 300 },
    );
    server.on('connection', (client) =>
      client.on('message', (data: Buffer) => {
        this.frames.push({ text: data.toString('latin1'), kept: this.inbox.left().length });
      }),
    );
    this.socket.ev.on('messages.upsert', ({ messages }) => this.upserts.push(...messages));
    await until('it is connected', async () => assert.ok(this.socket.ws.isOpen));
    ends.push(() => this.close(server));
  }

  async close(server?: Listener): Promise<void> {
    await this.socket.end(undefined);
    this.store.close();
    server?.close();
  }

  comes(node: BinaryNode): void {
    this.socket.ws.emit('CB:message', node);
  }
}

async function met(): Promise<{ device: Device; peer: Phone }> {
  const device = new Device();
  await device.open();
  const peer = new Phone();
  ends.push(() => peer.close());
  await peer.knows(device.creds);
  return { device, peer };
}

test('a message is in the inbox before WhatsApp is told that it has come, and before we are', async () => {
  const { device, peer } = await met();
  const node = await peer.writes('message-number-one', 'hello');
  device.comes(node);
  await until('it is told', async () => assert.equal(device.upserts.length, 1));
  const receipt = device.frames.find(({ text }) => text.includes('message-number-one'));
  assert.equal(receipt?.kept, 1, 'it was kept when its receipt came');
  const [told] = device.upserts;
  assert.equal(told!.message!.conversation, 'hello');
  // What is handed over after a crash is what Baileys would have told.
  const [left] = device.inbox.left();
  assert.deepEqual(JSON.parse(JSON.stringify(left)), JSON.parse(JSON.stringify(told)));
  device.inbox.done(told!.key);
  assert.deepEqual(device.inbox.left(), []);
});

test('what comes again after a crash is read, though its key was used', async () => {
  const { device, peer } = await met();
  const nodes = [await peer.writes('number-one', 'one'), await peer.writes('number-two', 'two')];
  for (const node of nodes) device.comes(node);
  await until('they are told', async () => assert.equal(device.upserts.length, 2));
  await device.close();
  device.upserts.length = 0;
  await device.open();
  assert.equal(device.inbox.left().length, 2);
  for (const node of nodes) device.comes(node);
  await until('they are told again', async () => assert.equal(device.upserts.length, 2));
  assert.deepEqual(
    device.upserts.map(({ message }) => message!.conversation),
    ['one', 'two'],
  );
});

test('a session is on disk before what it encrypted leaves, and is not put back by the end of its transaction', async () => {
  const { device, peer } = await met();
  device.comes(await peer.writes('number-one', 'one'));
  await until('it is told', async () => assert.equal(device.upserts.length, 1));
  const { signalRepository, authState } = device.socket;
  const address = signalRepository.jidToSignalProtocolAddress(LID);
  const session = (): string => Buffer.from(JSON.stringify(device.store.get('session', address))).toString('base64');
  const keys = authState.keys as Parameters<typeof DEFAULT_CONNECTION_CONFIG.makeSignalRepository>[0]['keys'] & {
    transaction(act: () => Promise<void>, key: string): Promise<void>;
  };
  const before = session();
  let meanwhile = '';
  // As from the network: what comes is no part of the send.
  const outside = AsyncLocalStorage.snapshot();
  await keys.transaction(async () => {
    await signalRepository.encryptMessage({ jid: PEER, data: encodeWAMessage({ conversation: 'an answer' }) });
    assert.notEqual(session(), before, 'it has moved on, on disk');
    // Another message of theirs comes before the answer has left.
    const node = await peer.writes('number-two', 'two');
    outside(() => device.comes(node));
    await until('it is told', async () => assert.equal(device.upserts.length, 2));
    meanwhile = session();
  }, 'a send');
  assert.equal(session(), meanwhile, 'what came meanwhile has not been undone');
});

test('of a group, too: with the key that comes with a first message, and when both come again', async () => {
  const { device, peer } = await met();
  const node = await peer.writesInGroup('group-number-one', 'hello all');
  device.comes(node);
  await until('it is told', async () => assert.equal(device.upserts.length, 1));
  const receipt = device.frames.find(({ text }) => text.includes('group-number-one'));
  assert.equal(receipt?.kept, 1, 'it was kept when its receipt came');
  const told = device.upserts[0]!;
  assert.equal(told.message!.conversation, 'hello all');
  assert.equal(told.key.participant, PEER);
  await device.close();
  await device.open();
  assert.deepEqual(
    device.inbox.left().map(({ message }) => message!.conversation),
    ['hello all'],
  );
  device.comes(await peer.writesInGroup('group-number-two', 'and again'));
  await until('it is told', async () => assert.equal(device.upserts.length, 2));
  device.inbox.done(told.key);
  assert.equal(device.inbox.left().length, 1);
});

test('an acknowledgement is heard by the id of its message, and its absence too', async () => {
  const { device } = await met();
  const { socket } = device;
  const heard = socket.waitForMessage('ID1', 1000);
  socket.ws.emit('TAG:ID1', { tag: 'ack', attrs: { id: 'ID1', class: 'message', error: '463' } });
  assert.deepEqual(await heard, { tag: 'ack', attrs: { id: 'ID1', class: 'message', error: '463' } });
  assert.equal(await socket.waitForMessage('ID2', 20), undefined);
  const cut = assert.rejects(socket.waitForMessage('ID3', 5000));
  socket.ws.emit('close');
  await cut;
});

test('what cannot be written is not acknowledged: the connection ends, and WhatsApp sends it again', async () => {
  const { device, peer } = await met();
  const node = await peer.writes('number-one', 'one');
  const ended = new Promise<unknown>((resolve) =>
    device.socket.ev.on('connection.update', ({ connection, lastDisconnect }) => {
      if (connection === 'close') resolve(lastDisconnect?.error);
    }),
  );
  const set = device.store.set.bind(device.store);
  device.store.set = (data) => set({ ...data, full: { disk: () => 'no value' } });
  device.comes(node);
  assert.match(String(await ended), /what this linked device has to keep cannot be written/);
  await device.close();
  assert.equal(device.upserts.length, 0);
  assert.ok(!device.frames.some(({ text }) => text.includes('number-one')), 'nothing was said of it');
  await device.open();
  device.comes(node);
  await until('it is told', async () => assert.equal(device.upserts.length, 1));
  assert.deepEqual(
    device.upserts.map(({ message }) => message!.conversation),
    ['one'],
  );
});

test('what Baileys keeps of the account’s own data comes back as it wants it', async () => {
  const device = new Device();
  const store = SealedStore.open(device.folder, KEY);
  const keys = new SealedKeys(store);
  const { AppStateSyncKeyData } = WAProto.Message;
  const key = AppStateSyncKeyData.decode(
    AppStateSyncKeyData.encode({
      keyData: Buffer.alloc(32, 3),
      timestamp: 1_700_000_000,
      fingerprint: { rawId: 7 },
    }).finish(),
  );
  keys.set({ 'app-state-sync-key': { AAAA: key } });
  const back = keys.get('app-state-sync-key', ['AAAA', 'BBBB']);
  assert.deepEqual(Object.keys(back), ['AAAA']);
  assert.deepEqual(
    Buffer.from(AppStateSyncKeyData.encode(back['AAAA']!).finish()),
    Buffer.from(AppStateSyncKeyData.encode(key).finish()),
  );
  saveCreds(store, device.creds);
  const creds = savedCreds(store)!;
  assert.deepEqual(
    Buffer.from(WAProto.ADVSignedDeviceIdentity.encode(creds.account!).finish()),
    Buffer.from(WAProto.ADVSignedDeviceIdentity.encode(device.creds.account!).finish()),
  );
  assert.deepEqual(creds.signedPreKey, device.creds.signedPreKey);
  store.close();
});

test('a number that WhatsApp has once said of somebody is found where Baileys keeps it', async () => {
  const { device } = await met();
  const pairs = [{ lid: '123456789012345@lid', pn: PEER }];
  await device.socket.signalRepository.lidMapping.storeLIDPNMappings(pairs);
  assert.equal(numberOfLid(device.store, '123456789012345@lid'), '16505551234');
  assert.equal(numberOfLid(device.store, '5@lid'), null);
});

test('a connection that cannot be made is told, with a code', async () => {
  const device = new Device();
  const store = SealedStore.open(device.folder, KEY);
  const parts = {
    creds: device.creds,
    keys: new SealedKeys(store),
    inbox: new Inbox(store),
    sentBefore: () => undefined,
  };
  const socket = connectTo(parts, { waWebSocketUrl: 'ws://127.0.0.1:1/', connectTimeoutMs: 1000 });
  const ended = await new Promise<unknown>((resolve) =>
    socket.ev.on('connection.update', ({ connection, lastDisconnect }) => {
      if (connection === 'close') resolve(lastDisconnect?.error);
    }),
  );
  assert.equal((ended as { output: { statusCode: number } }).output.statusCode, 408);
  store.close();
});
