// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
)

func TestCommands(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := must(x509.MarshalPKIXPublicKey(public))
	key := file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	path := filepath.Join(dir, "audit.jsonl")
	log := must(audit.Open(audit.Config{Path: path, Origin: "api.example.com/audit", Key: private}))
	if err := log.Observe(context.Background(), gatehouse.Event{Type: gatehouse.EventDecision}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	last := must(audit.LastCheckpoint(path))
	kept := file("kept", last)
	record := must(audit.Record(path, 1))
	proof := must(audit.Prove(path, public, 1))
	proofFile := file("1.tlog-proof", proof)
	changed := file("changed.jsonl", bytes.Replace(must(os.ReadFile(path)), []byte("decision"), []byte("Decision"), 1))
	for _, suffix := range []string{".hashes", ".checkpoints"} {
		file("changed.jsonl"+suffix, must(os.ReadFile(path+suffix)))
	}
	for _, test := range []struct {
		name, args, want, wantError string
	}{
		{"verify", "verify -key " + key + " " + path, "2 records of api.example.com/audit, 2 signed\n", ""},
		{"verify with a kept checkpoint", "verify -key " + key + " -kept " + kept + " " + path, "2 records of api.example.com/audit, 2 signed\n", ""},
		{"verify a changed log", "verify -key " + key + " " + changed, "", "audit: record 1 is changed"},
		{"verify without a log", "verify -key " + key, "", "usage"},
		{"verify without a key", "verify " + path, "", "usage"},
		{"verify with a missing key", "verify -key none " + path, "", "no such file"},
		{"verify with a missing checkpoint", "verify -key " + key + " -kept none " + path, "", "no such file"},
		{"prove", "prove -key " + key + " -record 1 " + path, string(proof), ""},
		{"prove nothing", "prove -key " + key + " " + path, "", "signs 2 records"},
		{"check", "check -key " + key + " -proof " + proofFile, "record 1 of api.example.com/audit\n", ""},
		{"check a missing proof", "check -key " + key + " -proof none", "", "no such file"},
		{"check another record", "check -key " + key + " -proof " + kept, "", "not a tlog-proof"},
		{"no command", "", "", "usage"},
		{"another command", "sign -key " + key, "", "usage"},
		{"an unknown flag", "verify -none", "", "usage"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(strings.Fields(test.args), bytes.NewReader(append(record, '\n')), &out)
			if out.String() != test.want || (err == nil) != (test.wantError == "") || err != nil && !strings.Contains(err.Error(), test.wantError) {
				t.Errorf("run(%s) = %q, %v, want %q, %q", test.args, out.String(), err, test.want, test.wantError)
			}
			if test.wantError == "usage" && !errors.Is(err, errUsage) {
				t.Errorf("run(%s) error = %v, want %v", test.args, err, errUsage)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
