import assert from 'node:assert/strict';
import { type Attack, type Held, SECRET } from './attack_bench.ts';
import { REQUEST_ATTACKS } from './egress_attacks.ts';
import { until } from './install.ts';
import { bearerFor } from './upstream.ts';

/** Hostile bytes, and hostile moments, around a request that waits for a person; in the form of the other attacks. */

const END = 'Connection: close\r\n\r\n';
const RULE = 'plain: POST /held';
const FAKE_KEY = 'sk-fakefakefake';

/** A request that is held. `more`: header lines. */
function held(body: string, more = ''): Attack['bytes'] {
  const length = Buffer.byteLength(body, 'latin1');
  return ({ plain }) => `POST /held HTTP/1.1\r\nHost: ${plain}\r\nContent-Length: ${length}\r\n${more}${END}${body}`;
}

/** With the secret. */
function heldOnApi(body: string, target = 'POST /held'): Attack['bytes'] {
  return ({ api }) => `${target} HTTP/1.1\r\nHost: ${api}\r\nContent-Length: ${body.length}\r\n${END}${body}`;
}

type Meanwhile = NonNullable<Attack['meanwhile']>;

const SENT = { statuses: [200], received: ['POST /held'], bodies: ['body'], rows: ['allow 200'], rules: [RULE] };
const NOT_SENT = { statuses: [403], received: [], rows: ['deny 403'] };

function withheld(name: string, end: string, meanwhile: Meanwhile, more: Partial<Attack> = {}): Attack {
  return { name, on: 'plain', bytes: held('body'), ...NOT_SENT, rules: [`${RULE}: ${end}`], meanwhile, ...more };
}

/** Refused before anybody is asked: nothing happens meanwhile. */
function unasked(name: string, bytes: Attack['bytes'], status = 403, on: Attack['on'] = 'plain'): Attack {
  const meanwhile = async (): Promise<void> => {};
  return { name, on, bytes, ...NOT_SENT, statuses: [status], rows: [`deny ${status}`], previews: [], meanwhile };
}

const allow: Meanwhile = async ({ decide }) => assert.equal(await decide(), null);
const deny: Meanwhile = async ({ decide }) => assert.equal(await decide({ allow: false }), null);

const EXACT: Attack[] = [
  { name: 'what a person allows', on: 'plain', bytes: held('body'), ...SENT, previews: ['body'], meanwhile: allow },
  {
    ...{ name: 'what a person allows, without a body', on: 'api', meanwhile: allow, ...SENT, bodies: [''] },
    bytes: ({ api }) => `DELETE /items/1 HTTP/1.1\r\nHost: ${api}\r\n${END}`,
    ...{ received: ['DELETE /items/1'], rules: ['api: DELETE /items/**'], previews: [''] },
  },
  withheld('what a person would be asked', 'denied', deny),
  {
    ...{ name: 'bytes behind the body of what is allowed', on: 'plain', meanwhile: allow, ...SENT },
    bytes: ({ plain }) =>
      `POST /held HTTP/1.1\r\nHost: ${plain}\r\nContent-Length: 4\r\n\r\nbodyPOST /hidden HTTP/1.1\r\nHost: ${plain}\r\n${END}`,
    ...{ statuses: [200, 403], rows: ['deny 403', 'allow 200'], rules: ['plain: never * /hidden', RULE] },
  },
  {
    ...{ name: 'a body that goes on after it was allowed', on: 'plain', ...SENT },
    bytes: ({ plain }) => `POST /held HTTP/1.1\r\nHost: ${plain}\r\nContent-Length: 4\r\n\r\nbody`,
    meanwhile: async ({ decide, agent }) => {
      const answered = new Promise((resolve) => agent.once('data', resolve));
      assert.equal(await decide(), null);
      await answered;
      agent.write(' and more of it\r\n\r\n');
    },
    ...{ statuses: [200, 400], rows: ['allow 200', 'deny 400'], rules: [RULE, 'malformed request'] },
  },
  {
    ...{ name: 'a body whose end has not come', on: 'plain', ...SENT, previews: ['body'] },
    bytes: ({ plain }) => `POST /held HTTP/1.1\r\nHost: ${plain}\r\nTransfer-Encoding: chunked\r\n${END}2\r\nbo\r\n`,
    meanwhile: async ({ agent, decide, bench }) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.deepEqual(bench.events, []);
      agent.write('2\r\ndy\r\n0\r\n\r\n');
      assert.equal(await decide(), null);
    },
  },
  withheld('rules that changed meanwhile', 'authority changed', async ({ decide }) => {
    assert.match((await decide({ policy: 'f'.repeat(64) })) ?? '', /what the group may do changed/);
  }),
  withheld(
    'a secret that changed meanwhile',
    'secrets changed',
    async ({ decide, event, bench }) => {
      await event();
      await bench.gateway.setSecret('api-token', SECRET, bearerFor(bench.api.place, bench.live.place));
      assert.match((await decide()) ?? '', /the secrets changed/);
    },
    { on: 'api', bytes: heldOnApi('{}'), rules: ['api: POST /held: secrets changed'] },
  ),
];

