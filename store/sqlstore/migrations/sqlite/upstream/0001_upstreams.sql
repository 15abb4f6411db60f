-- SPDX-License-Identifier: Apache-2.0

-- One row for each account at a provider. The credentials in data are sealed.
CREATE TABLE gatehouse_upstreams (
    name     TEXT    NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    data     BLOB    NOT NULL
) STRICT;
