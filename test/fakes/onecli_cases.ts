import type { Behaviour } from './onecli.ts';
import { type Case, type OneCliBench, THEIRS } from './onecli_bench.ts';

/** What can happen on the way through OneCLI, each with what agent, service, OneCLI and row must see of it. */

const BROUGHT = {
  authorization: 'Bearer of-the-agent',
  'x-api-key': 'of-the-agent',
  'proxy-authorization': 'Basic eDp5',
};
const SECRET = 'onecli-token';

/** Passes, with OneCLI's credential. */
const PASSED = {
  ...{ status: 200, refusal: null, received: ['GET /items/1'], authorization: `Bearer ${THEIRS}`, inside: [] },
  row: `allow 200, api: GET /items/** via OneCLI, ${SECRET}`,
};

/** Refused on the way: the service got nothing, and nobody has gone to it. */
function closed(name: string, how: Pick<Case, 'arrange' | 'restore'>, reason: string, status = 502): Case {
  const refusal = `onecli: OneCLI ${reason}`;
  return {
    ...{ name, ...how },
    expected: { status, refusal, received: [], connections: 0, row: `error ${status}, onecli, ${SECRET}` },
  };
}

/** As above, but OneCLI has gone to the service, whose certificate is one that other services are believed by. */
function relayed(name: string, how: Pick<Case, 'arrange' | 'restore'>): Case {
  const { expected, ...rest } = closed(name, how, `${OTHERS} (UNABLE_TO_VERIFY_LEAF_SIGNATURE)`);
  return { ...rest, expected: { ...expected, connections: 1 } };
}

const OTHERS = 'did not answer for api.example.com itself';

function behaving(behaviour: Behaviour): Pick<Case, 'arrange'> {
  return {
    arrange: ({ onecli }) => {
      onecli.behaviour = behaviour;
    },
  };
}

async function renewToken(bench: OneCliBench): Promise<void> {
  await bench.setToken(await bench.token());
}

/** The gateway's own answers, before anything is on its way. */
function refused(name: string, more: Partial<Case>, status: number, refusal: string, rule: string): Case {
  const expected = {
    status,
    refusal,
    received: [],
    connections: 0,
    connects: [],
    row: `deny ${status}, ${rule}, no secret`,
  };
  return { name, ...more, expected };
}

const PASSING: Case[] = [
  { name: 'a request with the agent’s own credentials', ask: { headers: BROUGHT }, expected: PASSED },
  {
    name: 'a request with a body',
    target: '/items',
    ask: { method: 'POST', body: '{"name":"x"}', headers: { 'content-type': 'application/json' } },
    expected: { status: 200, received: ['POST /items'], authorization: `Bearer ${THEIRS}` },
  },
  {
    name: 'a choice among OneCLI’s accounts',
    ask: { headers: { 'x-onecli-connection-id': 'c2', 'x-onecli-batch': '1' } },
    expected: { ...PASSED, obeyed: [], told: [] },
  },
  {
    name: 'a secret that OneCLI no longer has',
    arrange: (bench) => bench.revoke(),
    restore: (bench) => bench.grant(),
    expected: { status: 200, received: ['GET /items/1'], authorization: null, inside: [] },
  },
  {
    name: 'the token in what comes back',
    arrange: async (bench) => {
      const token = await bench.token();
      const pair = Buffer.from(`x:${token}`).toString('base64');
      bench.api.handler = (_request, response) => void response.setHeader('x-echo', token).end(`${token} ${pair}`);
    },
    expected: { ...PASSED, body: `${'*'.repeat(68)} ${'*'.repeat(96)}` },
  },
  {
    // Nobody here knows it.
    name: 'what OneCLI has put in, in what comes back',
    arrange: ({ api }) => {
      api.handler = (_request, response, { rawHeaders }) => void response.end(rawHeaders.join(' ').match(THEIRS)![0]);
    },
    expected: { ...PASSED, body: THEIRS },
  },
  {
    name: 'a token that was replaced on both sides, while a tunnel stands',
    arrange: async (bench) => {
      await bench.ask('/items/1');
      await bench.regenerate();
      await renewToken(bench);
      bench.api.received.length = 0;
      bench.onecli.connects.length = 0;
    },
    // A tunnel of its own, as its token is another one.
    expected: { ...PASSED, connects: ['x:current'] },
  },
];

