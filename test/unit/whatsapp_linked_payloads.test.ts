import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Latest } from '../../src/channels/latest.ts';
import { endingOf, refusalOf, thrownOf } from '../../src/channels/whatsapp-linked/errors.ts';
import { addressOf } from '../../src/channels/whatsapp-linked/files.ts';
import { chatOf, jidOf, readMessage, showMessage } from '../../src/channels/whatsapp-linked/jids.ts';
import { whatsappLinked } from '../../src/channels/whatsapp-linked/kind.ts';
import { type Read, read } from '../../src/channels/whatsapp-linked/reading.ts';
import { Boom, WAProto } from '../fakes/whatsapp_linked/baileys.ts';

/** Messages as Baileys gives them, in the shapes of WhatsApp's own protocol. */
const KEY = { remoteJid: '16505551234@s.whatsapp.net', id: 'A1', fromMe: false };
const { REVOKE, MESSAGE_EDIT, EPHEMERAL_SETTING } = WAProto.Message.ProtocolMessage.Type;
const FILE = { mediaKey: Buffer.alloc(32, 1), directPath: '/v/x.enc', url: 'https://mmg.whatsapp.net/v/x.enc' };

/** Through the wire, as it comes. */
function said(message: WAProto.IMessage): Read {
  const decoded = WAProto.Message.decode(WAProto.Message.encode(WAProto.Message.fromObject(message)).finish());
  return read({ key: KEY, message: decoded, messageTimestamp: 1_700_000_000 });
}

function text(message: WAProto.IMessage): string | undefined {
  const got = said(message);
  return got.kind === 'message' ? got.text : undefined;
}

test('words are found wherever WhatsApp puts them', () => {
  const inner = { conversation: 'hello' };
  for (const [what, message, expected = 'hello'] of [
    ['a text', { conversation: 'hello' }],
    ['a text with more to it', { extendedTextMessage: { text: 'hello', contextInfo: { isForwarded: true } } }],
    ['one that vanishes', { ephemeralMessage: { message: inner } }],
    ['one to be seen once', { viewOnceMessage: { message: inner } }],
    ['the same, newer', { viewOnceMessageV2: { message: { ephemeralMessage: { message: inner } } } }],
    ['a picture', { imageMessage: { ...FILE, caption: 'hello' } }],
    ['a document', { documentWithCaptionMessage: { message: { documentMessage: { ...FILE, caption: 'hello' } } } }],
    ['a button', { buttonsResponseMessage: { selectedDisplayText: 'hello' } }],
    [
      'a place',
      { locationMessage: { degreesLatitude: 1.5, degreesLongitude: 0, name: 'Home' } },
      '[location 1.5, 0, Home]',
    ],
    [
      'a contact',
      { contactMessage: { displayName: 'Ann', vcard: 'BEGIN:VCARD\nTEL;waid=49:+49 170\nEND:VCARD' } },
      '[contact Ann, +49 170]',
    ],
    [
      'a poll',
      { pollCreationMessageV3: { name: 'When?', options: [{ optionName: 'now' }, { optionName: 'later' }] } },
      '[poll When? | now | later]',
    ],
  ] as [string, WAProto.IMessage, string?][])
    assert.equal(text(message), expected, what);
});

test('what else is in a text is told: whom it answers and names', () => {
  const contextInfo = { stanzaId: 'B2', participant: '1@s.whatsapp.net', mentionedJid: ['2@lid'], isForwarded: true };
  const got = said({ ephemeralMessage: { message: { extendedTextMessage: { text: 'x', contextInfo } } } });
  assert.ok(got.kind === 'message');
  assert.equal(got.context!.stanzaId, 'B2');
  assert.deepEqual(got.context!.mentionedJid, ['2@lid']);
});

