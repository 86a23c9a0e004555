import { NOTHING, type Operation, value } from './operation.ts';

/** The install as a whole. */
export const INSTALL: readonly Operation[] = [
  {
    name: 'status',
    summary: 'what is going on, and what is wrong',
    input: NOTHING,
    handle: async (services) => value(await services.status()),
  },
  {
    name: 'stop',
    summary: 'end the host after the running turns',
    input: NOTHING,
    handle: async (services) => {
      services.stop();
      return value({ stopping: true });
    },
  },
];
