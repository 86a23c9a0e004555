import { readFileSync } from 'node:fs';
import type { Paths } from '../../src/base/paths.ts';
import type { SecretTerms } from '../../src/protocol/secrets.ts';
import type { Reply } from './gateway_process.ts';
import { TokenService } from './token_service.ts';
import { askService } from './tunnel.ts';
import { namesEnv, TestAuthority, Upstream } from './upstream.ts';

/** A service on the internet, and beside it the token service that has to be asked first: `GET /items`, `POST /token`; a person before `GET /held`. */
export class TokenPlace {
  readonly #authority = new TestAuthority();
  readonly #service = new Upstream('api.example.org', this.#authority);
  readonly #tokens = new TokenService();

  async listen(): Promise<void> {
    this.#service.handler = (request, response, received) =>
      request.method === 'POST' ? this.#tokens.handler(request, response, received) : void response.end('items');
    await this.#service.listen();
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  /** Of a gateway that is to find it. */
  get env(): NodeJS.ProcessEnv {
    return namesEnv({ [this.#service.host]: ['127.0.0.1'] });
  }

  /** A line of `glass.yaml`: its certificate is believed. */
  config(folder: string): string {
    return `upstream_ca: ${this.#authority.write(folder)}\n`;
  }

  /** Of a group's file, which may use the secret `service` there. */
  get group(): string {
    const { host, port } = this.#service;
    return `secrets: [service]
egress: {items: {host: ${host}, port: ${port}, private: [127.0.0.0/8], allow: [GET /items], approve: [GET /held], use: service}}
`;
  }

  get secret(): { name: string; value: string; terms: SecretTerms } {
    const { place } = this.#service;
    const form = { kind: 'oauth2', token_url: `https://${place}/token` } as const;
    return { name: 'service', value: JSON.stringify(this.#tokens.credentials), terms: { form, hosts: [place] } };
  }

  /** `host:port`. */
  get place(): string {
    return this.#service.place;
  }

  /** A request out of a sandbox. */
  ask(egress: string, { caCertificate }: Paths): Promise<Reply> {
    return askService(egress, { ca: readFileSync(caCertificate, 'utf8'), place: this.#service.place }, '/items');
  }
}