test('a file has the name that it has, or that of what it is', () => {
  const name = (message: WAProto.IMessage): string | undefined => {
    const got = said(message);
    return got.kind === 'message' ? got.media?.name : undefined;
  };
  assert.equal(name({ documentMessage: { ...FILE, fileName: 'a b.pdf', mimetype: 'application/pdf' } }), 'a b.pdf');
  assert.equal(name({ imageMessage: { ...FILE, mimetype: 'image/jpeg' } }), 'photo.jpg');
  assert.equal(name({ imageMessage: { ...FILE, mimetype: 'image/png' } }), 'photo.png');
  assert.equal(name({ audioMessage: { ...FILE, mimetype: 'audio/ogg; codecs=opus' } }), 'audio.ogg');
  assert.equal(name({ stickerMessage: { ...FILE, mimetype: 'image/webp' } }), 'sticker.webp');
});

test('changes say what they change', () => {
  const key = { id: 'A0', fromMe: true, participant: '7@s.whatsapp.net' };
  assert.deepEqual(said({ reactionMessage: { key, text: '👍' } }).kind, 'reaction');
  const back = said({ reactionMessage: { key, text: '' } });
  assert.ok(back.kind === 'reaction' && back.emoji === null);
  const edit = { type: MESSAGE_EDIT, key, editedMessage: { extendedTextMessage: { text: 'better' } } };
  for (const message of [{ protocolMessage: edit }, { editedMessage: { message: { protocolMessage: edit } } }])
    assert.deepEqual(said(message), { kind: 'edit', id: 'A0', text: 'better' });
  assert.deepEqual(said({ protocolMessage: { type: REVOKE, key } }), {
    ...{ kind: 'deletion', id: 'A0', author: '7@s.whatsapp.net' },
  });
});

test('what lacks what it must have is broken, and what is WhatsApp’s own is nothing', () => {
  const of = (more: object) => read({ key: KEY, message: { conversation: 'x' }, messageTimestamp: 1, ...more });
  for (const [what, got] of [
    ['no key', of({ key: undefined })],
    ['no chat', of({ key: { id: 'A' } })],
    ['no id', of({ key: { remoteJid: 'x@g.us' } })],
    ['no time', of({ messageTimestamp: null })],
    ['a time that is none', of({ messageTimestamp: Number.NaN })],
    ['no content', of({ message: null })],
    ['not decrypted', of({ message: null, messageStubType: WAProto.WebMessageInfo.StubType.CIPHERTEXT })],
    ['a file without its key', said({ documentMessage: { fileName: 'x', directPath: '/x' } })],
    ['a file that is nowhere', said({ imageMessage: { mediaKey: Buffer.alloc(32) } })],
    ['a reaction to nothing', said({ reactionMessage: { text: '👍' } })],
    ['an edit of nothing', said({ protocolMessage: { type: MESSAGE_EDIT, editedMessage: { conversation: 'x' } } })],
    ['an edit to nothing', said({ protocolMessage: { type: MESSAGE_EDIT, key: { id: 'A0' } } })],
    ['a deletion of nothing', said({ protocolMessage: { type: REVOKE } })],
  ] as [string, Read][])
    assert.equal(got.kind, 'broken', what);
  assert.deepEqual(said({ protocolMessage: { type: EPHEMERAL_SETTING } }), { kind: 'nothing' });
  assert.deepEqual(said({ senderKeyDistributionMessage: { groupId: 'x' } }), { kind: 'nothing' });
  assert.deepEqual(said({ scheduledCallCreationMessage: { title: 'x' } }), {
    ...{ kind: 'nothing', what: 'scheduledCallCreationMessage' },
  });
  assert.deepEqual(of({ message: null, messageStubType: WAProto.WebMessageInfo.StubType.GROUP_CREATE }), {
    kind: 'nothing',
  });
});

test('no sender can choose an id that names a message of ours, or of another', () => {
  const group = '120363@g.us';
  const names = [
    showMessage('1@s.whatsapp.net', { id: 'X', fromMe: true }),
    showMessage('1@s.whatsapp.net', { id: 'me/X', fromMe: false }),
    showMessage(group, { id: 'X', fromMe: false, participant: '7:3@s.whatsapp.net' }),
    showMessage(group, { id: 'X', fromMe: false, participant: '8@lid' }),
    showMessage(group, { id: '7@s.whatsapp.net/X', fromMe: false, participant: '8@lid' }),
  ];
  assert.deepEqual(names, ['me/X', 'they/me/X', '7@s.whatsapp.net/X', '8@lid/X', '8@lid/7@s.whatsapp.net/X']);
  assert.deepEqual(readMessage('1', 'they/me/X'), { remoteJid: '1@s.whatsapp.net', id: 'me/X', fromMe: false });
  assert.deepEqual(readMessage(group, '8@lid/X'), { remoteJid: group, id: 'X', fromMe: false, participant: '8@lid' });
  assert.equal(readMessage('1', 'nothing'), null);
  assert.equal(chatOf('4917:12@s.whatsapp.net'), '4917');
  assert.equal(chatOf('123:4@lid'), '123@lid');
  assert.equal(jidOf('4917'), '4917@s.whatsapp.net');
  assert.equal(jidOf(group), group);
});

