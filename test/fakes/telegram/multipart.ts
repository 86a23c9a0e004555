/** A body of `multipart/form-data`: its fields, and its files by the name of their part. */
export interface Form {
  fields: Record<string, string>;
  files: Map<string, { name: string; data: Buffer }>;
}

const BREAK = Buffer.from('\r\n\r\n');

export function parseMultipart(body: Buffer, contentType: string): Form {
  const boundary = Buffer.from(`--${/boundary=([^;]+)/.exec(contentType)![1]}`);
  const form: Form = { fields: {}, files: new Map() };
  let at = body.indexOf(boundary);
  while (at >= 0) {
    const next = body.indexOf(boundary, at + boundary.length);
    if (next < 0) break;
    const part = body.subarray(at + boundary.length + 2, next - 2);
    const head = part.subarray(0, part.indexOf(BREAK)).toString();
    const data = part.subarray(part.indexOf(BREAK) + BREAK.length);
    const name = /[; ]name="([^"]*)"/.exec(head)![1]!;
    const file = /filename="?([^"\r\n;]*)"?/.exec(head)?.[1];
    if (file === undefined) form.fields[name] = data.toString();
    else form.files.set(name, { name: file, data });
    at = next;
  }
  return form;
}
