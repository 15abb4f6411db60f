-- SPDX-License-Identifier: Apache-2.0

-- Each insert removes up to ten keys that expired more than 90 days ago
-- (apikey.Retention), so that the table does not grow.
CREATE INDEX gatehouse_apikeys_expires ON gatehouse_apikeys (expires);

CREATE TRIGGER gatehouse_apikeys_added AFTER INSERT ON gatehouse_apikeys
BEGIN
    DELETE FROM gatehouse_apikeys WHERE id IN (
        SELECT id FROM gatehouse_apikeys
        WHERE expires <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 - 7776000000000 ORDER BY expires LIMIT 10
    );
END;
