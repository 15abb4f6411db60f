// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
)

// Verify names the first record that was changed.
func ExampleVerify() {
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
	trail, err := audit.Open(audit.Config{Path: path, Origin: "api.example.com/audit", Key: private})
	if err != nil {
		log.Fatal(err)
	}
	for _, subject := range []string{"alice", "mallory", "bob"} {
		err := trail.Observe(context.Background(), gatehouse.Event{Type: "login", Principal: gatehouse.Principal{Subject: subject}})
		if err != nil {
			log.Fatal(err)
		}
	}
	if err := trail.Close(); err != nil {
		log.Fatal(err)
	}

	records, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	records = bytes.Replace(records, []byte("mallory"), []byte("eve"), 1)
	if err := os.WriteFile(path, records, 0o600); err != nil {
		log.Fatal(err)
	}
	_, err = audit.Verify(path, public)
	fmt.Println(err)
	// Output: audit: record 2 is changed
}

// A proof shows one record to a third party without the rest of the log.
func ExampleProve() {
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
	trail, err := audit.Open(audit.Config{Path: path, Origin: "api.example.com/audit", Key: private})
	if err != nil {
		log.Fatal(err)
	}
	if err := trail.Observe(context.Background(), gatehouse.Event{Type: "login"}); err != nil {
		log.Fatal(err)
	}
	if err := trail.Close(); err != nil {
		log.Fatal(err)
	}

	proof, err := audit.Prove(path, public, 1)
	if err != nil {
		log.Fatal(err)
	}
	record, err := audit.Record(path, 1)
	if err != nil {
		log.Fatal(err)
	}

	// The third party has the proof, the record and the public key.
	number, origin, err := audit.CheckProof(proof, record, public)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("record", number, "of", origin)
	// Output: record 1 of api.example.com/audit
}
