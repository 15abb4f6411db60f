// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// CheckRows returns an error that lists everything in a PostgreSQL database through
// which the role of db could see or change rows of other tenants: tables and partitions
// without row-level security, without FORCE, without a policy, or with a permissive
// policy that does not compare with [Setting]; views without security_invoker,
// materialized views and foreign tables; functions that are SECURITY DEFINER; and a
// role that is a superuser, has BYPASSRLS, owns a table, or may TRUNCATE one.
//
// It looks at all schemas but those of PostgreSQL, and leaves out the tables, views and
// functions in shared, which are the same for all tenants, such as "public.countries".
// Call it at start, so that a table that a migration forgot to protect stops the
// program. It does not check what a function or a trigger does, and whether every key
// contains the tenant.
func CheckRows(ctx context.Context, db *sql.DB, shared ...string) error {
	rows, err := db.QueryContext(ctx, findings)
	if err != nil {
		return fmt.Errorf("tenant: check rows: %w", err)
	}
	defer rows.Close()
	var errs []error
	for rows.Next() {
		var object, problem string
		if err := rows.Scan(&object, &problem); err != nil {
			return fmt.Errorf("tenant: check rows: %w", err)
		}
		if !slices.Contains(shared, object) {
			errs = append(errs, fmt.Errorf("tenant: %s: %s", object, problem))
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("tenant: check rows: %w", err)
	}
	return errors.Join(errs...)
}

// findings selects objects, and the problem of each.
const findings = `
WITH objects AS (
	SELECT c.*, n.nspname || '.' || c.relname AS object
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%'
), tables AS (SELECT * FROM objects WHERE relkind IN ('r', 'p')),
role AS (SELECT * FROM pg_roles WHERE rolname = current_user)
SELECT object, 'has no row-level security: see tenant.Protect' FROM tables WHERE NOT relrowsecurity
UNION ALL
SELECT object, 'does not force row-level security, so that its owner sees all rows' FROM tables WHERE relrowsecurity AND NOT relforcerowsecurity
UNION ALL
SELECT object, 'has no permissive policy for tenants' FROM tables
WHERE relrowsecurity AND NOT EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = tables.oid AND polpermissive)
UNION ALL
SELECT object, 'has the permissive policy ' || polname || ', which does not compare with ` + Setting + `'
FROM tables JOIN pg_policy ON polrelid = tables.oid
WHERE polpermissive AND (
	coalesce(pg_get_expr(polqual, polrelid), '` + Setting + `') NOT LIKE '%` + Setting + `%'
	OR coalesce(pg_get_expr(polwithcheck, polrelid), '` + Setting + `') NOT LIKE '%` + Setting + `%')
UNION ALL
SELECT object, 'is a view without security_invoker, which sees what its owner sees' FROM objects
WHERE relkind = 'v' AND NOT coalesce(reloptions && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes'], false)
UNION ALL
SELECT object, 'is a materialized view, to which policies do not apply' FROM objects WHERE relkind = 'm'
UNION ALL
SELECT object, 'is a foreign table, to which policies do not apply' FROM objects WHERE relkind = 'f'
UNION ALL
SELECT n.nspname || '.' || p.proname, 'is a function with SECURITY DEFINER, which sees what its owner sees'
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT object, 'the role may TRUNCATE it, to which policies do not apply' FROM tables WHERE has_table_privilege(current_user, oid, 'TRUNCATE')
UNION ALL
SELECT object, 'the role owns it and can change its policies' FROM tables WHERE pg_has_role(current_user, relowner, 'USAGE')
UNION ALL
SELECT 'role ' || rolname, 'is a superuser, to which policies do not apply' FROM role WHERE rolsuper
UNION ALL
SELECT 'role ' || rolname, 'has BYPASSRLS, so that policies do not apply to it' FROM role WHERE rolbypassrls
ORDER BY 1, 2`
