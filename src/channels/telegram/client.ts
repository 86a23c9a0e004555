import { Api } from 'grammy';
import { CALL_S } from './limits.ts';

const ROOT = 'https://api.telegram.org';

export interface Client {
  api: Api;
  /** Where a file's bytes are. It holds the token: nobody is shown it. */
  fileUrl(path: string): string;
}

/** No transformers: what repeats a call by itself would hide that the first one may have been done. */
export function clientOf(token: string, api: string | undefined): Client {
  const apiRoot = (api ?? ROOT).replace(/\/$/, '');
  return {
    api: new Api(token, { apiRoot, timeoutSeconds: CALL_S, sensitiveLogs: false }),
    fileUrl: (path) => `${apiRoot}/file/bot${token}/${path.split('/').map(encodeURIComponent).join('/')}`,
  };
}
