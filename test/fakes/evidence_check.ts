import { createHash, createPublicKey, verify } from 'node:crypto';

/** The check of an export, written from docs/SECURITY.md alone. Null: it holds; else what is wrong. */
export function checkExport(text: string): string | null {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const { format, cut, signers, before } = lines.shift();
  const { end } = lines.pop();
  if (format !== 'glassclaw events 1') return 'another format';
  if (end === undefined) return 'it ends early';
  if (cut !== null) {
    const { day, through, seq, hash, count, signature } = cut;
    const signed = Buffer.from(JSON.stringify(['glassclaw cut', 'events', day, through, seq, hash, count]));
    const isGood = signers.some((key: string) => {
      const der = { key: Buffer.from(key, 'base64'), format: 'der' as const, type: 'spki' as const };
      return verify(null, signed, createPublicKey(der), Buffer.from(signature, 'base64'));
    });
    if (!isGood) return 'the cut is not signed';
    if (before.id === through && before.hash !== hash) return 'it does not begin at the cut';
  } else if (before.id === 0 && before.hash !== '' && before.hash !== sha256(['', 0, 'before the chain']))
    return 'it does not begin at the beginning';
  let { id: last, hash } = before;
  let isOld = last === 0 && hash === '';
  for (const { id, at_us, kind, message_id, session_id, turn_id, outbound_id, data, hash: stated } of lines) {
    if (id !== last + 1) return `event ${last + 1} is missing`;
    if (isOld && stated !== null) hash = sha256([hash, last, 'before the chain']);
    isOld &&= stated === null;
    const computed = sha256([hash, id, at_us, kind, message_id, session_id, turn_id, outbound_id, data]);
    if (!isOld && computed !== stated) return `event ${id} does not fit`;
    [last, hash] = [id, computed];
  }
  return end.id === last && end.hash === (isOld ? null : hash) ? null : 'it ends elsewhere';
}

function sha256(words: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(words)).digest('hex');
}
