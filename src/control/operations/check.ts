import { z } from 'zod';
import { NOTHING, type Operation, value } from './operation.ts';

const INPUTS = {
  group: z.strictObject({ port: z.int().min(1).max(65_535) }),
};

/** What `glass check` has the host make for its experiments, and take away again. */
export const CHECK: readonly Operation[] = [
  {
    name: 'check_group',
    summary: 'the throw-away group of a check, whose model is at a port of this machine',
    input: INPUTS.group,
    handle: async ({ throwAways }, { port }: z.infer<typeof INPUTS.group>) => value(await throwAways.make(port)),
  },
  {
    name: 'check_clear',
    summary: 'remove what a check has made',
    input: NOTHING,
    handle: async ({ throwAways }) => value({ removed: await throwAways.remove() }),
  },
];