test('a file is fetched from WhatsApp alone, whatever the message says', () => {
  const host = (directPath: string, url = ''): string | undefined => addressOf({ directPath, url })?.host;
  assert.equal(host('/v/x.enc'), 'mmg.whatsapp.net');
  assert.equal(host('/v/x.enc', 'https://media-fra3-1.cdn.whatsapp.net/v/x.enc'), 'media-fra3-1.cdn.whatsapp.net');
  for (const url of [
    ...[
      'https://evil.example/x',
      'https://whatsapp.net.evil.example/',
      'https://evilwhatsapp.net/',
      'http://127.0.0.1/',
    ],
    ...['https://mmg.whatsapp.net:8443/x', 'https://mmg.whatsapp.net@evil.example/', 'nothing'],
  ])
    assert.equal(host('/x', url), 'mmg.whatsapp.net', url);
  for (const path of ['@evil.example/x', '.evil.example/x', ':8443/x', 'x', ''])
    assert.equal(host(path, 'https://mmg.whatsapp.net/'), undefined, path);
});

test('what WhatsApp refuses has a class, and what is not known is not repeated', () => {
  for (const [code, as] of [
    ...([
      [429, 'rate_limited'],
      [463, 'permanent'],
      [479, 'permanent'],
      [400, 'permanent'],
    ] as const),
    ...([
      [403, 'gone'],
      [404, 'gone'],
      [500, 'retryable'],
      [503, 'retryable'],
    ] as const),
  ])
    assert.equal(refusalOf(code).class, as, String(code));
  const thrown = (statusCode: number) => thrownOf(new Boom('words with +4917', { statusCode }));
  assert.equal(thrown(428).class, 'retryable', 'it was not written');
  assert.equal(thrown(408).class, 'ambiguous', 'it may have been');
  assert.equal(thrownOf(new Error('the disk is full')).class, 'ambiguous');
  assert.ok(!thrown(400).reason.includes('+4917'), 'its words are not passed on');
  assert.equal(endingOf(408, false, true), 'unscanned');
  assert.equal(endingOf(408, false, false), 'cut', 'nothing was shown yet');
  assert.equal(endingOf(408, true, true), 'cut');
  for (const [status, ending] of [
    ...([
      [515, 'restart'],
      [401, 'unlinked'],
      [403, 'banned'],
      [440, 'replaced'],
      [411, 'outdated'],
      [405, 'outdated'],
    ] as const),
    ...([
      [428, 'cut'],
      [500, 'cut'],
      [503, 'cut'],
      [undefined, 'cut'],
    ] as const),
  ])
    assert.equal(endingOf(status, true, false), ending, String(status));
});

test('a phone number is taken as people write it, and nothing else is', () => {
  const phone = (given: unknown) => whatsappLinked.settings.parse({ phone: given })['phone'];
  for (const given of ['+4917012345678', '4917012345678', 4917012345678, '+49 170 1234-5678'])
    assert.equal(phone(given), '4917012345678');
  for (const given of ['', '0170123456', '+49', 'Ann', 12.5, '4917012345678@g.us', '1'.repeat(16)])
    assert.throws(() => phone(given), /country code/, String(given));
});

test('what is remembered is the latest, and so much', () => {
  const latest = new Latest<string, number>(3);
  for (const at of [1, 2, 3]) latest.put(`k${at}`, at);
  latest.put('k1', 10);
  latest.put('k4', 4);
  assert.deepEqual([latest.get('k1'), latest.get('k2'), latest.get('k4')], [10, undefined, 4]);
});
