// SPDX-License-Identifier: Apache-2.0

package sqlstore

// apikeySQL is what one engine is told. Each text but those of a list is one
// statement with its own placeholders; the texts of a list are put one behind
// the other, and a question mark in them stands for a value.
type apikeySQL struct {
	create, find, rotate, revoke, suspend, resume, touch string

	list, due, afterCreated, afterExpires string
	revokeAll, revokeAllLimit             string
}

// recordColumns are what scanRecord reads, but for the engine's now.
const recordColumns = ` id, owner, tenant, environment, scopes, networks, metadata, lifetime,
	created, rotated, expires, grace_ends, revoked, suspended, generation, last_used, uses,
	current_sum, current_pepper, previous_sum, previous_pepper, `

// apikeyPostgres.
//
// The clock is read once in each statement, and after the row is locked: one
// that had to wait for another would otherwise decide by a time before that
// one's. The locked row is then the newest, because READ COMMITTED evaluates
// the conditions and the new values of an UPDATE on the newest version of the
// row.
var apikeyPostgres = apikeySQL{
	create: `
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
INSERT INTO gatehouse_apikeys (id, owner, tenant, environment, scopes, networks, metadata, lifetime,
	created, rotated, expires, generation, uses, current_sum, current_pepper)
SELECT $1, $2, $3, $4, $5, $6, $7, $8::bigint,
	now, now, now + $8::bigint * interval '1 microsecond', 1, 0, $9::bytea, $10::bigint
FROM clock
RETURNING` + recordColumns + `created`,

	// The rows are read before the clock, so that nothing in them lies after it.
	find: `SELECT` + recordColumns + `clock_timestamp() FROM gatehouse_apikeys WHERE id = $1`,

	rotate: lockedPostgres + `
UPDATE gatehouse_apikeys SET
	previous_sum = current_sum,
	previous_pepper = current_pepper,
	grace_ends = least(expires, (SELECT now FROM clock) + $4::bigint * interval '1 microsecond'),
	current_sum = $2::bytea,
	current_pepper = $3::bigint,
	rotated = (SELECT now FROM clock),
	expires = (SELECT now FROM clock) + least(lifetime, $5::bigint) * interval '1 microsecond',
	generation = generation + 1
WHERE id = $1 AND revoked IS NULL AND expires > (SELECT now FROM clock) AND $6::bigint IN (0, generation)
RETURNING` + recordColumns + `(SELECT now FROM clock)`,

	revoke: lockedPostgres + `
UPDATE gatehouse_apikeys SET revoked = coalesce(revoked, (SELECT now FROM clock))
WHERE id = $1
RETURNING` + recordColumns + `(SELECT now FROM clock)`,

	suspend: lockedPostgres + `
UPDATE gatehouse_apikeys SET suspended = coalesce(suspended, (SELECT now FROM clock))
WHERE id = $1
RETURNING` + recordColumns + `(SELECT now FROM clock)`,

	resume: `
UPDATE gatehouse_apikeys SET suspended = NULL
WHERE id = $1
RETURNING` + recordColumns + `clock_timestamp()`,

	touch: lockedPostgres + `
UPDATE gatehouse_apikeys SET last_used = (SELECT now FROM clock), uses = uses + $2::bigint
WHERE id = $1 AND (last_used IS NULL OR last_used <= (SELECT now FROM clock) - $3::bigint * interval '1 microsecond')
RETURNING id`,

	list: `
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT` + recordColumns + `(SELECT now FROM clock) FROM gatehouse_apikeys
WHERE true`,
	due: ` AND revoked IS NULL AND expires > (SELECT now FROM clock)
	AND expires <= (SELECT now FROM clock) + ?::bigint * interval '1 microsecond'`,
	afterCreated: ` AND (created, id) > (timestamptz 'epoch' + ?::bigint * interval '1 microsecond', ?)`,
	afterExpires: ` AND (expires, id) > (timestamptz 'epoch' + ?::bigint * interval '1 microsecond', ?)`,

	// Those who revoke many take turns: each locks many rows in no fixed
	// order, and two could wait for each other. All other statements lock one
	// row and wait for no other. The number is "gh-revok" in ASCII.
	revokeAll: `
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(7451255552836267883)),
doomed AS MATERIALIZED (
	SELECT id FROM gatehouse_apikeys
	WHERE revoked IS NULL AND EXISTS (SELECT FROM turn)`,
	revokeAllLimit: `
	LIMIT ? FOR UPDATE
),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM (SELECT count(*) FROM doomed) AS locked)
UPDATE gatehouse_apikeys SET revoked = (SELECT now FROM clock)
WHERE id IN (SELECT id FROM doomed)
RETURNING` + recordColumns + `(SELECT now FROM clock)`,
}

