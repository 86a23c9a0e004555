/**
 * How programs in a sandbox find the way to the group's services without being told: the runner listens on this port, and
 * these variables name it and the one certificate authority that it is trusted by. Only in sandboxes of groups that have
 * services. The sandbox has a network of its own, so that nobody else can have taken the port.
 */
export const PROXY_PORT = 3128;
/** Public: the certificate without its key. */
export const CA_FILE = '/opt/glass/ca.pem';

/** curl reads some of them in lower case only, others read only capitals. */
const BOTH_CASES = {
  https_proxy: `http://127.0.0.1:${PROXY_PORT}`,
  http_proxy: `http://127.0.0.1:${PROXY_PORT}`,
  no_proxy: 'localhost,127.0.0.1,::1',
};
/** OpenSSL (and with it Python, Ruby, Go), curl, git, Node, Python's requests, pip, npm. */
const CA_VARIABLES = [
  ...['SSL_CERT_FILE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE', 'PIP_CERT'],
  'npm_config_cafile',
];

export function proxyEnv(): Record<string, string> {
  const both = Object.entries(BOTH_CASES).flatMap(([name, value]) => [
    [name, value],
    [name.toUpperCase(), value],
  ]);
  return Object.fromEntries([...both, ...CA_VARIABLES.map((name) => [name, CA_FILE])]);
}

/**
 * Makes Node's own clients obey them. The runner sets it for what it starts and not for itself: it talks to loopback only,
 * and would pay 16 MB and a tenth of a second for it.
 */
export const NODE_PROXY_VARIABLE = 'NODE_USE_ENV_PROXY';

/**
 * Where the gateway has an account of its own, its folder with the session's egress socket is mounted here, and the one of
 * the other sockets has a link to it.
 */
export const EGRESS_FOLDER = '/opt/glass/egress';
