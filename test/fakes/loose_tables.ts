import type { DatabaseSync } from 'node:sqlite';

/** Tables of a database that take any type in any column; SQLite's own, and what a search index consists of, are not asked. */
export function looseTables(db: DatabaseSync): string[] {
  return db
    .prepare(
      "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .all()
    .map(({ name }) => String(name));
}
