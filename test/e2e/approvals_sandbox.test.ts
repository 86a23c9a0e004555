import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { ApprovalShown } from '../../src/approvals/approvals.ts';
import { ROOT } from '../../src/base/paths.ts';
import type { Status } from '../../src/evidence/status.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import { applyGroup } from '../fakes/authorities.ts';
import { Install, until } from '../fakes/install.ts';
import { type FakeModel, startModel } from '../fakes/model.ts';
import { shell } from '../fakes/scripted_group.ts';
import { Terminal } from '../fakes/terminal.ts';
import { bearerFor, namesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';
import { requireHarness } from '../kits/harness_bench.ts';

/** curl in a real sandbox asks for what a person must allow; the operator decides on the command line. */

const SECRET = 'fake-token-of-the-operator';
const BODY = '{"title":"a pull request"}';
const authority = new TestAuthority();
const api = new Upstream('api.example.com', authority);
const folder = mkdtempSync(join(tmpdir(), 'ga-'));
const install = new Install(tmpdir(), ROOT, namesEnv({ [api.host]: ['127.0.0.1'] }));
const skip = spawnSync('curl', ['--version']).status !== 0 && 'no curl here';
let model: FakeModel;

before(async () => {
  await requireHarness('native');
  await api.listen();
  model = await startModel();
  install.install(`upstream_ca: ${authority.write(folder)}\n`);
  install.group('assistant', group());
  await install.start();
  await install.secret('anthropic', 'sk-scripted-0123456789');
  await install.secret('api-token', SECRET, bearerFor(api.place));
});
afterEach((context) => install.explain(context));
beforeEach(() => {
  api.received.length = 0;
  api.handler = (_request, response) => void response.end('made');
});
after(async () => {
  await install.stop();
  await model?.close();
  await api.close();
  rmSync(folder, { recursive: true });
});

function group(more = ''): string {
  return `harness: native
model: {upstream: "${model.origin}"}
secrets: [api-token]
egress:
  api: {host: api.example.com, port: ${api.port}, private: [127.0.0.0/8], use: api-token, approve: [POST /pulls]${more}}
`;
}

/** An agent asks in a chat of its own; what it is answered, and its request once that waits. */
async function asked(chat: string, options = '') {
  const agent = await Terminal.open(install.control, chat);
  const said = shell(agent, `curl -sS ${options} -X POST -d '${BODY}' https://${api.place}/pulls; echo " $?"`);
  return { agent, said, waits: await waiting() };
}

function waiting(): Promise<ApprovalShown> {
  return until('a request waits', async () => {
    const [newest] = await all();
    assert.equal(newest?.state, 'pending');
    return newest!;
  });
}

async function all(): Promise<ApprovalShown[]> {
  return (await install.control.call<{ approvals: ApprovalShown[] }>('approvals')).approvals;
}

/** The state that a request ends in, and why. */
function ends(id: string): Promise<[string, string]> {
  return until(`${id} ends`, async () => {
    const { state, reason } = await install.control.call<ApprovalShown>('approval_show', { approval: id });
    assert.notEqual(state, 'pending');
    return [state, reason];
  });
}

test('a request waits, is shown, and leaves once it is approved: exactly those bytes', { skip }, async () => {
  const owner = await Terminal.open(install.control, 'main');
  const { said, waits } = await asked('approved');
  const { id } = waits;
  assert.equal(api.received.length, 0);
  const shown = await owner.hears(
    new RegExp(`^${id}: assistant asks to send this\\.\nmethod: POST\nhost: ${api.place}\n`),
  );
  assert.match(shown.body, /\| \{"title":"a pull request"\}$/);
  const status = await install.control.call<Status>('status');
  assert.deepEqual([status.state, status.approvals], ['attention', 1]);
  assert.deepEqual(status.alerts, []);
  assert.match(
    install.glass('status').stdout,
    /approval +1 waiting, the oldest for \d+ s\n +→ \.\/glass approval list/,
  );
  assert.match(install.glass('approval', 'list').stdout, new RegExp(`^${id} +pending +assistant +POST api\\.example`));
  const card = install.glass('approval', 'show', id).stdout;
  const sha256 = createHash('sha256').update(BODY).digest('hex');
  assert.match(card, new RegExp(`method +POST\n +host +${api.place}\n +path +/pulls\n`));
  assert.match(card, /its headers\n[\s\S]* {2}\| content-type: application\/x-www-form-urlencoded\n/);
  assert.match(
    card,
    new RegExp(`body +26 bytes, SHA-256 ${sha256}\n[^]* its whole body\n {2}\\| \\{"title":"a pull request"\\}\n`),
  );

  const approved = install.glass('approval', 'approve', id);
  assert.deepEqual([approved.status, approved.stderr], [0, '']);
  assert.match(approved.stdout, new RegExp(`^${id}: POST ${api.place}/pulls: approved by \\S+, and sent\n$`));
  assert.match(await said, /made 0/);
  assert.deepEqual(
    api.received.map(({ method, target, body }) => [method, target, body.toString()]),
    [['POST', '/pulls', BODY]],
  );
  assert.deepEqual(api.values('authorization'), [`Bearer ${SECRET}`]);

  const again = install.glass('approval', 'approve', id, '--json');
  assert.equal(again.status, 5);
  assert.match(JSON.parse(again.stderr).error.message, /does not wait any more: \S+ approved it/);
  assert.equal(api.received.length, 1);
  assert.match(install.glass('status').stdout, /approval +nothing waits/);
});

test('the trace of the message shows the wait, the decision and the request between its hops', { skip }, async () => {
  const { said, waits } = await asked('traced');
  assert.equal(install.glass('approval', 'approve', waits.id).status, 0);
  await said;
  const { steps } = await install.control.call<Trace>('trace', { message: 'latest' });
  const seen = steps.filter(({ kind }) => /^approval|^egress/.test(kind));
  assert.deepEqual(seen.map(({ kind }) => kind).toSorted(), [
    ...['approval.decided', 'approval.held', 'approval.sent', 'approval.told', 'egress.request'],
  ]);
  const [heldStep, decided] = ['approval.held', 'approval.decided'].map((kind) =>
    seen.find((step) => step.kind === kind),
  );
  assert.deepEqual([heldStep!.kind, heldStep!.data['to']], ['approval.held', `POST ${api.place}/pulls`]);
  assert.deepEqual([decided!.data['allowed'], decided!.data['person']], [true, 'p1']);
  const request = seen.find(({ kind }) => kind === 'egress.request')!;
  assert.deepEqual([request.data['decision'], request.data['rule']], ['allow', 'api: POST /pulls']);
  assert.match(install.glass('trace', 'latest').stdout, /host +approval\.held .*\n[\s\S]*host +approval\.sent/);
});

test('a denied request reaches nobody, and the agent reads why', { skip }, async () => {
  const { said, waits } = await asked('denied');
  const denied = install.glass('approval', 'deny', waits.id, '--reason', 'not this week');
  assert.deepEqual([denied.status, denied.stderr], [0, '']);
  assert.match(denied.stdout, /denied by \S+: not this week\n$/);
  const answer = await said;
  assert.match(answer, /"rule":"api: POST \/pulls: denied"/);
  assert.match(answer, /a person denied it: not this week/);
  assert.deepEqual(api.received, []);
  const { steps } = await install.control.call<Trace>('trace', { message: 'latest' });
  const request = steps.find(({ kind }) => kind === 'egress.request')!;
  assert.deepEqual(
    [request.data['decision'], request.data['status'], request.data['rule']],
    ['deny', 403, 'api: POST /pulls: denied'],
  );
});

test('an agent that does not wait cancels its request', { skip }, async () => {
  const { said, waits } = await asked('impatient', '--max-time 5');
  assert.match(await said, /timed out[\s\S]*28/);
  assert.deepEqual(await ends(waits.id), ['expired', 'the agent went away']);
  const late = install.glass('approval', 'approve', waits.id);
  assert.equal(late.status, 5);
  assert.match(late.stderr, /does not wait any more: the agent went away/);
  assert.deepEqual(api.received, []);
});

test('rules or secrets that change meanwhile take the approval back', { skip }, async () => {
  const one = await asked('rules');
  await install.change('assistant', group(', deny: [POST /other]'));
  const changed = install.glass('approval', 'approve', one.waits.id);
  assert.equal(changed.status, 5);
  assert.match(changed.stderr, /approved, but nothing was sent: .*what the group may do changed/);
  assert.match(await one.said, /what the group may do changed/);
  install.group('assistant', group());
  await applyGroup(install.control, 'assistant');
  const two = await asked('secrets');
  await install.secret('api-token', SECRET, bearerFor(api.place));
  assert.equal(install.glass('approval', 'approve', two.waits.id).status, 5);
  assert.match(await two.said, /the secrets changed/);
  assert.deepEqual(await ends(two.waits.id), ['expired', 'while it waited for approval, the secrets changed']);
  assert.deepEqual(api.received, []);
});

test('a gateway that is killed sends nothing, and the ledger says that it was lost', { skip }, async () => {
  const { said, waits } = await asked('gateway');
  await install.end('gateway', 'SIGKILL');
  assert.deepEqual(await ends(waits.id), ['expired', 'the connection to the gateway was lost']);
  install.spawn('gateway');
  await install.ready();
  await said.catch(() => {});
  assert.equal(install.glass('approval', 'approve', waits.id).status, 5);
  assert.deepEqual(api.received, []);
});

test('a host that is killed has approved nothing; the next one says so, and the agent asks anew', {
  skip,
}, async () => {
  const { agent, said, waits } = await asked('host');
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  assert.deepEqual(await ends(waits.id), ['expired', 'the host restarted']);
  const next = await waiting();
  assert.notEqual(next.id, waits.id);
  assert.deepEqual(api.received, []);
  await agent.open();
  assert.equal(install.glass('approval', 'deny', next.id).status, 0);
  assert.match(await said, /a person denied it/);
});

test('all of a body that waits can be read, however long it is, until it is decided', { skip }, async () => {
  const agent = await Terminal.open(install.control, 'long');
  const make = 'head -c 75000 /dev/zero | base64 -w0; echo the-end';
  const said = shell(agent, `(${make}) | curl -sS --data-binary @- https://${api.place}/pulls; echo " $?"`);
  const { id } = await waiting();
  const card = install.glass('approval', 'show', id).stdout;
  assert.match(
    card,
    new RegExp(`\\n {2}the beginning of its body; ./glass approval show ${id} --body prints all of it\\n`),
  );
  assert.doesNotMatch(card, /the-end/);
  const { stdout: whole, stderr } = install.glass('approval', 'show', id, '--body');
  assert.equal(stderr, '');
  assert.match(whole, /\n {2}its whole body\n {2}\| A/);
  assert.match(whole.replaceAll('\n  | ', ''), /A{100000}the-endU\+000A\n$/);
  assert.equal(JSON.parse(install.glass('approval', 'show', id, '--body', '--json').stdout).body.length, 100_013);
  assert.equal(install.glass('approval', 'approve', id).status, 0);
  await said;
  assert.equal(api.received.at(-1)!.body.length, 100_008);
  const gone = install.glass('approval', 'show', id, '--body');
  assert.equal(gone.status, 4);
  assert.match(gone.stderr, /it does not wait any more, and its bytes are gone/);
});

test('what the command line cannot do is one sentence and an exit code', () => {
  const unknown = install.glass('approval', 'approve', 'h999');
  assert.equal(unknown.status, 4);
  assert.match(unknown.stderr, /^glass: there is no held request "h999" — \.\/glass approval list shows them\n$/);
  assert.equal(install.glass('approval', 'show', 'nonsense').status, 4);
  for (const words of [
    [],
    ['approve'],
    ['list', 'h1'],
    ['approve', 'h1', '--reason', 'x'],
    ['deny', 'h1', '--reason'],
    ['x', 'h1'],
    ['list', '--body'],
    ['approve', 'h1', '--body'],
  ])
    assert.equal(install.glass('approval', ...words).status, 2, words.join(' '));
  assert.ok(Array.isArray(JSON.parse(install.glass('approval', 'list', '--json').stdout).approvals));
});
