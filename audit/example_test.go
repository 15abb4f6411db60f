// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
)

// A gate refuses a request whose decision cannot be recorded. Decisions that let a
// request read public data may be lost. In a program the key comes from
// audit.LoadKey, with a reference such as "file:/etc/acme/audit-key.pem".
func Example() {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}

	path := filepath.Join(dir, "audit.jsonl")
	trail, err := audit.Open(audit.Config{
		Path:   path,
		Origin: "api.example.com/audit",
		Key:    private,
		BestEffort: func(e gatehouse.Event) bool {
			return e.Decision == gatehouse.Allowed && e.Route == "GET /public"
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	observer := gatehouse.Observers(trail, gatehouse.Log(slog.New(slog.DiscardHandler)))

	// The observer is gatehouse.Config.Observer; an application can record its own
	// events too.
	err = observer.Observe(context.Background(), gatehouse.Event{Type: "report_deleted", Principal: gatehouse.Principal{Subject: "alice"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := trail.Close(); err != nil {
		log.Fatal(err)
	}

	report, err := audit.Verify(path, public)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Records, "records,", report.Signed, "signed")
	// Output: 2 records, 2 signed
}
