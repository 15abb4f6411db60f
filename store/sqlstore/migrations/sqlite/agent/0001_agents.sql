-- SPDX-License-Identifier: Apache-2.0

-- Times are microseconds since 1970.
CREATE TABLE gatehouse_agents (
    id             TEXT    NOT NULL PRIMARY KEY CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 255),
    tenant         TEXT    NOT NULL,
    details        BLOB    NOT NULL, -- JSON, kept byte by byte
    generation     INTEGER NOT NULL,
    created        INTEGER NOT NULL,
    changed        INTEGER NOT NULL,
    decommissioned INTEGER
) STRICT;

CREATE INDEX gatehouse_agents_tenant ON gatehouse_agents (tenant, id);
