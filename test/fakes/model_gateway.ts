import { after, beforeEach } from 'node:test';
import type { LineClient } from '../../src/protocol/lines_client.ts';
import { GatewayProcess } from './gateway_process.ts';
import { echoScript, type FakeModel, startModel } from './model.ts';

export const MODEL_SECRET = 'fake-secret-for-the-model';
export const MESSAGES = '/model/default/v1/messages';
export const HELLO = JSON.stringify({
  model: 'fake-model',
  max_tokens: 9,
  messages: [{ role: 'user', content: 'hello' }],
});

/** For a file of tests: a gateway process with the model's secret, its host, and a scripted endpoint that each test finds as new. */
export class ModelGateway {
  readonly gateway = new GatewayProcess();
  /** Since the beginning of the test. */
  readonly events: { kind?: string; subject?: string; text?: string }[] = [];
  #model: FakeModel | null = null;
  #host: LineClient | null = null;
  #sessions = 100;

  /** Resolves when it serves; ends with the file. */
  static async start(): Promise<ModelGateway> {
    const made = new ModelGateway();
    await made.#start();
    return made;
  }

  private constructor() {
    after(async () => {
      await this.gateway.dispose();
      await this.#model?.close();
    });
    beforeEach(() => {
      this.model.requests.length = 0;
      this.model.mode = 'ok';
      this.model.script = echoScript;
      this.events.length = 0;
    });
  }

  get model(): FakeModel {
    return this.#model!;
  }

  get host(): LineClient {
    return this.#host!;
  }

  /** Kills it, and starts it again with another host. */
  async restart(): Promise<void> {
    await this.gateway.end('SIGKILL');
    await this.gateway.start();
    await this.#connect();
  }

  /** Opens a session of a group; `lines` of its file, the first of them those of the model. */
  async open(group: string, lines?: string, id?: string): Promise<{ id: string; socket: string }> {
    const yaml = lines ?? `model: {upstream: "${this.model.origin}"}\n`;
    const session = id ?? `s${++this.#sessions}`;
    return { id: session, socket: await this.gateway.open(this.host, session, group, this.gateway.group(group, yaml)) };
  }

  async #start(): Promise<void> {
    this.#model = await startModel();
    await this.gateway.start();
    await this.gateway.setSecret('anthropic', MODEL_SECRET);
    await this.#connect();
  }

  async #connect(): Promise<void> {
    this.#host = await this.gateway.host((event) => this.events.push(event as object));
  }
}
