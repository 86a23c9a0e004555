import assert from 'node:assert/strict';

/**
 * A reader of Prometheus' text format 0.0.4, as strict as its description: HELP and TYPE once and before the samples, families in one piece,
 * names, escapes and numbers as they must be, histograms whole.
 */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface ReadFamily {
  type: string;
  help: string;
  samples: Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LINE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

export function readExposition(text: string): Map<string, ReadFamily> {
  assert.ok(text.endsWith('\n'), 'the last line ends');
  const families = new Map<string, ReadFamily>();
  let open: { name: string; family: ReadFamily } | null = null;
  const seen = new Set<string>();
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const help = /^# HELP (\S+) (.*)$/.exec(line);
    if (help !== null) {
      assert.ok(!families.has(help[1]!), `${help[1]} comes twice`);
      open = { name: help[1]!, family: { type: '', help: help[2]!, samples: [] } };
      families.set(open.name, open.family);
      continue;
    }
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (type !== null) {
      assert.equal(type[1], open?.name);
      assert.equal(open!.family.samples.length, 0, `TYPE of ${type[1]} comes after its samples`);
      open!.family.type = type[2]!;
      continue;
    }
    const sample = sampleIn(line);
    assert.ok(open !== null && belongs(sample.name, open.name, open.family.type), `${line} stands below ${open?.name}`);
    const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    assert.ok(!seen.has(key), `${key} comes twice`);
    seen.add(key);
    open.family.samples.push(sample);
  }
  for (const [name, family] of families) if (family.type === 'histogram') checkHistogram(name, family.samples);
  return families;
}

function sampleIn(line: string): Sample {
  const [, name, inside = '', number] = LINE.exec(line) ?? assert.fail(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  for (LABEL.lastIndex = 0; LABEL.lastIndex < inside.length; ) {
    const [, label, value] = LABEL.exec(inside) ?? assert.fail(`no labels: ${line}`);
    assert.ok(!(label! in labels), `${label} comes twice: ${line}`);
    labels[label!] = value!.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c));
  }
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number);
  assert.ok(!Number.isNaN(value), `no number: ${line}`);
  return { name: name!, labels, value };
}

function belongs(sample: string, family: string, type: string): boolean {
  return type === 'histogram'
    ? [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(sample)
    : sample === family;
}

/** Buckets grow, the last one is +Inf and says what `_count` says. */
function checkHistogram(name: string, samples: Sample[]): void {
  const keyOf = ({ labels: { le: _, ...labels } }: Sample): string => JSON.stringify(Object.entries(labels).sort());
  for (const [key, all] of Object.entries(Object.groupBy(samples, keyOf))) {
    const buckets = all!.filter((sample) => sample.name === `${name}_bucket`).map((sample) => sample.value);
    const bounds = all!.filter((sample) => sample.name === `${name}_bucket`).map(({ labels }) => labels['le']!);
    assert.deepEqual(
      buckets,
      buckets.toSorted((a, b) => a - b),
      `buckets of ${name} ${key} shrink`,
    );
    assert.equal(bounds.at(-1), '+Inf');
    assert.equal(buckets.at(-1), all!.find((sample) => sample.name === `${name}_count`)?.value);
    assert.ok(all!.some((sample) => sample.name === `${name}_sum`));
  }
}