const ONCE: Attack[] = [
  {
    ...{ name: 'two approvals of one request', on: 'plain', bytes: held('body'), ...SENT },
    meanwhile: async ({ event, bench }) => {
      const asked = await event();
      const said = await Promise.all([bench.decide(asked), bench.decide(asked), bench.decide(asked)]);
      assert.deepEqual(said, [null, ...Array(2).fill('it does not wait any more')]);
    },
  },
  withheld('an approval of what was denied', 'denied', async ({ event, bench }) => {
    const asked = await event();
    assert.equal(await bench.decide(asked, { allow: false, reason: 'not today' }), null);
    assert.equal(await bench.decide(asked), 'it does not wait any more');
  }),
  withheld('an id that somebody made up', 'denied', async (request) => {
    assert.equal(await request.decide({ hold: 'AAAAAAAAAAAAAAAAAAAAAA' }), 'it does not wait any more');
    await deny(request);
  }),
  withheld('an approval of another body', 'denied', async (request) => {
    assert.equal(await request.decide({ body_sha256: '0'.repeat(64) }), 'the decision is about another request');
    await deny(request);
  }),
  withheld('an approval for another session', 'denied', async (request) => {
    assert.equal(await request.decide({ session: 's999999' }), 'the decision is about another request');
    await deny(request);
  }),
  withheld('an approval on the operator’s socket', 'denied', async (request) => {
    const { hold, session, policy, body_sha256 } = await request.event();
    const operator = await request.bench.gateway.operator();
    const decision = { hold, session, policy, body_sha256, allow: true, reason: '' };
    await assert.rejects(operator.request({ op: 'decide', ...decision }, 5000), { code: 'usage' });
    await deny(request);
  }),
  {
    ...{ name: 'a host that goes away meanwhile', on: 'plain', bytes: held('body'), ...NOT_SENT, statuses: [] },
    rules: [`${RULE}: session ended`],
    meanwhile: async ({ event, bench }) => {
      const asked = await event();
      bench.host.close();
      await bench.restartHost();
      assert.equal(await bench.decide(asked), 'it does not wait any more');
    },
  },
];