const CLOSED: Case[] = [
  closed(
    'OneCLI is down',
    { arrange: ({ onecli }) => onecli.stop(), restore: ({ onecli }) => onecli.listen() },
    'cannot be asked (ECONNREFUSED)',
  ),
  closed(
    'a token that OneCLI does not know',
    { arrange: (bench) => bench.regenerate(), restore: renewToken },
    'does not take the token (407)',
  ),
  ...[403, 502, 301, 204].map((status) =>
    closed(`CONNECT is answered with ${status}`, behaving(status), `refuses the tunnel (${status})`),
  ),
  closed('CONNECT is answered with garbage', behaving('garbage'), 'cannot be asked (HPE_INVALID_CONSTANT)'),
  closed('CONNECT is cut', behaving('cut'), 'cannot be asked (ECONNRESET)'),
  closed('words before TLS', behaving('words behind the answer'), 'answers CONNECT with something else'),
  closed('TLS is cut', behaving('cut in TLS'), `${OTHERS} (ECONNRESET)`),
  closed(
    'a certificate of another authority',
    behaving('another authority'),
    `${OTHERS} (UNABLE_TO_VERIFY_LEAF_SIGNATURE)`,
  ),
  closed('a certificate for another host', behaving('another host'), `${OTHERS} (ERR_TLS_CERT_ALTNAME_INVALID)`),
  relayed('a tunnel that an older OneCLI relays, as it has no secret for the host', {
    arrange: async (bench) => {
      await bench.revoke();
      bench.onecli.behaviour = 'older';
    },
    restore: (bench) => bench.grant(),
  }),
  relayed('a tunnel that OneCLI relays for the user open', {
    arrange: async (bench) => bench.setToken(await bench.token(), { kind: 'basic', user: 'open' }),
    restore: renewToken,
  }),
];

/** Wait for a deadline. */
export const SLOW_CASES: readonly Case[] = [
  closed('CONNECT hangs', behaving('hang'), 'does not open a tunnel in time', 504),
  closed('TLS hangs', behaving('hang in TLS'), 'does not open a tunnel in time', 504),
];

const EARLY: Case[] = [
  refused(
    'no token in the vault',
    { arrange: (bench) => bench.removeToken(), restore: renewToken },
    ...([403, `secret: secret "${SECRET}" is not set`, 'secret'] as const),
  ),
  refused(
    'a token for another place',
    {
      arrange: async (bench) => bench.setToken(await bench.token(), undefined, ['127.0.0.1:1']),
      restore: renewToken,
    },
    403,
    'secret onecli-token: hosts: secret "onecli-token" may go to 127.0.0.1:1, and not to PLACE',
    'secret onecli-token: hosts',
  ),
  refused(
    'a token of another kind',
    { arrange: async (bench) => bench.setToken(await bench.token(), { kind: 'bearer' }), restore: renewToken },
    ...([503, 'onecli: the token for OneCLI is not of the kind basic', 'onecli'] as const),
  ),
  refused(
    'a gateway that no longer knows OneCLI',
    {
      arrange: async (bench) => {
        bench.configure(false);
        await bench.restart();
      },
      restore: async (bench) => {
        bench.configure();
        await bench.restart();
      },
    },
    ...([503, 'onecli: the gateway knows no OneCLI', 'onecli'] as const),
  ),
  refused(
    'a credential in the query',
    { target: '/items/1?access_token=x' },
    400,
    "query: the query has a credential (access_token), and credentials are never the agent's own",
    'query',
  ),
  refused(
    'a credential in the query that its service lists',
    { target: '/listed?key=x' },
    400,
    "query: the query has a credential (key), and credentials are never the agent's own",
    'query',
  ),
  refused(
    'the place of tokens',
    { target: '/items/oauth/token' },
    ...([403, 'token host: tokens are got there, by the gateway alone', 'token host'] as const),
  ),
  refused(
    'what its rules deny',
    { target: '/items/hidden' },
    ...([403, 'api: never GET /items/hidden: api denies GET /items/hidden', 'api: never GET /items/hidden'] as const),
  ),
  refused(
    'what a body must not have',
    { target: '/items', ask: { method: 'POST', body: '{"mcp_servers":[]}' } },
    403,
    'deny_json mcp_servers: the body has what this group may not send: mcp_servers',
    'deny_json mcp_servers',
  ),
  refused(
    'more often than its rate',
    {
      target: '/paced',
      arrange: async (bench) => {
        await bench.ask('/paced');
        for (const list of [bench.api.received, bench.onecli.connects]) list.length = 0;
        bench.api.connections = 0;
      },
    },
    ...([429, 'paced: rate 1/hour: paced may be asked 1/hour', 'paced: rate 1/hour'] as const),
  ),
];

export const CASES: readonly Case[] = [...PASSING, ...CLOSED, ...EARLY];
