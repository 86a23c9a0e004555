import { after, afterEach, before } from 'node:test';
import { Install } from './install.ts';
import { type FakeModel, startModel } from './model.ts';

export interface ModelInstall {
  install: Install;
  /** There from the first test on. */
  model: FakeModel;
  /** A `group.yaml` whose harness asks that model. */
  yaml(harness: 'native' | 'claude'): string;
}

/** An install with a credential, beside a scripted model: made before a file's tests, whose first group is the probe, and ended after them. */
export function modelInstall(): ModelInstall {
  const install = new Install();
  const made = {
    install,
    yaml: (harness: string) =>
      `harness: ${harness}\nmodel: {provider: anthropic, name: scripted, upstream: "${made.model.origin}", secret: anthropic}\n`,
  } as ModelInstall;
  before(async () => {
    made.model = await startModel();
    install.group('assistant', 'harness: probe\n');
    await install.start();
    await install.secret('anthropic', 'fake-secret-value');
  });
  afterEach((context) => install.explain(context));
  after(async () => {
    await install.stop();
    await made.model.close();
  });
  return made;
}
