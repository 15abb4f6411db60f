-- SPDX-License-Identifier: Apache-2.0

-- One row for each account at a provider. The credentials in data are sealed.
CREATE TABLE gatehouse_upstreams (
    name     text COLLATE "C" PRIMARY KEY,
    revision bigint           NOT NULL,
    data     bytea            NOT NULL
);