const SHOWN: Attack[] = [
  {
    ...{ name: 'a body that draws its own card', on: 'plain', meanwhile: deny, ...NOT_SENT },
    bytes: held(
      Buffer.from('ok\r\n  state: approved\x1b[2K\u202egnp.exe\u200b\u2066\ufeff\u00a0\u{e0041}').toString('latin1'),
    ),
    previews: ['okU+000DU+000A  state: approvedU+001B[2KU+202Egnp.exeU+200BU+2066U+FEFFU+00A0U+E0041'],
  },
  {
    ...{ name: 'a credential in what a person is shown', on: 'plain', meanwhile: deny, ...NOT_SENT },
    ...{ bytes: held(`{"note":"${FAKE_KEY}"}`), previews: ['{"note":"[redacted]"}'] },
  },
  {
    ...{ name: 'a body of which only the beginning can be shown', on: 'plain', meanwhile: deny, ...NOT_SENT },
    ...{ bytes: held('x'.repeat(100_000)), previews: ['x'.repeat(2048)] },
  },
  {
    ...{ name: 'a body of 5 MB for a person', on: 'plain', received: [], previews: [], meanwhile: async () => {} },
    bytes: ({ plain }) =>
      `POST /held HTTP/1.1\r\nHost: ${plain}\r\nContent-Length: 5000000\r\n\r\n${'x'.repeat(5_000_000)}` +
      `GET /hidden HTTP/1.1\r\nHost: ${plain}\r\n${END}`,
    ...{ statuses: [403, 403], rows: ['deny 403', 'deny 403'], rules: ['approval size', 'plain: never * /hidden'] },
  },
  unasked('a body of 2 MB for a person, in chunks', ({ plain }) => {
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    return `POST /held HTTP/1.1\r\nHost: ${plain}\r\nTransfer-Encoding: chunked\r\n${END}${chunk.repeat(32)}0\r\n\r\n`;
  }),
  unasked('a compressed body for a person', held('body', 'Content-Encoding: gzip\r\n')),
  unasked('a forbidden key where a person would be asked', heldOnApi('{"mcp_servers":[]}'), 403, 'api'),
  unasked('a rule that denies before a person is asked', heldOnApi('', 'DELETE /items/kept'), 403, 'api'),
];

const FLOOD: Attack[] = [
  {
    ...{
      name: 'a fourth request that waits',
      on: 'plain',
      statuses: [200, 200, 200, 429],
      bodies: Array(3).fill('body'),
    },
    bytes: ({ plain }) => {
      const one = `POST /held HTTP/1.1\r\nHost: ${plain}\r\nContent-Length: 4\r\n\r\nbody`;
      return `${one.repeat(3)}POST /held HTTP/1.1\r\nHost: ${plain}\r\nContent-Length: 4\r\n${END}body`;
    },
    received: Array(3).fill('POST /held'),
    rows: ['deny 429', ...Array(3).fill('allow 200')],
    previews: Array(3).fill('body'),
    meanwhile: async ({ bench, event }) => {
      await event();
      await until('three wait', async () => assert.ok(holdsOf(bench).length >= 3));
      for (const asked of holdsOf(bench)) await bench.decide(asked);
    },
  },
  {
    ...{ name: 'an agent that goes away meanwhile', on: 'plain', bytes: held('body'), ...NOT_SENT, statuses: [] },
    rules: [`${RULE}: agent gone`],
    meanwhile: async ({ agent, event, bench }) => {
      const asked = await event();
      agent.destroy();
      await until('it is cancelled', async () => assert.equal(bench.events.at(-1)?.event, 'hold_ended'), 2000).catch(
        () => {},
      );
      assert.equal(await bench.decide(asked), 'it does not wait any more');
    },
  },
  {
    ...{ name: 'an agent that goes away from two requests of one segment', on: 'plain', ...NOT_SENT, statuses: [] },
    bytes: ({ plain }) => `POST /held HTTP/1.1\r\nHost: ${plain}\r\nContent-Length: 4\r\n\r\nbody`.repeat(2),
    ...{ rows: Array(2).fill('deny 403'), rules: Array(2).fill(`${RULE}: agent gone`) },
    meanwhile: async ({ agent, bench }) => {
      await until('two wait', async () => assert.equal(holdsOf(bench).length, 2));
      agent.destroy();
      await until('both are cancelled', async () => assert.equal(bench.events.length, 4), 2000).catch(() => {});
      for (const asked of holdsOf(bench)) await bench.decide(asked);
    },
  },
];

function holdsOf(bench: Held['bench']) {
  return bench.events.filter((event) => event.event === 'hold');
}

export const ATTACKS: readonly Attack[] = [...REQUEST_ATTACKS, ...EXACT, ...ONCE, ...SHOWN, ...FLOOD];
