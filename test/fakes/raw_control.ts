import { request } from 'node:http';

/** A raw request to a control socket, as any client may make one: the bytes are sent as they are. */
export function post(
  socketPath: string,
  path: string,
  body: Buffer,
): Promise<{ status: number; error: { code: string; message: string } }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method: 'POST', path }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const { error } = JSON.parse(Buffer.concat(chunks).toString()) as { error: { code: string; message: string } };
        resolve({ status: response.statusCode!, error });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
