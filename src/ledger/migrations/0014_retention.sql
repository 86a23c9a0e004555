-- When the bytes of a file were removed from blobs/; NULL: they are there. The row stays.
ALTER TABLE files ADD COLUMN gone_ms INTEGER;
ALTER TABLE outbound_files ADD COLUMN gone_ms INTEGER;
CREATE INDEX files_kept ON files (sha256, bytes) WHERE gone_ms IS NULL;
CREATE INDEX outbound_files_kept ON outbound_files (sha256, bytes) WHERE gone_ms IS NULL;

-- 1: a person has asked that the next turn begins with a summary of what was said before.
ALTER TABLE sessions ADD COLUMN compact INTEGER NOT NULL DEFAULT 0;
CREATE INDEX transcript_summary ON transcript (session_id, id) WHERE author = 'summary';
