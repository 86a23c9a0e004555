-- A file that leaves with a text (or instead of one). Its bytes are in blobs/, under their hash.
CREATE TABLE outbound_files (
  outbound_id INTEGER PRIMARY KEY REFERENCES outbound (id),
  name        TEXT NOT NULL,
  type        TEXT NOT NULL,
  bytes       INTEGER NOT NULL,
  sha256      TEXT NOT NULL
) STRICT;
