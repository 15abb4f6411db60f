-- SPDX-License-Identifier: Apache-2.0

-- Times are microseconds since 1970. Large columns come last, so that the others can
-- be read without them.
CREATE TABLE gatehouse_sessions (
    id        TEXT    NOT NULL PRIMARY KEY CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 255), -- hashed
    issuer    TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    sid       TEXT    NOT NULL,
    label     TEXT    NOT NULL,
    idle      INTEGER NOT NULL, -- microseconds
    created   INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    ends      INTEGER NOT NULL, -- the earlier of expires and last_seen + idle
    swept     INTEGER NOT NULL, -- ends, rounded up to the hour
    claimed   INTEGER,
    version   INTEGER NOT NULL,
    principal TEXT    NOT NULL, -- JSON, kept byte by byte
    tokens    TEXT    NOT NULL  -- sealed
) STRICT;

CREATE INDEX gatehouse_sessions_subject ON gatehouse_sessions (issuer, subject);
CREATE INDEX gatehouse_sessions_sid ON gatehouse_sessions (issuer, sid);
CREATE INDEX gatehouse_sessions_swept ON gatehouse_sessions (swept);

-- Each insertion removes up to ten expired sessions.
CREATE TRIGGER gatehouse_sessions_made AFTER INSERT ON gatehouse_sessions BEGIN
    DELETE FROM gatehouse_sessions WHERE id IN (
        SELECT id FROM gatehouse_sessions
        WHERE swept <= unixepoch() * 1000000 AND id <> NEW.id
        ORDER BY swept LIMIT 10
    );
END;
