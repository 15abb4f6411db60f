-- SPDX-License-Identifier: Apache-2.0

-- Times are microseconds since 1970.
CREATE TABLE gatehouse_replays (
    key     BLOB    NOT NULL PRIMARY KEY, -- 32 bytes, a hash
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX gatehouse_replays_expires ON gatehouse_replays (expires);

-- One key in 16 removes up to 64 expired ones: four times as many as are added.
CREATE TRIGGER gatehouse_replays_added AFTER INSERT ON gatehouse_replays WHEN random() & 15 = 0
BEGIN
    DELETE FROM gatehouse_replays WHERE key IN (
        SELECT key FROM gatehouse_replays
        WHERE expires <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 ORDER BY expires LIMIT 64
    );
END;
