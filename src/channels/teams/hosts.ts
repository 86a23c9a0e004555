/** Which addresses a token of ours may go to. An address may be plain HTTP on this machine alone. */
export function isSafe(address: string): boolean {
  const url = URL.parse(address);
  if (url === null || url.username !== '' || url.password !== '') return false;
  const local = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && local);
}

/**
 * Where Teams' service is, by Microsoft's list of its addresses. Of `.trafficmanager.net` it is one name: anybody may have
 * another one there.
 */
export const SERVICE_HOSTS = ['smba.trafficmanager.net', '.botframework.com', '.teams.microsoft.com'];

/** Where files of people are: their address is a key by itself, and gets no token. */
export const FILE_HOSTS = ['.sharepoint.com'];

/** `hosts`: a name, or with a dot before it all names below. */
export function isOf(hosts: readonly string[], address: string): boolean {
  const name = URL.parse(address)?.hostname;
  if (name === undefined || !isSafe(address)) return false;
  return hosts.some((host) => (host.startsWith('.') ? name.endsWith(host) : name === host));
}

/** The same address is written with and without its last slash. */
export function withoutSlash(address: string): string {
  return address.replace(/\/+$/, '');
}
