-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE gatehouse_audit (
    seq    INTEGER NOT NULL PRIMARY KEY, -- from 0, without gaps
    record TEXT    NOT NULL              -- JSON with the same number and a seal, kept byte by byte
) STRICT;

-- REPLACE removes a row without the trigger for DELETE, so only the next number can be
-- inserted.
CREATE TRIGGER gatehouse_audit_inserted BEFORE INSERT ON gatehouse_audit
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq) + 1, 0) FROM gatehouse_audit)
BEGIN
    SELECT RAISE(ABORT, 'gatehouse_audit is append-only');
END;

CREATE TRIGGER gatehouse_audit_updated BEFORE UPDATE ON gatehouse_audit
BEGIN
    SELECT RAISE(ABORT, 'gatehouse_audit is append-only');
END;

CREATE TRIGGER gatehouse_audit_deleted BEFORE DELETE ON gatehouse_audit
BEGIN
    SELECT RAISE(ABORT, 'gatehouse_audit is append-only');
END;
