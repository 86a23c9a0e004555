import { z } from 'zod';
import type { ChannelKind } from '../kind.ts';
import { POLL_S, POLL_S_MAX, REPOS_MAX, TEXT_CHARS_MAX } from './limits.ts';
import { type MessageKind, showMessage } from './places.ts';

const settings = z
  .strictObject({
    /** `owner/name` each. */
    repos: z
      .array(z.string().regex(/^[A-Za-z\d][A-Za-z\d-]{0,38}\/(?!\.{1,2}$)[\w.-]{1,100}$/, 'must be owner/name'))
      .min(1)
      .max(REPOS_MAX)
      .refine((repos) => new Set(repos.map((each) => each.toLowerCase())).size === repos.length, 'names one twice'),
    /** What people write after `@`; absent: the name of our own account. */
    mention: z
      .string()
      .regex(/^[A-Za-z\d][A-Za-z\d-]{0,38}$/, 'must be a name as GitHub has them, without @')
      .optional(),
    poll_s: z.number().positive().max(POLL_S_MAX).default(POLL_S),
    /** Root of the REST API of a GitHub of one's own. The token goes there, so plain HTTP stays on this machine. */
    api: z.string().refine(isSafe, 'must be an https address, or http on this machine').optional(),
    /** Of a GitHub App, which has the secret `key`; absent: the secret `token` is used. */
    app_id: z.int().positive().optional(),
    installation_id: z.int().positive().optional(),
    /** GitHub calls us when there is news. Polling goes on: GitHub does not repeat a call that failed. */
    webhook: z.boolean().default(false),
    /** True: people without write access are passed on too. */
    public: z.boolean().default(false),
  })
  .refine(({ app_id, installation_id }) => app_id !== undefined || installation_id === undefined, {
    message: 'goes together with installation_id',
    path: ['app_id'],
  })
  .refine(({ app_id, installation_id }) => app_id === undefined || installation_id !== undefined, {
    message: 'goes together with app_id',
    path: ['installation_id'],
  });

function isSafe(address: string): boolean {
  const url = URL.parse(address);
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '') return false;
  const local = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && local);
}

/** What stands after the `#` of a link, before the id. */
const FRAGMENTS = new Map<string, MessageKind>([
  ['issuecomment-', 'comment'],
  ['discussion_r', 'review_comment'],
  ['pullrequestreview-', 'review'],
]);

export type GitHubSettings = z.infer<typeof settings>;

export const github: ChannelKind = {
  kind: 'github',
  driver: new URL('./driver.ts', import.meta.url),
  title: 'GitHub',
  summary: 'issues and pull requests of some repositories, with comments and reviews',
  settings,
  asks: {
    repos: 'the repositories, owner/name each, with commas between them',
    app_id: 'the App ID, a number on the page of the app',
    installation_id: 'the number at the end of the installation’s address',
  },
  secrets: [
    {
      name: 'token',
      prompt: 'the fine-grained personal access token of the account that is to answer',
      looks: { like: /^gh[a-z]_\w{20,255}$|^github_pat_\w{20,255}$/, hint: 'it begins with github_pat_' },
      optional: (given) => given['app_id'] !== undefined,
    },
    {
      name: 'key',
      prompt: 'the private key of the app (a .pem file)',
      file: true,
      looks: {
        like: /^-----BEGIN (RSA )?PRIVATE KEY-----[\s\S]+-----END (RSA )?PRIVATE KEY-----\s*$/,
        hint: 'it begins with -----BEGIN RSA PRIVATE KEY-----',
      },
      optional: (given) => given['app_id'] === undefined,
    },
    {
      name: 'webhook',
      prompt: 'the secret that you have entered at the webhook',
      looks: { like: /^\S{16,255}$/, hint: 'make it at least 16 characters long, without spaces' },
      optional: (given) => given['webhook'] !== true,
    },
  ],
  person: {
    prompt: 'your own number on GitHub, the "id" in https://api.github.com/users/<login>',
    looks: { like: /^\d{1,15}$/, hint: 'it is a number: a name could be another’s one day' },
  },
  packages_mb: 7,
  webhook: 'optional',
  capabilities: () => ({
    markup: 'github',
    text_max: TEXT_CHARS_MAX,
    file_bytes_max: 0,
    edits: true,
    // Writes count, some eighty a minute and five hundred an hour, for the answers of all.
    edit_every_ms: 10_000,
    reactions: true,
    threads: true,
    missed: 'all',
    no_direct: 'owner/name#12',
  }),
  // Any host: a company may have a GitHub of its own. The link to an issue itself does not say the id.
  messageOfLink: ({ pathname, hash }) => {
    const [, named = '', id] = /^#(\D+)(\d{1,16})$/.exec(hash) ?? [];
    const kind = FRAGMENTS.get(named);
    if (kind === undefined || !/^\/[\w.-]+\/[\w.-]+\/(issues|pull)\/\d{1,10}(\/|$)/.test(pathname)) return null;
    return { platform_id: showMessage(kind, Number(id)), chat: null };
  },
  steps: ({ name, settings: given }) => [
    ...(given['app_id'] === undefined
      ? [
          'Make a GitHub account for the agent, and give it write access to the repositories: what it says stands under its name.',
          'As that account open https://github.com/settings/personal-access-tokens/new, and choose those repositories alone.',
          'Repository permissions: "Issues" and "Pull requests" read and write, "Metadata" read. Nothing else.',
          'To be a GitHub App instead, make one as docs/channels/github.md says, and begin again with --set app_id=<its App ID>.',
        ]
      : [
          'Open https://github.com/settings/apps/new. Permissions: "Issues" and "Pull requests" read and write, "Metadata" read. Nothing else. Its page has the App ID (app_id).',
          'Install the app in the repositories of this channel alone; the number at the end of the installation’s address is the installation_id.',
          'Under "Private keys" generate one: it is a .pem file. Bring it to this machine; its path is asked for below, and then it can go.',
        ]),
    ...(given['webhook'] === true
      ? [
          'At the webhook: content type application/json, a secret, and the events Issues, Issue comments, Pull requests, Pull request reviews, Pull request review comments.',
        ]
      : []),
    `Each other person who may talk to the agent is added by hand: "glass people add <name> ${name} <id> --role member --group <group>", with the number from https://api.github.com/users/<login>.`,
  ],
};
