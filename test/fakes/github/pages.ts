interface Item {
  id?: number;
  created_at?: string;
  updated_at?: string;
}

const PAGE_SIZE = 30;
const PAGE_SIZE_MAX = 100;

/** A list as GitHub gives it: what has changed since then, in an order, one page of it, and where the others are. */
export function pageOf(items: Item[], query: URLSearchParams, root: string) {
  const since = query.get('since');
  const field = query.get('sort') === 'updated' ? 'updated_at' : 'created_at';
  const backwards = query.get('direction') === 'desc';
  const known = items.filter((each) => since === null || (each.updated_at ?? since) >= since);
  // Lists that have no order to choose are in that of their ids.
  const sorted = known.toSorted((a, b) => compare(a, b, query.has('sort') ? field : null));
  if (backwards) sorted.reverse();
  const size = Math.min(Number(query.get('per_page') ?? PAGE_SIZE), PAGE_SIZE_MAX);
  const page = Number(query.get('page') ?? 1);
  const last = Math.max(1, Math.ceil(sorted.length / size));
  const link = (number: number, rel: string): string => {
    const there = new URLSearchParams(query);
    there.set('page', String(number));
    return `<${root}/list?${there}>; rel="${rel}"`;
  };
  const links = [
    ...(page > 1 ? [link(page - 1, 'prev')] : []),
    ...(page < last ? [link(page + 1, 'next'), link(last, 'last')] : []),
    ...(page > 1 ? [link(1, 'first')] : []),
  ];
  return {
    data: sorted.slice((page - 1) * size, page * size),
    headers: links.length === 0 ? {} : { link: links.join(', ') },
  };
}

function compare(a: Item, b: Item, field: 'created_at' | 'updated_at' | null): number {
  const [first, second] = field === null ? ['', ''] : [a[field] ?? '~', b[field] ?? '~'];
  return first < second ? -1 : first > second ? 1 : (a.id ?? 0) - (b.id ?? 0);
}
