-- What was applied of each group.yaml; the newest row of a group is in force. The object also lies in authorities/, under its hash.
CREATE TABLE authorities (
  id         INTEGER PRIMARY KEY,
  group_name TEXT NOT NULL REFERENCES groups (name),
  hash       TEXT NOT NULL,             -- of the exact object that was shown and applied
  object     TEXT NOT NULL,
  image      TEXT,                      -- what its system files come from, by digest or path; NULL: the host's own
  controls   TEXT NOT NULL,             -- JSON list: which limits held, and how, on this machine when it was applied
  applied_by TEXT NOT NULL,
  applied_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX authorities_group ON authorities (group_name, id);
