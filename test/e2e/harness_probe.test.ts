import { createProbe } from '../../sandbox/harnesses/probe/probe.ts';
import { harnessKit } from '../kits/harness_kit.ts';

harnessKit({
  name: 'probe',
  create: createProbe,
  url: () => 'http://127.0.0.1:9',
  words: {
    send: (text) => `send ${text}`,
    ask: (question, options) => `ask ${[question, ...options].join(' | ')}`,
    busy: (seconds) => `sleep ${seconds}`,
    recall: (texts) => ({ text: 'where', expect: `${texts.length} messages before this one` }),
  },
});
