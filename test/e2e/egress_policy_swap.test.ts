import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { AttackBench } from '../fakes/attack_bench.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { askService, openTunnel } from '../fakes/tunnel.ts';
import { bearerFor } from '../fakes/upstream.ts';

/**
 * A session's policy while it is swapped, while what is to replace it is damaged, and while the gateway is dead: each request
 * is judged by exactly one policy, the last good one stays in force, and nothing is open in between.
 */

const SESSION = 's800';
const ITEMS = { first: '/first/1', second: '/second/1', never: '/never' } as const;
const SWAPS = 12;
const LATE_MS = 5000;
/** Neither answered nor ended: so it may be where a guard is missing, and nowhere else. */
const UNANSWERED = -1;

class World {
  readonly bench: AttackBench;
  /** Hashes of two policies: each allows a path of its own, with a secret of its own. */
  readonly policies: string[] = [];
  socket = '';
  #hammering = true;
  /** Statuses by what was asked; 0: the connection broke; `UNANSWERED`. */
  readonly statuses: Record<keyof typeof ITEMS, number[]> = { first: [], second: [], never: [] };

  constructor(root?: string) {
    this.bench = new AttackBench(root);
  }

  async start(): Promise<void> {
    const { bench } = this;
    await bench.start();
    for (const name of ['first', 'second']) {
      await bench.gateway.setSecret(name, `fake-token-of-${name}`, bearerFor(bench.api.place));
      this.policies.push(bench.gateway.group('swapped', this.#yaml(name)));
    }
    await this.open(0);
  }

  #yaml(name: string): string {
    return `secrets: [${name}]
budget: {requests_per_day: 100000}
egress:
  ${name}: {host: api.example.com, port: ${this.bench.api.port}, private: [127.0.0.0/8], use: ${name}, allow: [GET /${name}/**]}
`;
  }

  async open(which: number | string): Promise<void> {
    const hash = typeof which === 'string' ? which : this.policies[which]!;
    this.socket = await this.bench.gateway.open(this.bench.host, SESSION, 'swapped', hash);
  }

  async ask(name: keyof typeof ITEMS): Promise<number> {
    const options = { ca: this.bench.ca, place: this.bench.api.place };
    const asked = askService(this.socket, options, ITEMS[name]).catch(() => ({ status: 0 }));
    const reply = await Promise.race([asked, sleep(LATE_MS, { status: UNANSWERED }, { ref: false })]);
    this.statuses[name].push(reply.status);
    return reply.status;
  }

  tunnel(): Promise<TLSSocket> {
    return openTunnel(this.socket, { ca: this.bench.ca, place: this.bench.api.place });
  }

  /** What the policy in force says to each of them. */
  async all(): Promise<number[]> {
    return [await this.ask('first'), await this.ask('second'), await this.ask('never')];
  }

  /** Asks all the time, until what is given has come to its end. */
  async hammered(during: () => Promise<void>): Promise<void> {
    this.#hammering = true;
    const names = Object.keys(ITEMS) as (keyof typeof ITEMS)[];
    const agents = [...names, ...names].map(async (name) => {
      while (this.#hammering) {
        await this.ask(name);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    try {
      await during();
    } finally {
      this.#hammering = false;
      await Promise.all(agents);
    }
  }
}

interface Swapped {
  /** Kinds of answers. */
  first: number[];
  second: number[];
  never: number[];
  /** Requests that arrived with another secret than that of the policy which allows their path. */
  mixed: string[];
  /** Rows that name parts of both policies. */
  mixedRows: string[];
  /** Requests that arrived without a row. */
  unrecorded: boolean;
  /** Tunnels that were still open under the next policy. */
  outlived: number;
}

/** Whether the gateway ends it; soon, if it does. */
function isClosed(tls: TLSSocket): Promise<boolean> {
  tls.on('error', () => {});
  return new Promise((resolve) => {
    const late = setTimeout(() => {
      tls.destroy();
      resolve(false);
    }, LATE_MS);
    tls.once('close', () => {
      clearTimeout(late);
      resolve(true);
    });
    if (tls.destroyed) tls.emit('close');
  });
}

function kinds(statuses: number[]): number[] {
  return [...new Set(statuses)].filter((status) => status !== 0).sort();
}

async function swapped(root?: string): Promise<Swapped> {
  const world = new World(root);
  const { bench } = world;
  let outlived = 0;
  try {
    await world.start();
    await world.hammered(async () => {
      for (let swap = 1; swap <= SWAPS; swap += 1) {
        const old = await world.tunnel();
        await world.open(swap % 2);
        if (!(await isClosed(old))) outlived += 1;
        if (outlived > 0) return;
        // Until both have been asked of this one.
        const enough = world.statuses.first.length + 3;
        while (world.statuses.first.length < enough) await sleep(1);
      }
    });
    const arrived = bench.api.received.map(({ target, rawHeaders }) => {
      const secret = rawHeaders[rawHeaders.findIndex((name) => name.toLowerCase() === 'authorization') + 1];
      return `${target} ${secret}`;
    });
    const left = (await bench.gateway.rows(bench.host, SESSION)).filter(({ decision }) => decision !== 'deny');
    return {
      first: kinds(world.statuses.first),
      second: kinds(world.statuses.second),
      never: kinds(world.statuses.never),
      mixed: arrived.filter((line) => !/^\/(first|second)\/1 Bearer fake-token-of-\1$/.test(line)),
      mixedRows: left
        .map(({ path, rule, secret }) => `${path} ${rule} ${secret}`)
        .filter((line) => !/^\/(first|second)\/1 (?:\1: GET \/\1\/\*\*|upstream) \1$/.test(line)),
      unrecorded: left.length < arrived.length || arrived.length === 0,
      outlived,
    };
  } finally {
    await bench.dispose();
  }
}

const SWAPPED: Swapped = {
  ...{ first: [200, 403], second: [200, 403], never: [403] },
  ...{ mixed: [], mixedRows: [], unrecorded: false, outlived: 0 },
};

test('a request while the policy is swapped is judged by exactly one of both', async () => {
  assert.deepEqual(await swapped(), SWAPPED);
});

/** What can stand where the kept policy should be. */
const DAMAGED: Record<string, (whole: Buffer) => Buffer> = {
  'an empty file': () => Buffer.alloc(0),
  'a part of it': (whole) => whole.subarray(0, whole.length / 2),
  'no JSON': () => Buffer.from([0, 1, 2, 255]),
  'one with a wider rule': (whole) => Buffer.from(whole.toString().replaceAll('/second/**', '/**')),
  'a key twice': (whole) => Buffer.from(whole.toString().replace('{', '{"egress":{},')),
  'a huge one': (whole) => Buffer.concat([whole, Buffer.alloc(32 * 1024 * 1024, ' ')]),
  YAML: () => Buffer.from('egress: &a {api: {host: api.example.com, allow: ["* /**"]}}\n<<: *a\n'),
};

interface Damage {
  refused: string;
  /** What the policy says afterwards that was in force before. */
  after: number[];
}

async function damaged(root?: string): Promise<{ found: Record<string, Damage>; never: number[]; second: number[] }> {
  const world = new World(root);
  const { bench, policies } = world;
  const found: Record<string, Damage> = {};
  try {
    await world.start();
    const kept = join(bench.gateway.paths.authorities, `${policies[1]}.json`);
    const whole = readFileSync(kept);
    await world.hammered(async () => {
      for (const [name, damage] of Object.entries(DAMAGED)) {
        writeFileSync(kept, damage(whole));
        const refused = await world.open(1).then(
          () => 'opened',
          ({ code }) => code as string,
        );
        found[name] = { refused, after: await world.all() };
      }
    });
    return { found, never: kinds(world.statuses.never), second: kinds(world.statuses.second) };
  } finally {
    await bench.dispose();
  }
}

const DAMAGES = {
  found: Object.fromEntries(Object.keys(DAMAGED).map((name) => [name, { refused: 'config', after: [200, 403, 403] }])),
  ...{ never: [403], second: [403] },
};

test('what is damaged is refused, and the last good policy stays in force without a gap', async () => {
  assert.deepEqual(await damaged(), DAMAGES);
});

test('between the death of the gateway and its host’s word nothing gets out; then the same policy holds', async (context) => {
  const world = new World();
  const { bench } = world;
  context.after(() => bench.dispose());
  await world.start();
  assert.deepEqual(await world.all(), [200, 403, 403]);
  const open = await world.tunnel();
  await bench.gateway.end('SIGKILL');
  assert.ok(await isClosed(open), 'the tunnel ended with it');
  bench.api.received.length = 0;
  const { connections } = bench.api;
  for (const name of ['first', 'second', 'never'] as const) world.statuses[name].length = 0;
  await world.hammered(async () => {
    await bench.gateway.start();
    await bench.restartHost();
  });
  const { first, second, never } = world.statuses;
  assert.ok(first.length > 0, 'it was tried');
  assert.deepEqual([...new Set([...first, ...second, ...never])], [0]);
  assert.deepEqual([bench.api.received, bench.api.connections], [[], connections]);
  await world.open(0);
  assert.deepEqual(await world.all(), [200, 403, 403]);
});

const SESSIONS = 'src/gateway/sessions.ts';
const READ = 'const policy = readPolicy(this.#paths, group, policySha256);';

const OUTLIVES: [without: string, patch: Patch][] = [
  ['the end of the old policy', [SESSIONS, 'this.close(session);\n    if (isService)', 'if (isService)']],
  [
    'the end of tunnels with their session',
    ['src/gateway/session.ts', 'for (const socket of this.#tunnels) socket.destroy();', ''],
  ],
];

for (const [without, patch] of OUTLIVES)
  test(`without ${without} a tunnel outlives its policy`, async () => {
    using tree = new PatchedTree([patch]);
    assert.equal((await swapped(tree.root)).outlived, 1);
  });

const SABOTAGES: [without: string, patch: Patch][] = [
  ['the order of reading and closing', [SESSIONS, READ, `this.close(session);\n    ${READ}`]],
  ['the comparison with its hash', ['src/authority/store.ts', 'if (hashOf(bytes) !== hash)', 'if (false)']],
];

for (const [without, patch] of SABOTAGES)
  test(`without ${without} what is damaged comes out differently`, async () => {
    using tree = new PatchedTree([patch]);
    assert.notDeepEqual(await damaged(tree.root), DAMAGES);
  });
