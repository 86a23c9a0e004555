import { createServer } from 'node:http';
import { Agent } from 'undici';

/**
 * The least that could stand in the gateway's place, for its processor time to be held against: the same server and client
 * libraries between a unix socket and the endpoint, and nothing of what the gateway is for. Arguments: socket, origin.
 */
const [socket, origin] = process.argv.slice(2) as [string, string];
const agent = new Agent({ connections: 8, pipelining: 1 });

createServer((request, response) => {
  const headers = {
    'content-type': request.headers['content-type'],
    'content-length': request.headers['content-length'],
  };
  agent.dispatch(
    { origin, path: request.url!, method: 'POST', headers, body: request },
    {
      onRequestStart() {},
      onResponseStart(_controller, status, kept) {
        response.writeHead(status, kept);
      },
      onResponseData(_controller, chunk) {
        response.write(chunk);
      },
      onResponseEnd() {
        response.end();
      },
      onResponseError() {
        response.destroy();
      },
    },
  );
}).listen(socket, () => process.stdout.write('ready\n'));
