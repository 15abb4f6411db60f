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
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
)

func TestMain(m *testing.M) {
	if args, ok := os.LookupEnv("GATEHOUSE_AUDIT_ARGS"); ok {
		os.Args = append(os.Args[:1], strings.Fields(args)...)
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

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
	config := audit.Config{Path: path, Origin: "api.example.com/audit", Key: private, CheckpointInterval: time.Hour}
	log := must(audit.Open(config))
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
	other := config
	other.Path = filepath.Join(dir, "other.jsonl")
	if err := must(audit.Open(other)).Close(); err != nil {
		t.Fatal(err)
	}
	keptOther := file("kept-other", must(audit.LastCheckpoint(other.Path)))
	log = must(audit.Open(config)) // which writes a third record
	defer func() { _ = log.Close() }()
	for _, test := range []struct {
		name, args, want, wantError string
	}{
		{"verify", "verify -key " + key + " " + path, "3 records of api.example.com/audit, 2 signed\n", ""},
		{"verify with a kept checkpoint", "verify -key " + key + " -kept " + kept + " " + path, "3 records of api.example.com/audit, 2 signed\n", ""},
		{"verify with a kept checkpoint of another log", "verify -key " + key + " -kept " + keptOther + " " + path, "", "audit: "},
		{"verify a changed log", "verify -key " + key + " " + changed, "", "audit: record 1 is changed"},
		{"verify without a log", "verify -key " + key, "", "usage"},
		{"verify without a key", "verify " + path, "", "usage"},
		{"verify with a missing key", "verify -key none " + path, "", "no such file"},
		{"verify with a missing checkpoint", "verify -key " + key + " -kept none " + path, "", "no such file"},
		{"prove", "prove -key " + key + " -record 1 " + path, string(proof), ""},
		{"prove nothing", "prove -key " + key + " " + path, "", "signs 2 records"},
		{"prove without a log", "prove -record 1 -key " + key, "", "usage"},
		{"check", "check -key " + key + " -proof " + proofFile, "record 1 of api.example.com/audit\n", ""},
		{"check a record with a space", "check -key " + key + " -proof " + proofFile, "", "audit: proof: "},
		{"check a missing proof", "check -key " + key + " -proof none", "", "no such file"},
		{"check another record", "check -key " + key + " -proof " + kept, "", "not a tlog-proof"},
		{"no command", "", "", "usage"},
		{"check a log", "check -key " + key + " -proof " + proofFile + " " + path, "", "usage"},
		{"another command", "sign -key " + key, "", "usage"},
		{"another command for a log", "sign -record 1 -key " + key + " " + path, "", "usage"},
		{"an unknown flag behind a key", "verify -key " + key + " -none " + path, "", "usage"},
		{"an unknown flag", "verify -none", "", "usage"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			end := "\n"
			if strings.HasSuffix(test.name, "with a space") {
				end = " \n"
			}
			err := run(strings.Fields(test.args), bytes.NewReader(append(record, end...)), &out)
			if out.String() != test.want || (err == nil) != (test.wantError == "") || err != nil && !strings.Contains(err.Error(), test.wantError) {
				t.Errorf("run(%s) = %q, %v, want %q, %q", test.args, out.String(), err, test.want, test.wantError)
			}
			if test.wantError == "usage" && !errors.Is(err, errUsage) {
				t.Errorf("run(%s) error = %v, want %v", test.args, err, errUsage)
			}

			// Scripts read the output and the exit status.
			command := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test
			command.Env = append(os.Environ(), "GATEHOUSE_AUDIT_ARGS="+test.args)
			command.Stdin = bytes.NewReader(append(record, end...))
			var stdout, stderr strings.Builder
			command.Stdout, command.Stderr = &stdout, &stderr
			want := 1
			switch test.wantError {
			case "":
				want = 0
			case "usage":
				want = 2
			}
			_ = command.Run()
			if got := command.ProcessState.ExitCode(); got != want || stdout.String() != test.want || (want != 0) != strings.HasPrefix(stderr.String(), "gatehouse-audit: ") || !strings.Contains(stderr.String(), test.wantError) {
				t.Errorf("gatehouse-audit %s = status %d, %q, %q, want %d, %q, %q", test.args, got, stdout.String(), stderr.String(), want, test.want, test.wantError)
			}
		})
	}
	if err := run([]string{"check", "-key", key, "-proof", proofFile}, iotest.ErrReader(errors.New("no pipe")), io.Discard); err == nil || !strings.Contains(err.Error(), "no pipe") {
		t.Errorf("run(check) of a record that cannot be read: error = %v, want that of reading it", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
