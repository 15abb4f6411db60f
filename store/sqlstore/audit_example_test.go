// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// Audit records of several processes in one table, sealed with a secret. A job on another
// machine signs them at intervals and keeps the checkpoints. In a program the secret comes
// from gatehouse.LoadSecret, and the key of the job from audit.LoadKey.
func Example_audit() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example") // in production a persistent one, such as /var/lib/acme
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "audit.db")))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	store, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	if err := store.Check(ctx); err != nil {
		log.Fatal(err)
	}

	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		log.Fatal(err)
	}
	seal, err := audit.NewSealer("api.example.com/audit", gatehouse.NewSecret(secret))
	if err != nil {
		log.Fatal(err)
	}
	recorder, err := audit.NewRecorder(store.Audit(seal), 0) // the observer of gatehouse.Config
	if err != nil {
		log.Fatal(err)
	}
	for _, subject := range []string{"alice", "bob"} {
		e := gatehouse.Event{Type: "report_deleted", Principal: gatehouse.Principal{Subject: subject}}
		if err := recorder.Observe(ctx, e); err != nil {
			log.Fatal(err)
		}
	}
	_, err = db.ExecContext(ctx, "DELETE FROM gatehouse_audit WHERE seq = 1")
	fmt.Println("deleted:", err == nil)

	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	checkpoint, err := audit.SignRecords(store.Audit(seal).Records(ctx), seal, private)
	if err != nil {
		log.Fatal(err)
	}
	records, signed, err := audit.VerifyRecords(store.Audit(seal).Records(ctx), seal, public, checkpoint)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(records, "records,", signed, "signed")
	// Output:
	// deleted: false
	// 2 records, 2 signed
}
