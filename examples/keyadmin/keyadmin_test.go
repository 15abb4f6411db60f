// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// appBinary is the environment variable with which this binary is the command.
const appBinary = "KEYADMIN_TEST_APP"

func TestMain(m *testing.M) {
	if os.Getenv(appBinary) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// keyadmin runs the command with its standard output in a pipe or a file.
func keyadmin(t *testing.T, in string, file *os.File, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], args...) //nolint:gosec // this binary
	command.Env = append(os.Environ(), appBinary+"=1")
	var out, complaint bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(in), io.Writer(&out), &complaint
	if file != nil {
		command.Stdout = file
	}
	_ = command.Run()
	return out.String(), complaint.String(), command.ProcessState.ExitCode()
}

type key struct{ ID, Owner, Tenant, Status, Secret string }

// output runs a command with -json and decodes its output into v.
func output[T any](t *testing.T, in string, args ...string) (v T) {
	t.Helper()
	out, complaint, status := keyadmin(t, in, nil, append(args, "-json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil || status != 0 {
		t.Fatalf("keyadmin %q = %d, stdout %q, stderr %q", args, status, out, complaint)
	}
	return v
}

// TestLifeOfKey creates, rotates, lists, suspends and revokes a key.
func TestLifeOfKey(t *testing.T) {
	t.Setenv("KEYS", "sqlite:"+filepath.Join(t.TempDir(), "keys.db"))
	made := output[key](t, "", "-store", "env:KEYS", "create", "-tenant", "acme", "-owner", "ci", "-scope", "reports:read", "-scope", "reports:write")
	label, err := apikey.Parse(made.Secret)
	if made.Tenant != "acme" || made.Owner != "ci" || made.Status != "active" || err != nil || label.ID != made.ID {
		t.Errorf("create = %+v, %v, want an active key of ci", made, err)
	}
	rotated := output[key](t, "", "rotate", "-store", "env:KEYS", "-id", made.ID, "-grace", "1h")
	if rotated.ID != made.ID || rotated.Secret == made.Secret {
		t.Errorf("rotate = %+v, want another secret of the same key", rotated)
	}
	for command, want := range map[string]int{"list": 1, "due": 0} {
		if all := output[[]key](t, "", "-store", "env:KEYS", command, "-owner", "ci"); len(all) != want {
			t.Errorf("%s = %+v, want %d keys", command, all, want)
		}
	}
	for _, step := range []struct{ command, want string }{{"suspend", "suspended"}, {"resume", "active"}, {"describe", "active"}} {
		if got := output[key](t, "", "-store", "env:KEYS", step.command, "-id", made.ID); got.Status != step.want || got.Secret != "" {
			t.Errorf("%s = %+v, want %s", step.command, got, step.want)
		}
	}
	if got := output[key](t, made.Secret+"\n", "-store", "env:KEYS", "leak"); got.Status != "revoked" {
		t.Errorf("leak = %+v, want revoked", got)
	}
	out, _, status := keyadmin(t, "", nil, "-store", "env:KEYS", "list")
	if status != 0 || !strings.Contains(out, made.ID) || !strings.Contains(out, "revoked") || strings.Contains(out, made.Secret[20:]) {
		t.Errorf("list = %s, want the key without its secret", out)
	}
	other := output[key](t, "", "-store", "env:KEYS", "create", "-owner", "other")
	if got := output[key](t, "", "-store", "env:KEYS", "revoke", "-id", other.ID); got.Status != "revoked" {
		t.Errorf("revoke = %+v, want revoked", got)
	}
}

// TestSecretStaysPrivate: a secret goes to a new file of its owner or into JSON, and
// a command that cannot deliver it creates no key.
func TestSecretStaysPrivate(t *testing.T) {
	dir := t.TempDir()
	store, file, failed := "sqlite:"+filepath.Join(dir, "keys.db"), filepath.Join(dir, "secret"), filepath.Join(dir, "failed")
	out, complaint, status := keyadmin(t, "", nil, "-store", store, "create", "-owner", "ci", "-out", file)
	secret, err := os.ReadFile(file)
	info, errInfo := os.Stat(file)
	if status != 0 || err != nil || errInfo != nil || info.Mode().Perm() != 0o600 || strings.Contains(out, strings.TrimSpace(string(secret))) {
		t.Fatalf("create -out = %d %q %q, %v %v, want the secret in a file of mode 0600", status, out, complaint, err, info.Mode())
	}
	if _, err := apikey.Parse(strings.TrimSpace(string(secret))); err != nil {
		t.Error(err)
	}
	public, err := os.OpenFile(filepath.Join(dir, "public"), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close()
	for name, test := range map[string]struct {
		args []string
		out  *os.File
		want string
	}{
		"existing file":    {[]string{"-owner", "ci", "-out", file}, nil, "exists"},
		"pipe":             {[]string{"-owner", "ci"}, nil, "not a terminal"},
		"owner missing":    {[]string{"-out", failed}, nil, "Owner"},
		"file of everyone": {[]string{"-owner", "ci", "-json"}, public, "others can read"},
	} {
		out, complaint, status := keyadmin(t, "", test.out, append([]string{"-store", store, "create"}, test.args...)...)
		if status != 1 || out != "" || !strings.Contains(complaint, test.want) {
			t.Errorf("%s: create = %d %q %q, want 1 and %q", name, status, out, complaint, test.want)
		}
	}
	if _, err := os.Stat(failed); !os.IsNotExist(err) {
		t.Errorf("failed create leaves a file: %v", err)
	}
	if all := output[[]key](t, "", "-store", store, "list"); len(all) != 1 {
		t.Errorf("keys = %+v, want one", all)
	}
}

func TestWrongUsage(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "keys.db")
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, 1, "usage:"},
		{[]string{"-wrong"}, 2, "flag provided but not defined"},
		{[]string{"frobnicate"}, 1, "unknown command"},
		{[]string{"list"}, 1, "-store: required"},
		{[]string{"-store", "mysql://x:hunter2@y", "list"}, 1, "want sqlite:PATH"},
		{[]string{"-store", "env:NOT_SET", "list"}, 1, "not set"},
		{[]string{"-store", store, "list", "extra"}, 1, `"extra" is not a flag`},
		{[]string{"-store", store, "revoke"}, 1, "-id: required"},
		{[]string{"-store", store, "rotate"}, 1, "-id: required"},
		{[]string{"-store", store, "revoke", "-id", "0123456789ABCDEF"}, 1, "keyadmin: apikey: revoke: API key not found\n"},
		{[]string{"-store", store, "create", "-json", "-owner", "x", "-scope", "reports:*"}, 1, "wildcards are not supported"},
		{[]string{"-store", store, "create", "-json", "-owner", "x", "-network", "here"}, 1, "-network"},
		{[]string{"-store", store, "leak"}, 1, "no such key"},
	} {
		out, complaint, status := keyadmin(t, "gatehouse_live_nonsense", nil, test.args...)
		if status != test.status || out != "" || !strings.Contains(complaint, test.want) || strings.Contains(complaint, "hunter2") {
			t.Errorf("keyadmin %q = %d, stdout %q, stderr %q, want %d, %q", test.args, status, out, complaint, test.status, test.want)
		}
	}
}
