-- SPDX-License-Identifier: Apache-2.0

-- Times are microseconds since 1970.
CREATE TABLE gatehouse_approvals (
    id        TEXT    NOT NULL PRIMARY KEY CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 255),
    tenant    TEXT    NOT NULL,
    digest    BLOB    NOT NULL CHECK (length(digest) = 32),
    subject   TEXT    NOT NULL, -- gatehouse.Key, like actor
    actor     TEXT    NOT NULL,
    tool      TEXT    NOT NULL,
    version   TEXT    NOT NULL,
    arguments TEXT    NOT NULL, -- RFC 8785
    consent   INTEGER NOT NULL,
    roles     TEXT    NOT NULL, -- each between two line feeds
    needed    INTEGER NOT NULL, -- persons who must approve, 0 for 1
    created   INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    used      INTEGER,
    state     TEXT    NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'used')),
    approved  INTEGER NOT NULL, -- persons who have approved
    decisions TEXT    NOT NULL  -- lines: key of the decider, approve or deny, reason in URL encoding, microseconds since 1970
) STRICT;

-- A call has one approval that waits or can be used.
CREATE UNIQUE INDEX gatehouse_approvals_open ON gatehouse_approvals (digest) WHERE state IN ('pending', 'approved');
CREATE INDEX gatehouse_approvals_denied ON gatehouse_approvals (digest) WHERE state = 'denied';
CREATE INDEX gatehouse_approvals_pending ON gatehouse_approvals (tenant, created) WHERE state = 'pending';
CREATE INDEX gatehouse_approvals_actor ON gatehouse_approvals (tenant, actor) WHERE state = 'pending';
CREATE INDEX gatehouse_approvals_expires ON gatehouse_approvals (expires);

-- Each insert removes up to ten rows that expired an hour ago, so that the table does
-- not grow.
CREATE TRIGGER gatehouse_approvals_added AFTER INSERT ON gatehouse_approvals
BEGIN
    DELETE FROM gatehouse_approvals WHERE id IN (
        SELECT id FROM gatehouse_approvals
        WHERE expires <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 - 3600000000 ORDER BY expires LIMIT 10
    );
END;
