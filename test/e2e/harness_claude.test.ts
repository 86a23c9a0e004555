import { requireHarness } from '../kits/harness_bench.ts';
import { harnessFilesKit } from '../kits/harness_files.ts';
import type { ModelSubject } from '../kits/harness_kit.ts';
import { harnessKit } from '../kits/harness_kit.ts';
import { harnessModelKit } from '../kits/harness_model_kit.ts';

await requireHarness('claude');
const { createClaude } = await import('../../sandbox/harnesses/claude/claude.ts');

const shell = (command: string): string => `tool Bash ${JSON.stringify({ command })}`;

const subject: ModelSubject = {
  name: 'claude',
  create: (options) => createClaude(options, 1000), // so that the processes of past tests are gone
  url: (model) => model.origin,
  requestBytesMax: 25 * 1024,
  shell,
  documents: true,
  words: {
    send: (text) => `tool mcp__glass__send_message ${JSON.stringify({ text })}`,
    ask: (question, options) => `tool mcp__glass__ask ${JSON.stringify({ question, options })}`,
    busy: (seconds) => shell(`sleep ${seconds}; touch busy-ended`),
    recall: (texts) => ({ text: 'recall', expect: `[${texts.join(' ')}]` }),
  },
};
harnessKit(subject);
harnessModelKit(subject);
harnessFilesKit(subject);
