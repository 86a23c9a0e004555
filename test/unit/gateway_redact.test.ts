import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patterns, Redactor } from '../../src/gateway/redact.ts';

const SECRET = 'fake-secret-Ab3/+?"\\é~9';
const bytes = Buffer.from(SECRET);

function run(patterns: Patterns, chunks: Buffer[]): { text: string; count: number; outs: Buffer[] } {
  const redactor = new Redactor(patterns);
  const outs = chunks.map((chunk) => Buffer.from(redactor.push(chunk)));
  outs.push(Buffer.from(redactor.end()));
  return { text: Buffer.concat(outs).toString('latin1'), count: redactor.count, outs };
}

const forms: Record<string, string> = {
  plain: bytes.toString('latin1'),
  json: Buffer.from(JSON.stringify(SECRET).slice(1, -1)).toString('latin1'),
  'json with escaped slashes': Buffer.from(JSON.stringify(SECRET).slice(1, -1).replaceAll('/', '\\/')).toString(
    'latin1',
  ),
  'json in ascii': JSON.stringify(SECRET).slice(1, -1).replace('é', '\\u00e9'),
  url: encodeURIComponent(SECRET),
  'url in lower case': encodeURIComponent(SECRET).replace(/%../g, (sign) => sign.toLowerCase()),
  hex: bytes.toString('hex'),
  HEX: bytes.toString('hex').toUpperCase(),
};

for (const [name, form] of Object.entries(forms)) {
  test(`a secret as ${name} is masked wherever the stream is split`, () => {
    const patterns = new Patterns(bytes);
    const whole = Buffer.from(`before ${form} after`, 'latin1');
    for (let at = 0; at <= whole.length; at += 1) {
      const { text, count } = run(patterns, [whole.subarray(0, at), whole.subarray(at)]);
      assert.equal(text, `before ${'*'.repeat(form.length)} after`, `split at ${at}`);
      assert.equal(count, 1);
    }
    const single = run(
      patterns,
      [...whole].map((byte) => Buffer.of(byte)),
    );
    assert.equal(single.text, `before ${'*'.repeat(form.length)} after`);
  });
}

for (const before of ['', 'u', 'us', 'user:']) {
  test(`a secret in base64 behind ${before.length} bytes leaves nothing that decodes to it`, () => {
    const patterns = new Patterns(bytes);
    const plain = Buffer.concat([Buffer.from(before), bytes, Buffer.from(':after')]);
    for (const encoding of ['base64', 'base64url'] as const) {
      const whole = Buffer.from(plain.toString(encoding));
      for (let at = 0; at <= whole.length; at += 1) {
        const { text } = run(patterns, [whole.subarray(0, at), whole.subarray(at)]);
        assert.equal(text.length, whole.length);
        assert.ok(
          text.includes('*'.repeat(Math.floor((bytes.length * 8) / 6) - 2)),
          `${encoding} split at ${at}: ${text}`,
        );
      }
    }
  });
}

test('only a live prefix is held back, and it comes out when it dies', () => {
  const redactor = new Redactor(new Patterns(Buffer.from('fake-secret-1234')));
  assert.equal(redactor.push(Buffer.from('data: hello\n\n')).toString(), 'data: hello\n\n');
  assert.equal(redactor.push(Buffer.from('x fake-sec')).toString(), 'x ');
  assert.equal(redactor.push(Buffer.from('tor')).toString(), 'fake-sector');
  assert.equal(redactor.push(Buffer.from('fake-secret-')).toString(), '');
  assert.equal(redactor.end().toString(), 'fake-secret-');
  assert.equal(redactor.count, 0);
});

test('a byte that was masked once stays masked when it begins another match', () => {
  const redactor = new Redactor(new Patterns(Buffer.from('abcdefab')));
  const out = [redactor.push(Buffer.from('abcdefab')), redactor.push(Buffer.from('cx')), redactor.end()];
  assert.equal(Buffer.concat(out).toString(), '********cx');
});

test('two secrets in a row are both masked', () => {
  const { text, count } = run(new Patterns(Buffer.from('fake-secret')), [Buffer.from('fake-secretfake-secret')]);
  assert.equal(text, '*'.repeat(22));
  assert.equal(count, 2);
});

test('a stream without the secret passes as the same bytes, without a copy', () => {
  const redactor = new Redactor(new Patterns(Buffer.from('fake-secret')));
  const chunk = Buffer.from('nothing here');
  assert.equal(redactor.push(chunk), chunk);
});

test('headers are masked, names as well, and counted', () => {
  const patterns = new Patterns(Buffer.from('fake-secret'));
  const lines = ['location', 'https://x/?k=fake-secret', 'fake-secret', 'a', 'b', 'see ZmFrZS1zZWNyZXQ='];
  assert.deepEqual(patterns.mask(lines), {
    lines: ['location', 'https://x/?k=***********', '***********', 'a', 'b', 'see **************Q='],
    count: 3,
  });
  assert.deepEqual(patterns.mask(['a', 'b']), { lines: ['a', 'b'], count: 0 });
});
