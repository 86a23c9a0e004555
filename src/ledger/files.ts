import type { Db } from './db.ts';

/** A file that came with a message; its bytes are in `blobs/`. */
export interface FileFacts {
  /** Safe as the name of a file, and unique in its message. */
  name: string;
  type: string;
  bytes: number;
  sha256: string;
}

export interface FileRow extends FileFacts {
  message_id: number;
  /** When its bytes were removed; null: they are there. */
  gone_ms: number | null;
}

export function insertFiles(db: Db, messageId: number, files: FileFacts[]): void {
  if (files.length === 0) return;
  db.run(
    `INSERT INTO files (message_id, ordinal, name, type, bytes, sha256)
     SELECT ?, key, value ->> 'name', value ->> 'type', value ->> 'bytes', value ->> 'sha256' FROM json_each(?)`,
    messageId,
    JSON.stringify(files),
  );
}

export function filesOf(db: Db, messageId: number): FileRow[] {
  return db.all<FileRow>(
    'SELECT message_id, name, type, bytes, sha256, gone_ms FROM files WHERE message_id = ? ORDER BY ordinal',
    messageId,
  );
}
