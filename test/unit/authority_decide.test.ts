import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Decision, decide } from '../../src/authority/decide.ts';
import { type EgressService, egressSchema } from '../../src/authority/egress.ts';
import { EGRESS_TARGET_BYTES_MAX } from '../../src/base/limits/gateway.ts';
import { readFixture } from '../fakes/authorities.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

const EGRESS = egressSchema.parse({
  github: {
    host: 'api.github.com',
    allow: ['GET /repos/acme/app/**', 'GET /user', 'GET /orgs/*/members'],
    approve: ['POST /repos/acme/app/pulls'],
    deny: ['GET /repos/acme/app/actions/secrets', '* /repos/acme/app/keys/**'],
  },
  git: {
    host: 'github.com',
    allow: ['GET /acme/app.git/info/refs', 'POST /acme/app.git/git-upload-pack'],
    query: ['service=git-upload-pack'],
  },
  docs: { host: '*.docs.example.com', wildcard: true, allow: ['GET /**'] },
  wiki: { host: 'wiki.example.com', port: 8443, allow: ['* /api/**'] },
});

function of(method: string, url: string, egress: Record<string, EgressService> = EGRESS): Decision {
  const [, host, port = '443', target = '/'] = /^https:\/\/([^/:?]+)(?::(\d+))?(.*)$/s.exec(url)!;
  return decide(egress, { method, host: host!, port: Number(port), target });
}

const DECIDED: [method: string, url: string, decision: Decision['decision'], service: string | null][] = [
  ['GET', 'https://api.github.com/repos/acme/app/issues', 'allow', 'github'],
  ['GET', 'https://api.github.com/repos/acme/app/issues?state=open&page=2', 'allow', 'github'],
  ['GET', 'https://API.GitHub.com/user', 'allow', 'github'],
  ['GET', 'https://api.github.com/repos/acme/app/a%20b', 'allow', 'github'],
  ['GET', 'https://api.github.com/orgs/acme/members', 'allow', 'github'],
  ['POST', 'https://api.github.com/repos/acme/app/pulls', 'approve', 'github'],
  ['GET', 'https://api.github.com/repos/acme/app/actions/secrets', 'deny', 'github'],
  ['GET', 'https://api.github.com/repos/acme/app/actions/secrets?x=1', 'deny', 'github'],
  ['DELETE', 'https://api.github.com/repos/acme/app/keys/1', 'deny', 'github'],
  ['GET', 'https://api.github.com/repos/acme/app', 'deny', null],
  ['GET', 'https://api.github.com/repos/acme/app/', 'deny', null],
  ['GET', 'https://api.github.com/repos/acme/apple/x', 'deny', null],
  ['GET', 'https://api.github.com/Repos/acme/app/x', 'deny', null],
  ['GET', 'https://api.github.com/user/', 'deny', null],
  ['GET', 'https://api.github.com/orgs//members', 'deny', null],
  ['GET', 'https://api.github.com/orgs/a/b/members', 'deny', null],
  ['get', 'https://api.github.com/user', 'deny', null],
  ['POST', 'https://api.github.com/graphql', 'deny', null],
  ['PUT', 'https://api.github.com/repos/acme/app/pulls/7/merge', 'deny', null],
  ['GET', 'https://api.github.com:8443/user', 'deny', null],
  ['GET', 'https://api.github.com.evil.example/user', 'deny', null],
  ['GET', 'https://api.github.com./user', 'deny', null],
  ['GET', 'https://127.0.0.1/user', 'deny', null],
  ['GET', 'https://github.com/acme/app.git/info/refs?service=git-upload-pack', 'allow', 'git'],
  ['POST', 'https://github.com/acme/app.git/git-upload-pack', 'allow', 'git'],
  ['GET', 'https://github.com/acme/app.git/info/refs?service=git-receive-pack', 'deny', null],
  ['GET', 'https://github.com/acme/app.git/info/refs?service=git-upload-pack&x=1', 'deny', null],
  ['GET', 'https://a.docs.example.com/x', 'allow', 'docs'],
  ['GET', 'https://docs.example.com/x', 'deny', null],
  ['GET', 'https://a.b.docs.example.com/x', 'deny', null],
  ['GET', 'https://evildocs.example.com/x', 'deny', null],
  ['PATCH', 'https://wiki.example.com:8443/api/x', 'allow', 'wiki'],
  ['GET', 'https://wiki.example.com/api/x', 'deny', null],
];

