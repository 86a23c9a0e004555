import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInstalled } from '../../src/sessions/harnesses.ts';
import { modelInstall } from '../fakes/model_install.ts';
import { Terminal } from '../fakes/terminal.ts';

/** How much a model is to think is the group's to say, and a person sees it change before it does. */

const world = modelInstall();
const { install } = world;

for (const harness of ['native', 'claude'] as const)
  test(`the effort of a group’s file is in what the model is asked by ${harness}, once it was applied`, async (context) => {
    if (!isInstalled(install.paths.root, harness)) return context.skip(`${harness} is not installed`);
    const yaml = world.yaml(harness).replace('name: scripted', 'name: claude-sonnet-5');
    await install.change('assistant', yaml);
    const chat = await Terminal.open(install.control, `effort-${harness}`);
    const asked = async (words: string): Promise<string | undefined> => {
      await chat.say(words);
      await chat.hears(new RegExp(`^echo: [\\s\\S]*${words}`), 60_000);
      const { body } = world.model.requests.findLast((request) => request.body.includes(words))!;
      return (JSON.parse(body) as { output_config?: { effort?: string } }).output_config?.effort;
    };
    assert.notEqual(await asked('good morning'), 'low');
    install.group('assistant', yaml.replace('{', '{effort: low, '));
    assert.match(install.glass('group', 'plan', 'assistant').stdout, /claude-sonnet-5 with low effort at /);
    await install.change('assistant', yaml.replace('{', '{effort: low, '));
    assert.equal(await asked('good evening'), 'low');
  });
