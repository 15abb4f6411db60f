-- SPDX-License-Identifier: Apache-2.0

-- Times are microseconds since 1970.
CREATE TABLE gatehouse_revocations (
    issuer  TEXT    NOT NULL,
    kind    TEXT    NOT NULL, -- jti, sub, client_id or sid
    value   TEXT    NOT NULL,
    revoked INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (issuer, kind, value)
) STRICT, WITHOUT ROWID;

CREATE INDEX gatehouse_revocations_expires ON gatehouse_revocations (expires);

CREATE TRIGGER gatehouse_revocations_added AFTER INSERT ON gatehouse_revocations
BEGIN
    DELETE FROM gatehouse_revocations WHERE (issuer, kind, value) IN (
        SELECT issuer, kind, value FROM gatehouse_revocations
        WHERE expires <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 ORDER BY expires LIMIT 10
    );
END;
