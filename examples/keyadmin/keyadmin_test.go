// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
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
	if _, complaint, status := keyadmin(t, "", nil, "-store", "env:KEYS", "delete", "-id", other.ID); status != 1 {
		t.Errorf("delete of a valid key = %d %q, want 1", status, complaint)
	}
	if got := output[key](t, "", "-store", "env:KEYS", "revoke", "-id", other.ID); got.Status != "revoked" {
		t.Errorf("revoke = %+v, want revoked", got)
	}
	if _, complaint, status := keyadmin(t, "", nil, "-store", "env:KEYS", "delete", "-id", other.ID); status != 0 {
		t.Errorf("delete = %d %q, want 0", status, complaint)
	}
	if all := output[[]key](t, "", "-store", "env:KEYS", "list"); len(all) != 1 {
		t.Errorf("list after delete = %+v, want 1 key", all)
	}
}

// growing is a store that records how much output there was when each page was read.
type growing struct {
	apikey.Store
	out   *os.File
	sizes []int64
}

func (g *growing) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	info, err := g.out.Stat()
	if err != nil {
		return nil, err
	}
	g.sizes = append(g.sizes, info.Size())
	return g.Store.List(ctx, q)
}

// TestListStreams: each page is printed before the next one is read, so that a list of
// any length needs the memory of one page.
func TestListStreams(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{false, true} {
		sqlite, err := openStore("sqlite:"+filepath.Join(t.TempDir(), "keys.db"), true)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = sqlite.close() }()
		if err := sqlite.ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(t.TempDir(), "list"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		store := &growing{Store: sqlite.keys, out: out}
		keys, err := apikey.New(apikey.Config{Store: store, Prefix: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		for range 7 {
			if _, err := keys.Create(t.Context(), apikey.Request{Owner: "ci", Lifetime: time.Hour}); err != nil {
				t.Fatal(err)
			}
		}
		c := &call{ctx: t.Context(), out: out, keys: keys}
		c.json = asJSON
		if err := c.pages(apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 2}); err != nil {
			t.Fatal(err)
		}
		info, err := out.Stat()
		if err != nil {
			t.Fatal(err)
		}
		for n, sizes := 1, append(store.sizes, info.Size()); n < len(sizes); n++ {
			if len(store.sizes) != 4 || sizes[n] <= sizes[n-1] {
				t.Fatalf("JSON %t: output of %d bytes when each of the pages was read, and at the end; want more with each of 4 pages", asJSON, sizes)
			}
		}
	}
}

// TestUnsuitableStore: no command works on a database that loses acknowledged changes.
func TestUnsuitableStore(t *testing.T) {
	enginetest.Slow(t)
	t.Parallel()
	for setting, store := range map[string]string{
		"fsync is off": enginetest.StartPostgres(t, "fsync=off").Database(t),
		"appendfsync":  enginetest.StartRedis(t, "appendfsync everysec").URL(),
	} {
		_, complaint, status := keyadmin(t, "", nil, "-store", store, "create", "-owner", "ci", "-tenant", "acme")
		if status == 0 || !strings.Contains(complaint, "-store: ") || !strings.Contains(complaint, setting) {
			t.Errorf("create = %d, stderr %q, want a refusal with %q", status, complaint, setting)
		}
	}
}

// TestCopy copies keys from SQLite to Postgres and on to Redis: with their state,
// and never over a key that is less valid there.
func TestCopy(t *testing.T) {
	enginetest.Slow(t)
	sqlite := "sqlite:" + filepath.Join(t.TempDir(), "keys.db")
	stores := []string{sqlite, enginetest.StartPostgres(t).Database(t), enginetest.StartRedis(t).URL()}
	secrets := make(map[string]string) // by status
	ids := make(map[string]string)
	for _, status := range []string{"active", "revoked", "suspended", "rotated"} {
		made := output[key](t, "", "-store", sqlite, "create", "-owner", status, "-tenant", "acme")
		secrets[status], ids[status] = made.Secret, made.ID
	}
	output[key](t, "", "-store", sqlite, "revoke", "-id", ids["revoked"])
	output[key](t, "", "-store", sqlite, "suspend", "-id", ids["suspended"])
	newest := output[key](t, "", "-store", sqlite, "rotate", "-id", ids["rotated"], "-grace", "1h").Secret
	source, err := openStore(sqlite, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.close() }()
	for n := range pageSize { // more than one page
		r := apikey.Record{Key: apikey.Key{ID: fmt.Sprintf("%016d", n), Owner: "bulk", Environment: "live", Lifetime: time.Hour}}
		if _, err := source.keys.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	total := len(ids) + pageSize

	for i, to := range stores[1:] {
		from := stores[i]
		for range 2 { // the second time changes nothing
			out, complaint, status := keyadmin(t, "", nil, "-store", from, "copy", "-to", to)
			if want := fmt.Sprintf("copied %d, refused 0\n", total); status != 0 || out != want {
				t.Fatalf("copy to store %d = %d %q %q, want %q", i+1, status, out, complaint, want)
			}
		}
		if a, b := listing(t, from), listing(t, to); a != b {
			t.Errorf("list of store %d differs from its source:\n%s\n%s", i+1, b, a)
		}
		wantStates(t, to, map[string]gatehouse.Reason{
			secrets["active"]: "", secrets["revoked"]: apikey.ReasonRevoked, secrets["suspended"]: apikey.ReasonSuspended,
			secrets["rotated"]: "", newest: "",
		})
	}

	// Revoked in the target only: a copy of the source does not revive it.
	output[key](t, "", "-store", stores[2], "revoke", "-id", ids["active"])
	_, complaint, status := keyadmin(t, "", nil, "-store", stores[1], "copy", "-to", stores[2])
	if status != 1 || !strings.Contains(complaint, "refused "+ids["active"]) || !strings.Contains(complaint, "not copied: 1") {
		t.Errorf("copy over a revoked key = %d %q, want 1 and the key", status, complaint)
	}
	wantStates(t, stores[2], map[string]gatehouse.Reason{secrets["active"]: apikey.ReasonRevoked})
	// Revoked in the source: the copy revokes it.
	output[key](t, "", "-store", stores[1], "revoke", "-id", ids["rotated"])
	_, _, _ = keyadmin(t, "", nil, "-store", stores[1], "copy", "-to", stores[2])
	wantStates(t, stores[2], map[string]gatehouse.Reason{newest: apikey.ReasonRevoked})
	if _, complaint, status := keyadmin(t, "", nil, "-store", sqlite, "copy"); status != 1 || !strings.Contains(complaint, "-to: required") {
		t.Errorf("copy without -to = %d %q, want 1", status, complaint)
	}
}

func listing(t *testing.T, store string) string {
	t.Helper()
	out, complaint, status := keyadmin(t, "", nil, "-store", store, "list", "-json")
	if status != 0 {
		t.Fatalf("list = %d %q", status, complaint)
	}
	return out
}

// wantStates checks the reasons for which a server on the store rejects keys.
func wantStates(t *testing.T, url string, want map[string]gatehouse.Reason) {
	t.Helper()
	s, err := openStore(url, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	keys, err := apikey.New(apikey.Config{Store: s.keys, Prefix: "gatehouse"})
	if err != nil {
		t.Fatal(err)
	}
	for secret, reason := range want {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-API-Key", secret)
		_, err := keys.Authenticate(r)
		rejected, _ := errors.AsType[*gatehouse.Error](err)
		if (err == nil) != (reason == "") || err != nil && (rejected == nil || rejected.Reason != reason) {
			t.Errorf("Authenticate(%.31s…) error = %v, want reason %q", secret, err, reason)
		}
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
	output[key](t, "", "-store", store, "create", "-owner", "ci")
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
		{[]string{"-store", store + "-other", "list"}, 1, "no such database"},
		{[]string{"-store", store + "-other", "copy", "-to", store}, 1, "no such database"},
	} {
		out, complaint, status := keyadmin(t, "gatehouse_live_nonsense", nil, test.args...)
		if status != test.status || out != "" || !strings.Contains(complaint, test.want) || strings.Contains(complaint, "hunter2") {
			t.Errorf("keyadmin %q = %d, stdout %q, stderr %q, want %d, %q", test.args, status, out, complaint, test.status, test.want)
		}
	}
}
