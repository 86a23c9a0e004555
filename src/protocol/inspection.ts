import { z } from 'zod';
import { OBSERVATION_BYTES_MAX, OBSERVATION_KEY_BYTES_MAX } from '../base/limits/sandbox.ts';

/**
 * What the self-check's observer in a sandbox is told, and what it answers: one JSON line for each attempt. The observer
 * only says what happened; what should have happened it is not told, and the host judges.
 */

/** One system call by its number: Perl makes them, for Node cannot. */
export interface RawCall {
  key: string;
  number: number;
  /** Numbers, or strings that are passed by address. */
  args: readonly (number | string)[];
}

/** One attempt to reach something; the key of the observation is `dial.<name>`. */
export interface Dial {
  name: string;
  kind: 'tcp' | 'udp' | 'unix' | 'abstract' | 'name';
  /** An address, a path or a name. */
  to: string;
  /** For `tcp` and `udp`. */
  port: number;
}

/** What one run of the observer does: everything but exhaustion, or one way to exhaust a limit. */
export type InspectionPart = 'attempts' | 'processes' | 'memory' | 'files';

export interface InspectionTask {
  part: InspectionPart;
  /** Stands in every line: other output of the sandbox cannot be taken for one. */
  nonce: string;
  calls: RawCall[];
  dials: Dial[];
  /** A socket of the host's that must answer with `answer`. */
  control: { path: string; answer: string };
  /** Existing paths that are opened for writing, and closed again. */
  opens: string[];
  /** Existing paths whose mode is set to what it is: a read-only mount refuses before anybody asks for the owner. */
  touches: string[];
  /** Paths of the host that must not be there. */
  absent: { name: string; path: string }[];
  /** Paths whose space is measured. */
  sizes: string[];
  /** Folders that must take a file, and folders or files that must be readable. */
  writes: string[];
  reads: string[];
  /** Where a link out of the sandbox would lead, and files that a hard link would carry into the workspace. */
  escape: { folder: string; symlinkTo: string; hardlinks: string[] };
  /** For the parts that exhaust: where to stop when nothing else does. */
  ceiling: { processes: number; bytes: number; files: number };
}

export const observationSchema = z.union([
  z.strictObject({
    nonce: z.string().max(OBSERVATION_KEY_BYTES_MAX),
    key: z.string().max(OBSERVATION_KEY_BYTES_MAX),
    value: z.string().max(OBSERVATION_BYTES_MAX),
  }),
  /** It could not be tried. */
  z.strictObject({
    nonce: z.string().max(OBSERVATION_KEY_BYTES_MAX),
    key: z.string().max(OBSERVATION_KEY_BYTES_MAX),
    not_run: z.string().max(OBSERVATION_KEY_BYTES_MAX),
  }),
]);
export type ObservationLine = z.infer<typeof observationSchema>;
