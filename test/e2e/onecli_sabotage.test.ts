import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Case, OneCliBench, outcomeOf } from '../fakes/onecli_bench.ts';
import { CASES, SLOW_CASES } from '../fakes/onecli_cases.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';

/** Each guard of the way through OneCLI is taken out of a copy of the code: its case must then come out differently. */

interface Sabotage {
  without: string;
  patch: Patch;
  case: string;
}

const ADMISSION = 'src/gateway/admission.ts';
const ONECLI = 'src/gateway/onecli.ts';
const HEADERS = 'src/gateway/headers.ts';
const REQUEST = 'src/gateway/service_request.ts';
const RELAYED = 'a tunnel that an older OneCLI relays, as it has no secret for the host';

const SABOTAGES: readonly Sabotage[] = [
  {
    without: 'the turn away from the service itself',
    patch: [ADMISSION, 'if (!chained) return', 'if (true) return'],
    case: 'OneCLI is down',
  },
  {
    without: 'the belief in one authority alone',
    patch: ['src/gateway.ts', 'oneCliOf(install.onecli)', '{ ...oneCliOf(install.onecli), trust: trust! }'],
    case: RELAYED,
  },
  {
    without: 'the check of certificates',
    patch: [ONECLI, 'rejectUnauthorized: true', 'rejectUnauthorized: false'],
    case: RELAYED,
  },
  {
    without: 'the check of certificates, for the user open',
    patch: [ONECLI, 'rejectUnauthorized: true', 'rejectUnauthorized: false'],
    case: 'a tunnel that OneCLI relays for the user open',
  },
  {
    without: 'the look at a certificate’s authority',
    patch: [ONECLI, 'rejectUnauthorized: true', 'rejectUnauthorized: false'],
    case: 'a certificate of another authority',
  },
  {
    without: 'the look at a certificate’s host',
    patch: [ONECLI, 'rejectUnauthorized: true', 'checkServerIdentity: () => undefined, rejectUnauthorized: true'],
    case: 'a certificate for another host',
  },
  {
    without: 'the word for a token that is not taken',
    patch: [ONECLI, 'if (statusCode === 407)', 'if (false)'],
    case: 'a token that OneCLI does not know',
  },
  {
    without: 'the look at the answer to CONNECT',
    patch: [ONECLI, 'if (statusCode !== 200)', 'if (false)'],
    case: 'CONNECT is answered with 403',
  },
  {
    without: 'the look for words before TLS',
    patch: [ONECLI, 'if (head.length > 0)', 'if (false)'],
    case: 'words before TLS',
  },
  {
    without: 'the deadline of CONNECT',
    patch: [ONECLI, "setTimeout(() => fail('does not open", "setTimeout(() => void ('does not open"],
    case: 'CONNECT hangs',
  },
  {
    without: 'the deadline of TLS',
    patch: [ONECLI, "setTimeout(() => fail('does not open", "setTimeout(() => void ('does not open"],
    case: 'TLS hangs',
  },
  {
    without: 'the word for a gateway without OneCLI',
    patch: [ADMISSION, 'if (onecli === null) return NO_ONECLI', 'if (onecli === null) return TOKEN_PLACE'],
    case: 'a gateway that no longer knows OneCLI',
  },
  {
    without: 'the kind of the token',
    patch: [ADMISSION, "if (!authorization.startsWith('Basic '))", 'if (false)'],
    case: 'a token of another kind',
  },
  {
    without: 'the token’s own list of hosts',
    patch: ['src/gateway/inject.ts', 'if (hosts.includes(to.host) ||', 'if (true ||'],
    case: 'a token for another place',
  },
  {
    without: 'the request’s freedom from the token',
    patch: [ADMISSION, 'header: [], query: null', 'query: null'],
    case: 'a request with the agent’s own credentials',
  },
  {
    without: 'the masks of the token',
    patch: [ADMISSION, 'secret: onecli.token, injection, fetch', 'secret: onecli.token, injection: null, fetch'],
    case: 'the token in what comes back',
  },
  {
    without: 'a pool for each token',
    patch: ['src/gateway/upstreams.ts', 'this.#chained?.authorization !== authorization', 'this.#chained === null'],
    case: 'a token that was replaced on both sides, while a tunnel stands',
  },
  {
    without: 'the drop of what OneCLI obeys',
    patch: [HEADERS, "if (name.startsWith('x-onecli-')) continue;", ''],
    case: 'a choice among OneCLI’s accounts',
  },
  {
    without: 'the drop of OneCLI’s accounts',
    patch: [HEADERS, "  'x-onecli-connections',", ''],
    case: 'a choice among OneCLI’s accounts',
  },
  {
    without: 'the drop of the agent’s credentials',
    patch: [HEADERS, 'CREDENTIAL.test(name) || ', ''],
    case: 'a request with the agent’s own credentials',
  },
  {
    without: 'the guard against credentials in a query',
    patch: [REQUEST, 'use !== undefined || via !== undefined', 'use !== undefined'],
    case: 'a credential in the query that its service lists',
  },
  {
    without: 'the place of tokens',
    patch: [ADMISSION, 'this.#inject(secret, { host, isTls', "this.#inject(secret, { host: 'x', isTls"],
    case: 'the place of tokens',
  },
];

/** Hanging is given up soon, and what then still waits for an answer too. */
const IMPATIENT: readonly Patch[] = [
  ['src/base/limits/gateway.ts', 'MODEL_CONNECT_MS = 10 * SECOND_MS', 'MODEL_CONNECT_MS = SECOND_MS'],
  ['src/base/limits/gateway.ts', 'MODEL_FIRST_BYTE_MS = 5 * MINUTE_MS', 'MODEL_FIRST_BYTE_MS = 2 * SECOND_MS'],
];
const ALL: readonly Case[] = [...CASES, ...SLOW_CASES];

for (const { without, patch, case: name } of SABOTAGES)
  test(`without ${without}, "${name}" comes out differently`, async () => {
    const found = ALL.find((one) => one.name === name);
    assert.ok(found !== undefined, `there is no case "${name}"`);
    const [outcome] = await outcomesWith([patch, ...IMPATIENT], [found]);
    assert.notDeepEqual(outcome, found.expected);
  });

test('with every guard in place, waiting ends as it should, and the same bench gives the expected outcome', async () => {
  const cases = [...SLOW_CASES, CASES[0]!];
  const outcomes = await outcomesWith([...IMPATIENT], cases);
  assert.deepEqual(
    outcomes,
    cases.map(({ expected }) => expected),
  );
});

async function outcomesWith(patches: Patch[], cases: readonly Case[]): Promise<unknown[]> {
  using tree = new PatchedTree(patches);
  const bench = new OneCliBench(tree.root);
  try {
    await bench.start();
    const outcomes: unknown[] = [];
    for (const one of cases) outcomes.push(await outcomeOf(bench, one));
    return outcomes;
  } finally {
    await bench.dispose();
  }
}
