-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE gatehouse_agents (
    id             text        COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 255),
    tenant         text        COLLATE "C" NOT NULL,
    details        bytea       NOT NULL, -- JSON, kept byte by byte
    generation     bigint      NOT NULL,
    created        timestamptz NOT NULL,
    changed        timestamptz NOT NULL,
    decommissioned timestamptz
);

CREATE INDEX gatehouse_agents_tenant ON gatehouse_agents (tenant, id);
