// SPDX-License-Identifier: Apache-2.0

package tenant_test

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// One function builds the keys of caches and locks, the names of objects and those of
// vector indexes.
func ExampleNamespace() {
	// In a handler behind a gate, or in a job that names its tenant.
	ctx := gatehouse.NewContext(context.Background(), gatehouse.Principal{Method: "api_key", Tenant: "acme"})
	acme, err := tenant.Of(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(acme.Key("conversation", "42"))
	name, err := acme.Blob("models/tuned.bin")
	fmt.Println(name, err)
	fmt.Println(len(acme.Index("documents")))

	if _, err := tenant.Of(context.Background()); err != nil {
		fmt.Println(err)
	}
	_, err = tenant.Job(ctx, "globex") // a job of another tenant
	fmt.Println(err)
	// Output:
	// t:acme:conversation:42
	// tenants/acme/models/tuned.bin <nil>
	// 45
	// tenant: the context has no tenant: a background job must name one with tenant.Job
	// gatehouse: access_denied (tenant_mismatch)
}

// A migration protects a table, the program checks at start that none was forgotten,
// and a query needs no condition for the tenant.
func ExampleTx() {
	migration := `
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, tenant text, body text NOT NULL, PRIMARY KEY (tenant, id));
` + tenant.Protect("notes", "tenant") + `
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app;`
	_ = migration // as the owner of the tables

	_ = func(ctx context.Context, db *sql.DB) (bodies []string, err error) { // as the role app
		if err := tenant.CheckRows(ctx, db); err != nil {
			return nil, err // at start
		}
		err = tenant.Tx(ctx, db, nil, func(tx *sql.Tx) error {
			rows, err := tx.QueryContext(ctx, "SELECT body FROM notes")
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var body string
				if err := rows.Scan(&body); err != nil {
					return err
				}
				bodies = append(bodies, body)
			}
			return rows.Err()
		})
		return bodies, err
	}
	// Output:
}
