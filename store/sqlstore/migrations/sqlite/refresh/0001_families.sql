-- SPDX-License-Identifier: Apache-2.0

-- Times are microseconds since 1970.
CREATE TABLE gatehouse_families (
    id           TEXT    NOT NULL PRIMARY KEY CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 255),
    subject      TEXT    NOT NULL,
    client       TEXT    NOT NULL,
    tenant       TEXT    NOT NULL,
    scopes       TEXT    NOT NULL, -- RFC 6749 §3.3, sorted
    metadata     TEXT    NOT NULL, -- JSON, kept byte by byte
    auth_time    INTEGER,
    created      INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    rotated      INTEGER,
    grace_ends   INTEGER,
    revoked      INTEGER,
    generation   INTEGER NOT NULL,
    outcome      TEXT    NOT NULL, -- of the last rotation that was tried, "" before
    key_sum      BLOB    NOT NULL CHECK (length(key_sum) = 32),
    current_sum  BLOB    NOT NULL CHECK (length(current_sum) = 32),
    previous_sum BLOB    CHECK (length(previous_sum) = 32),
    successor    BLOB              -- sealed
) STRICT, WITHOUT ROWID;

CREATE INDEX gatehouse_families_subject ON gatehouse_families (subject, client) WHERE revoked IS NULL;
CREATE INDEX gatehouse_families_client ON gatehouse_families (client) WHERE revoked IS NULL;
CREATE INDEX gatehouse_families_expires ON gatehouse_families (expires);

-- Each insert removes up to ten expired rows, so that the table does not grow.
CREATE TRIGGER gatehouse_families_added AFTER INSERT ON gatehouse_families
BEGIN
    DELETE FROM gatehouse_families WHERE id IN (
        SELECT id FROM gatehouse_families
        WHERE expires <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 ORDER BY expires LIMIT 10
    );
END;
