-- SPDX-License-Identifier: Apache-2.0

-- Each insert removes up to ten keys that expired more than 90 days ago
-- (apikey.Retention), so that the table does not grow. Rows that another
-- transaction has locked are skipped.
--
-- The index of the keys that are due has those that are not revoked. The planner
-- would prefer an index of all keys to it, and sort.
CREATE INDEX gatehouse_apikeys_revoked ON gatehouse_apikeys (expires) WHERE revoked IS NOT NULL;

CREATE FUNCTION gatehouse_apikeys_sweep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM gatehouse_apikeys WHERE id IN (
        SELECT id FROM gatehouse_apikeys WHERE revoked IS NULL AND expires <= clock_timestamp() - interval '2160 hours'
        ORDER BY expires LIMIT 5 FOR UPDATE SKIP LOCKED
    );
    DELETE FROM gatehouse_apikeys WHERE id IN (
        SELECT id FROM gatehouse_apikeys WHERE revoked IS NOT NULL AND expires <= clock_timestamp() - interval '2160 hours'
        ORDER BY expires LIMIT 5 FOR UPDATE SKIP LOCKED
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER gatehouse_apikeys_added AFTER INSERT ON gatehouse_apikeys FOR EACH STATEMENT
    EXECUTE FUNCTION gatehouse_apikeys_sweep();