for (const [method, url, decision, service] of DECIDED)
  test(`${method} ${url} comes out as ${decision}`, () => {
    const found = of(method, url);
    assert.deepEqual([found.decision, found.service], [decision, service], found.reason);
    assert.ok(!found.reason.includes('\n') && found.reason.length < 300);
  });

/** What some server would read as another path. `%s` is what is allowed. */
const TWO_WAYS: [name: string, target: string][] = [
  ['dots behind an escape', '/repos/acme/app/%2e%2e/%2e%2e/user'],
  ['half escaped dots', '/repos/acme/app/.%2E/x'],
  ['dots', '/repos/acme/app/../../x'],
  ['one dot', '/repos/acme/app/./x'],
  ['a slash behind an escape', '/repos/acme/app/a%2fb'],
  ['a backslash', '/repos/acme/app/a\\b'],
  ['a backslash behind an escape', '/repos/acme/app/a%5Cb'],
  ['an empty segment', '/repos/acme/app//x'],
  ['a parameter of a segment', '/repos/acme/app/x;y=1'],
  ['its escape', '/repos/acme/app/x%3By'],
  ['a NUL', '/repos/acme/app/%00'],
  ['a line break', '/repos/acme/app/%0d%0aX:1'],
  ['an escape of an escape', '/repos/acme/app/%252e%252e'],
  ['a fragment', '/repos/acme/app/x#y'],
  ['a broken escape', '/repos/acme/app/%zz'],
  ['half an escape', '/repos/acme/app/%2'],
  ['an overlong dot', '/repos/acme/app/%c0%ae'],
  ['half a character', '/repos/acme/app/%c3'],
  ['a character that is no ASCII', '/repos/acme/app/é'],
  ['a blank', '/repos/acme/app/a b'],
  ['no slash at the beginning', 'repos/acme/app/x'],
  ['an absolute form', 'http://evil.example/'],
  ['nothing', ''],
  ['more than a path may have', `/repos/acme/app/${'x'.repeat(EGRESS_TARGET_BYTES_MAX)}`],
];

for (const [name, target] of TWO_WAYS)
  test(`a target with ${name} is refused, whatever the rules say`, () => {
    const all = egressSchema.parse({ all: { host: 'api.github.com', allow: ['* /**', 'GET /'] } });
    const request = { method: 'GET', host: 'api.github.com', port: 443, target };
    assert.equal(decide(EGRESS, request).rule, 'target');
    assert.equal(decide(all, request).decision, 'deny');
  });

test('without services everything is denied, and what denies wins wherever it stands', () => {
  assert.equal(of('GET', 'https://api.github.com/user', {}).decision, 'deny');
  const two = egressSchema.parse({
    a: { host: 'api.example.com', allow: ['GET /x'] },
    b: { host: 'api.example.com', allow: ['GET /y'], deny: ['GET /x'] },
    c: { host: 'api.example.com', approve: ['GET /y'] },
  });
  assert.deepEqual(of('GET', 'https://api.example.com/x', two).service, 'b');
  assert.deepEqual(of('GET', 'https://api.example.com/y', two).decision, 'approve');
});

function policy(context: TestContext, expect: string): () => unknown {
  const file = join(temporaryFolder(context), 'group.yaml');
  const service = 'host: api.example.com, allow: [GET /x/**], approve: [POST /x/y]';
  writeFileSync(file, `egress: {api: {${service}, expect: {${expect}}}}\n`);
  return () => readFixture(file);
}

test('a policy whose examples come out otherwise is refused, with the example and what decided', (context) => {
  policy(context, 'allow: [GET /x/1], approve: [POST /x/y], deny: [POST /x/1, GET /y]')();
  assert.throws(policy(context, 'deny: [GET /x/1]'), {
    code: 'config',
    message: /egress\.api\.expect: GET \/x\/1 comes out as allow \(api allows GET \/x\/\*\*\), not as deny$/,
  });
  assert.throws(policy(context, 'allow: [POST /x/y]'), { message: /comes out as approve .*not as allow/ });
  assert.throws(policy(context, 'allow: [GET /x]'), { message: /comes out as deny .*not as allow/ });
});
