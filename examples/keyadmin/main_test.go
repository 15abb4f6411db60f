// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
)

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "keyadmin")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "keyadmin")
	return name, exec.Command("go", "build", "-o", name, ".").Run()
})

func TestMain(m *testing.M) {
	code := m.Run()
	if name, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(name))
	}
	os.Exit(code)
}

// keyadmin runs the command and returns what it prints.
func keyadmin(t *testing.T, in string, args ...string) (out, complaint string, ok bool) {
	t.Helper()
	name, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(name, args...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(in), &stdout, &stderr
	err = command.Run()
	return stdout.String(), stderr.String(), err == nil
}

type key struct{ ID, Owner, Tenant, Status, Secret string }

func one(t *testing.T, in string, args ...string) key {
	t.Helper()
	out, complaint, ok := keyadmin(t, in, args...)
	var k key
	if err := json.Unmarshal([]byte(out), &k); err != nil || !ok {
		t.Fatalf("%q: %q, %q", args, out, complaint)
	}
	return k
}

// A key from its first day to its last, over a file.
func TestLife(t *testing.T) {
	t.Setenv("KEYS", "sqlite:"+filepath.Join(t.TempDir(), "keys.db"))
	made := one(t, "", "-store", "env:KEYS", "create", "-tenant", "acme", "-owner", "ci", "-scope", "reports:read", "-scope", "reports:write", "-json")
	if made.Tenant != "acme" || made.Owner != "ci" || made.Status != "active" {
		t.Errorf("got %+v", made)
	}
	if label, err := apikey.Parse(made.Secret); err != nil || label.ID != made.ID {
		t.Errorf("the secret names %v, %v", label, err)
	}
	rotated := one(t, "", "rotate", "-store", "env:KEYS", "-id", made.ID, "-grace", "1h", "-json")
	if rotated.ID != made.ID || rotated.Secret == made.Secret {
		t.Errorf("got %+v", rotated)
	}
	for _, command := range []string{"list", "due"} {
		out, complaint, ok := keyadmin(t, "", "-store", "env:KEYS", command, "-json", "-owner", "ci")
		var all []key
		if err := json.Unmarshal([]byte(out), &all); err != nil || !ok {
			t.Fatalf("%s: %q %q", command, out, complaint)
		}
		if want := map[string]int{"list": 1, "due": 0}[command]; len(all) != want {
			t.Errorf("%s: got %+v", command, all)
		}
	}
	for _, step := range []struct{ command, want string }{{"suspend", "suspended"}, {"resume", "active"}, {"describe", "active"}} {
		if got := one(t, "", "-store", "env:KEYS", step.command, "-id", made.ID, "-json"); got.Status != step.want || got.Secret != "" {
			t.Errorf("%s: got %+v", step.command, got)
		}
	}
	if got := one(t, made.Secret+"\n", "-store", "env:KEYS", "leak", "-json"); got.Status != "revoked" {
		t.Errorf("leaked: got %+v", got)
	}
	out, _, ok := keyadmin(t, "", "-store", "env:KEYS", "list")
	if !ok || !strings.Contains(out, made.ID) || !strings.Contains(out, "revoked") || strings.Contains(out, made.Secret[20:]) {
		t.Errorf("got\n%s", out)
	}
	other := one(t, "", "-store", "env:KEYS", "create", "-owner", "other", "-json")
	if got := one(t, "", "-store", "env:KEYS", "revoke", "-id", other.ID, "-json"); got.Status != "revoked" {
		t.Errorf("got %+v", got)
	}
}

// A secret goes to a file of its owner, to JSON, and to no other place.
func TestSecretStaysPrivate(t *testing.T) {
	dir := t.TempDir()
	store := "sqlite:" + filepath.Join(dir, "keys.db")
	file := filepath.Join(dir, "secret")
	out, complaint, ok := keyadmin(t, "", "-store", store, "create", "-owner", "ci", "-out", file)
	secret, err := os.ReadFile(file)
	info, errInfo := os.Stat(file)
	if !ok || err != nil || errInfo != nil || info.Mode().Perm() != 0o600 || strings.Contains(out, strings.TrimSpace(string(secret))) {
		t.Fatalf("%q %q, %v %v", out, complaint, err, info.Mode())
	}
	if _, err := apikey.Parse(strings.TrimSpace(string(secret))); err != nil {
		t.Error(err)
	}
	if _, _, ok := keyadmin(t, "", "-store", store, "create", "-owner", "ci", "-out", file); ok {
		t.Error("a file that was there is written over")
	}
	if out, complaint, ok := keyadmin(t, "", "-store", store, "create", "-owner", "ci"); ok || out != "" || !strings.Contains(complaint, "no terminal") {
		t.Errorf("into a pipe: %q %q", out, complaint)
	}
	failed := filepath.Join(dir, "failed")
	if _, _, ok := keyadmin(t, "", "-store", store, "create", "-out", failed); ok {
		t.Error("a key without owner")
	}
	if _, err := os.Stat(failed); !os.IsNotExist(err) {
		t.Errorf("an empty file stays behind: %v", err)
	}
	public, err := os.OpenFile(filepath.Join(dir, "public"), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close()
	name, _ := binary()
	command := exec.Command(name, "-store", store, "create", "-owner", "ci", "-json")
	command.Stdout = public
	if err := command.Run(); err == nil {
		t.Error("a secret went into a file that others can read")
	}
	out, _, _ = keyadmin(t, "", "-store", store, "list", "-json")
	if n := strings.Count(out, `"id"`); n != 1 {
		t.Errorf("%d keys were made whose secrets went nowhere", n-1)
	}
}

func TestMistakes(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "keys.db")
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "usage:"},
		{[]string{"frobnicate"}, "unknown command"},
		{[]string{"list"}, "-store: required"},
		{[]string{"-store", "mysql://x:hunter2@y", "list"}, "want sqlite:PATH"},
		{[]string{"-store", "env:NOT_SET", "list"}, "not set"},
		{[]string{"-store", store, "list", "extra"}, `"extra" is not a flag`},
		{[]string{"-store", store, "revoke"}, "-id: required"},
		{[]string{"-store", store, "rotate"}, "-id: required"},
		{[]string{"-store", store, "revoke", "-id", "0123456789ABCDEF"}, "key not found"},
		{[]string{"-store", store, "create", "-json", "-owner", "x", "-scope", "reports:*"}, "wildcards are not supported"},
		{[]string{"-store", store, "create", "-json", "-owner", "x", "-network", "here"}, "-network"},
		{[]string{"-store", store, "leak"}, "no such key"},
	} {
		out, complaint, ok := keyadmin(t, "gatehouse_live_nonsense", test.args...)
		if ok || out != "" || !strings.Contains(complaint, test.want) {
			t.Errorf("%q: %q %q", test.args, out, complaint)
		}
		if strings.Contains(complaint, "hunter2") {
			t.Errorf("%q: the password is in %q", test.args, complaint)
		}
	}
}
