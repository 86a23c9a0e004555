/**
 * A small validator for hatch frames. The same checks run in the host and in every sandbox; there a schema library
 * would cost each sandbox 15 MB of memory and 35–50 ms of its cold start (docs/decisions/0002).
 * A shape refuses unknown keys and every value outside its bounds; it returns the reason, or null.
 */
export type Shape = (value: unknown) => string | null;

export const text =
  (bytesMax: number): Shape =>
  (value) => {
    if (typeof value !== 'string') return 'is not a text';
    // A UTF-16 unit is at most 3 UTF-8 bytes, so that most texts need no count.
    if (value.length * 3 <= bytesMax || Buffer.byteLength(value) <= bytesMax) return null;
    return `is longer than ${bytesMax} bytes`;
  };

export const integer =
  (min: number, max = Number.MAX_SAFE_INTEGER): Shape =>
  (value) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max
      ? null
      : `is not a whole number from ${min} to ${max}`;

export const flag: Shape = (value) => (typeof value === 'boolean' ? null : 'is not true or false');

export const oneOf =
  (...allowed: string[]): Shape =>
  (value) =>
    typeof value === 'string' && allowed.includes(value) ? null : `is none of ${allowed.join(', ')}`;

export const nullable =
  (shape: Shape): Shape =>
  (value) =>
    value === null ? null : shape(value);

export const list =
  (item: Shape, max: number): Shape =>
  (value) => {
    if (!Array.isArray(value)) return 'is not a list';
    if (value.length > max) return `has more than ${max} items`;
    return firstProblem(value.map((entry, index) => [`[${index}]`, item(entry)]));
  };

/** Any JSON value up to a size; for inputs that another schema reads later. */
export const json =
  (bytesMax: number): Shape =>
  (value) => {
    const encoded = JSON.stringify(value);
    return encoded !== undefined && Buffer.byteLength(encoded) <= bytesMax ? null : `is larger than ${bytesMax} bytes`;
  };

export const record =
  (fields: Record<string, Shape>): Shape =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is not an object';
    for (const key of Object.keys(value))
      if (!Object.hasOwn(fields, key)) return `has an unknown key "${key.slice(0, 40)}"`;
    return firstProblem(
      Object.entries(fields).map(([key, shape]) => [`.${key}`, shape((value as Record<string, unknown>)[key])]),
    );
  };

function firstProblem(results: [string, string | null][]): string | null {
  const found = results.find(([, problem]) => problem !== null);
  return found === undefined ? null : `${found[0]} ${found[1]}`;
}
