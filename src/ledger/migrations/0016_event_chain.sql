-- The hops as a chain: the hash of each covers the one before it and all its columns (events.ts). NULL: from before there was a chain; the
-- first hash covers those.
ALTER TABLE events ADD COLUMN hash BLOB; -- SHA-256

-- Where the hops begin, once old days were removed. Signed by the gateway (protocol/chain.ts).
CREATE TABLE cut (
  one       INTEGER PRIMARY KEY CHECK (one = 1),
  day       TEXT NOT NULL,
  through   INTEGER NOT NULL,
  seq       INTEGER NOT NULL,
  hash      TEXT NOT NULL,
  count     INTEGER NOT NULL,
  signature TEXT NOT NULL
) STRICT;

-- Public keys that the gateway was seen to sign with. More than one: its vault was replaced.
CREATE TABLE signers (
  key     TEXT PRIMARY KEY,
  seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

DROP TRIGGER events_no_delete;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events WHEN old.id > coalesce((SELECT through FROM cut), 0)
BEGIN SELECT raise(ABORT, 'events are append-only'); END;
