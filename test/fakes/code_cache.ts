import { join } from 'node:path';

/**
 * Environment of a process of the checkout at `root`: starting costs half of its processor time where compiled code is kept.
 * Its names are relative, and all copies of a checkout have the same `node_modules`: they share one cache, in which a file that
 * was changed is simply another one. Only a process that ends by itself, or by SIGTERM, adds to it.
 */
export function keptCodeOf(root: string): NodeJS.ProcessEnv {
  return { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/glass-tests'), NODE_COMPILE_CACHE_PORTABLE: '1' };
}