// lockedPostgres waits for the lock on the record $1 and reads the clock then.
const lockedPostgres = `
WITH locked AS MATERIALIZED (SELECT id FROM gatehouse_apikeys WHERE id = $1 FOR UPDATE),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM locked)`

// nowSQLite is SQLite's clock, which stands still while a statement is carried
// out. A statement that writes holds the lock of the file before it reads the
// clock. It ticks in milliseconds.
const nowSQLite = `(CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000)`

var apikeySQLite = apikeySQL{
	create: `
INSERT INTO gatehouse_apikeys (id, owner, tenant, environment, scopes, networks, metadata, lifetime,
	created, rotated, expires, generation, uses, current_sum, current_pepper)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ` + nowSQLite + `, ` + nowSQLite + `, ` + nowSQLite + ` + ?8, 1, 0, ?9, ?10)
RETURNING` + recordColumns + `created`,

	find: `SELECT` + recordColumns + nowSQLite + ` FROM gatehouse_apikeys WHERE id = ?1`,

	rotate: `
UPDATE gatehouse_apikeys SET
	previous_sum = current_sum,
	previous_pepper = current_pepper,
	grace_ends = min(expires, ` + nowSQLite + ` + ?4),
	current_sum = ?2,
	current_pepper = ?3,
	rotated = ` + nowSQLite + `,
	expires = ` + nowSQLite + ` + min(lifetime, ?5),
	generation = generation + 1
WHERE id = ?1 AND revoked IS NULL AND expires > ` + nowSQLite + ` AND ?6 IN (0, generation)
RETURNING` + recordColumns + nowSQLite,

	revoke: `
UPDATE gatehouse_apikeys SET revoked = coalesce(revoked, ` + nowSQLite + `)
WHERE id = ?1
RETURNING` + recordColumns + nowSQLite,

	suspend: `
UPDATE gatehouse_apikeys SET suspended = coalesce(suspended, ` + nowSQLite + `)
WHERE id = ?1
RETURNING` + recordColumns + nowSQLite,

	resume: `
UPDATE gatehouse_apikeys SET suspended = NULL
WHERE id = ?1
RETURNING` + recordColumns + nowSQLite,

	touch: `
UPDATE gatehouse_apikeys SET last_used = ` + nowSQLite + `, uses = uses + ?2
WHERE id = ?1 AND (last_used IS NULL OR last_used <= ` + nowSQLite + ` - ?3)
RETURNING id`,

	list:         `SELECT` + recordColumns + nowSQLite + ` FROM gatehouse_apikeys WHERE true`,
	due:          ` AND revoked IS NULL AND expires > ` + nowSQLite + ` AND expires <= ` + nowSQLite + ` + ?`,
	afterCreated: ` AND (created, id) > (?, ?)`,
	afterExpires: ` AND (expires, id) > (?, ?)`,

	revokeAll: `
UPDATE gatehouse_apikeys SET revoked = ` + nowSQLite + `
WHERE id IN (
	SELECT id FROM gatehouse_apikeys WHERE revoked IS NULL`,
	revokeAllLimit: `
	LIMIT ?
)
RETURNING` + recordColumns + nowSQLite,
}
