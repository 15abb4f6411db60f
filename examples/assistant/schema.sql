-- SPDX-License-Identifier: Apache-2.0

-- The tenant is in every key, so that no key tells what another tenant has. The
-- statements that separate the rows are added by the program.

CREATE TABLE conversations (
    tenant text COLLATE "C",
    id     text COLLATE "C",
    title  text NOT NULL,
    begun  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, id)
);

CREATE TABLE messages (
    tenant       text COLLATE "C",
    conversation text COLLATE "C" NOT NULL,
    number       bigint GENERATED ALWAYS AS IDENTITY,
    author       text NOT NULL,
    content      text NOT NULL,
    PRIMARY KEY (tenant, conversation, number),
    FOREIGN KEY (tenant, conversation) REFERENCES conversations (tenant, id) ON DELETE CASCADE
);

CREATE TABLE documents (
    tenant  text COLLATE "C",
    title   text NOT NULL,
    content text NOT NULL,
    PRIMARY KEY (tenant, title)
);

CREATE TABLE models (
    tenant text COLLATE "C",
    name   text NOT NULL,
    PRIMARY KEY (tenant, name)
);
