-- A trace begins at what a person has: the platform's name of a message, theirs or ours. What each costs a message: decision 0043.
CREATE INDEX messages_platform ON messages (platform_id) WHERE origin = 'platform';
CREATE INDEX outbound_receipt ON outbound (receipt) WHERE receipt IS NOT NULL;
