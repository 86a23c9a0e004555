/** Platform tools that write into a chat: each is one ordinal of its turn, and a turn that has called one may end without words. */
export const SENDS: ReadonlySet<string> = new Set(['send_message', 'send_file', 'react', 'card', 'ask']);
