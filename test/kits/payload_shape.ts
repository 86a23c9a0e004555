/** Places in JSON values with their types, one a line: `event.files[].size: number`. */
export function shapeOf(values: readonly unknown[]): Set<string> {
  const found = new Set<string>();
  for (const value of values) walk(JSON.parse(JSON.stringify(value)), '', found);
  return found;
}

function walk(value: unknown, path: string, found: Set<string>): void {
  if (path !== '') found.add(`${path}: ${typeOf(value)}`);
  if (Array.isArray(value)) for (const each of value) walk(each, `${path}[]`, found);
  else if (value !== null && typeof value === 'object')
    for (const [name, inner] of Object.entries(value)) walk(inner, path === '' ? name : `${path}.${name}`, found);
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** What a vendor's reference says of fields, beside the payloads that it shows. Names stand for the ends of places: `user.avatar`. */
export interface Reference {
  /** Null, where a payload shows something. */
  nullable: readonly string[];
  /** Absent, with all below, where a payload shows them. */
  optional: readonly string[];
  /** In none of the payloads: the place with its type, and where it is documented. */
  besides: Readonly<Record<string, string>>;
}

/**
 * Where a fake and the documents differ: what it says that they do not have, and what of the first payload it leaves out. Others
 * are payloads of the same kind in other cases.
 */
export function differences(said: readonly unknown[], payloads: readonly unknown[], reference: Reference) {
  const [ours, theirs, first] = [shapeOf(said), shapeOf(payloads), shapeOf(payloads.slice(0, 1))];
  const isNull = (line: string): boolean => line.endsWith(': null') && ends(placeOf(line), reference.nullable);
  const undocumented = [...ours].filter(
    (line) => !theirs.has(line) && !isNull(line) && reference.besides[line] === undefined,
  );
  const mayLack = (line: string): boolean =>
    isNull(line) || above(placeOf(line)).some((place) => ours.has(`${place}: null`) || ends(place, reference.optional));
  return { undocumented, missing: [...first].filter((line) => !ours.has(line) && !mayLack(line)) };
}

function placeOf(line: string): string {
  return line.slice(0, line.lastIndexOf(': '));
}

/** With itself. */
function above(place: string): string[] {
  const names = place.split('.');
  return names.map((_, at) => names.slice(0, at + 1).join('.'));
}

function ends(place: string, names: readonly string[]): boolean {
  const places = [place, place.replace(/(?:\[\])+$/, '')];
  return names.some((name) => places.some((each) => each === name || each.endsWith(`.${name}`)));
}
