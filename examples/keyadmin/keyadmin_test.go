// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"database/sql"
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

	"github.com/google/go-cmp/cmp"

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

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// output runs a command with -json and decodes its output into v.
func output[T any](t *testing.T, in string, args ...string) (v T) {
	t.Helper()
	out, complaint, status := keyadmin(t, in, nil, append(args, "-json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil || status != 0 {
		t.Fatalf("keyadmin %q = %d, stdout %q, stderr %q", args, status, out, complaint)
	}
	return v
}

// change runs a command that changes a key, and checks the status of the key after it.
func change(t *testing.T, store, command, id, want string, args ...string) key {
	t.Helper()
	got := output[key](t, "", append([]string{"-store", store, command, "-id", id}, args...)...)
	if got.ID != id || got.Status != want {
		t.Errorf("%s = %+v, want the key %s with the status %s", command, got, id, want)
	}
	return got
}

// TestLifeOfKey creates, rotates, lists, suspends, revokes and deletes keys.
func TestLifeOfKey(t *testing.T) {
	const store = "env:KEYS"
	t.Setenv("KEYS", "sqlite:"+filepath.Join(t.TempDir(), "keys.db"))
	got := output[map[string]any](t, "", "-store", store, "create", "-tenant", "acme", "-owner", "ci", "-scope", "reports:read", "reports:write", "-network", "192.0.2.0/24", "-network", "2001:db8::/32")
	secret, _ := got["secret"].(string)
	id := must(apikey.Parse(secret)).ID
	if diff := cmp.Diff(map[string]any{
		"id": id, "owner": "ci", "tenant": "acme", "environment": "live", "scopes": []any{"reports:read", "reports:write"}, "networks": []any{"192.0.2.0/24", "2001:db8::/32"},
		"status": "active", "created": got["created"], "rotated": got["created"], "expires": got["expires"], "uses": 0.0, "secret": secret,
	}, got); diff != "" {
		t.Errorf("create (-want +got):\n%s", diff)
	}
	expires := must(time.Parse(time.RFC3339, fmt.Sprint(got["expires"])))
	if lifetime := expires.Sub(must(time.Parse(time.RFC3339, fmt.Sprint(got["created"])))); lifetime != 90*24*time.Hour {
		t.Errorf("create: lifetime = %v, want 90 days", lifetime)
	}
	// The flags of all commands may also follow the command.
	rotated := output[map[string]any](t, "", "rotate", "-store", store, "-id", id, "-grace", "1h")
	if rotated["id"] != id || rotated["secret"] == secret || rotated["grace_ends"] == nil {
		t.Errorf("rotate = %+v, want another secret of the same key, and a grace period", rotated)
	}
	for command, want := range map[string]int{"list -owner ci": 1, "list -tenant globex": 0, "due -owner ci": 0, "due -within 2161h": 1, "due -within 2161h -owner x": 0} {
		if all := output[[]key](t, "", append([]string{"-store", store}, strings.Fields(command)...)...); len(all) != want {
			t.Errorf("%s = %+v, want %d keys", command, all, want)
		}
	}
	for _, step := range [][2]string{{"suspend", "suspended"}, {"resume", "active"}, {"describe", "active"}} {
		if got := change(t, store, step[0], id, step[1]); got.Secret != "" {
			t.Errorf("%s = %+v, want no secret", step[0], got)
		}
	}
	if got := output[key](t, secret+"\n", "-store", store, "leak"); got.Status != "revoked" {
		t.Errorf("leak = %+v, want revoked", got)
	}
	out, _, status := keyadmin(t, "", nil, "-store", store, "list")
	row := id + " revoked ci acme live reports:read reports:write " + expires.Format("2006-01-02")
	if status != 0 || !strings.HasPrefix(out, "ID ") || !strings.Contains(strings.Join(strings.Fields(out), " "), row) || strings.Contains(out, secret[20:]) {
		t.Errorf("list = %s, want %s without the secret", out, row)
	}
	made := output[key](t, "", "-store", store, "-prefix", "acme", "create", "-owner", "other")
	other := made.ID
	if !strings.HasPrefix(made.Secret, "acme_") {
		t.Errorf("create -prefix acme = %+v, want a secret with the prefix", made)
	}
	expired := output[key](t, "", "-store", store, "create", "-owner", "late", "-lifetime", "1us").ID
	change(t, store, "describe", expired, "expired")
	remove := func(id string, want int) {
		t.Helper()
		if _, complaint, status := keyadmin(t, "", nil, "-store", store, "delete", "-id", id); status != want {
			t.Errorf("delete = %d %q, want %d", status, complaint, want)
		}
	}
	remove(other, 1) // a valid key
	change(t, store, "revoke", other, "revoked")
	remove(other, 0)
	remove(expired, 0)
	if all := output[[]key](t, "", "-store", store, "list"); len(all) != 1 {
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
	g.sizes = append(g.sizes, must(g.out.Stat()).Size())
	return g.Store.List(ctx, q)
}

// TestListStreams: each page is printed before the next one is read, so that a list of
// any length needs the memory of one page.
func TestListStreams(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{false, true} {
		out := must(os.Create(filepath.Join(t.TempDir(), "list")))
		defer out.Close()
		store := &growing{Store: apikey.NewMemory(0), out: out}
		keys := must(apikey.New(apikey.Config{Store: store, Prefix: "acme"}))
		for range 7 {
			must(keys.Create(t.Context(), apikey.Request{Owner: "ci", Lifetime: time.Hour}))
		}
		c := &call{ctx: t.Context(), out: out, keys: keys}
		c.json = asJSON
		if err := c.pages(apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 2}); err != nil {
			t.Fatal(err)
		}
		for n, sizes := 1, append(store.sizes, must(out.Stat()).Size()); n < len(sizes); n++ {
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

// TestCopy copies keys from SQLite to another file, to Postgres and on to Redis: with their state,
// and never over a key that is less valid there.
func TestCopy(t *testing.T) {
	sqlite := "sqlite:" + filepath.Join(t.TempDir(), "keys.db")
	stores := []string{sqlite, "sqlite:" + filepath.Join(t.TempDir(), "copy.db")}
	if os.Getenv("GATEHOUSE_SLOW") == "1" {
		stores = append(stores, enginetest.StartPostgres(t).Database(t), enginetest.StartRedis(t).URL())
	}
	source, target := stores[len(stores)-2], stores[len(stores)-1] // the last two
	secrets := make(map[string]string)                             // by status
	ids := make(map[string]string)
	for _, status := range []string{"active", "revoked", "suspended", "rotated"} {
		made := output[key](t, "", "-store", sqlite, "create", "-owner", status, "-tenant", "acme")
		secrets[status], ids[status] = made.Secret, made.ID
	}
	change(t, sqlite, "revoke", ids["revoked"], "revoked")
	change(t, sqlite, "suspend", ids["suspended"], "suspended")
	newest := change(t, sqlite, "rotate", ids["rotated"], "active", "-grace", "1h").Secret
	bulk := must(openStore(sqlite, false))
	defer func() { _ = bulk.close() }()
	for n := range pageSize { // more than one page
		must(bulk.keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: fmt.Sprintf("%016d", n), Owner: "bulk", Environment: "live", Lifetime: time.Hour}}))
	}
	total := len(ids) + pageSize
	must(bulk.keys.Touch(t.Context(), ids["active"], 3, time.Minute))
	if got := output[map[string]any](t, "", "-store", sqlite, "describe", "-id", ids["active"]); got["uses"] != 3.0 || got["last_used"] == nil {
		t.Errorf("describe of a used key = %v, want 3 uses and the last one", got)
	}

	for i, to := range stores[1:] {
		from := stores[i]
		out, complaint, status := keyadmin(t, "", nil, "-store", from, "copy", "-to", to)
		if want := fmt.Sprintf("copied %d, refused 0\n", total); status != 0 || out != want {
			t.Fatalf("copy to store %d = %d %q %q, want %q", i+1, status, out, complaint, want)
		}
		// The second time changes nothing.
		if diff := cmp.Diff(map[string]int{"copied": total, "refused": 0}, output[map[string]int](t, "", "-store", from, "copy", "-to", to)); diff != "" {
			t.Errorf("copy to store %d again (-want +got):\n%s", i+1, diff)
		}
		if diff := cmp.Diff(output[[]map[string]any](t, "", "-store", from, "list"), output[[]map[string]any](t, "", "-store", to, "list")); diff != "" {
			t.Errorf("list of store %d (-source +got):\n%s", i+1, diff)
		}
		wantStates(t, to, map[string]gatehouse.Reason{
			secrets["active"]: "", secrets["revoked"]: apikey.ReasonRevoked, secrets["suspended"]: apikey.ReasonSuspended,
			secrets["rotated"]: "", newest: "",
		})
	}

	// Revoked in the target only: a copy of the source does not revive it.
	change(t, target, "revoke", ids["active"], "revoked")
	_, complaint, status := keyadmin(t, "", nil, "-store", source, "copy", "-to", target)
	if status != 1 || !strings.Contains(complaint, "refused "+ids["active"]) || !strings.Contains(complaint, "not copied: 1") {
		t.Errorf("copy over a revoked key = %d %q, want 1 and the key", status, complaint)
	}
	wantStates(t, target, map[string]gatehouse.Reason{secrets["active"]: apikey.ReasonRevoked})
	// Revoked in the source: the copy revokes it.
	change(t, source, "revoke", ids["rotated"], "revoked")
	_, _, _ = keyadmin(t, "", nil, "-store", source, "copy", "-to", target)
	wantStates(t, target, map[string]gatehouse.Reason{newest: apikey.ReasonRevoked})

	// A store that fails in the middle.
	full := filepath.Join(t.TempDir(), "full.db")
	output[key](t, "", "-store", "sqlite:"+full, "create", "-owner", "x")
	db := must(sql.Open("sqlite", full))
	defer db.Close()
	must(db.ExecContext(t.Context(), "CREATE TRIGGER full BEFORE INSERT ON gatehouse_apikeys WHEN NEW.owner = 'bulk' BEGIN SELECT RAISE(ABORT, 'disk full'); END"))
	_, complaint, status = keyadmin(t, "", nil, "-store", sqlite, "copy", "-to", "sqlite:"+full)
	if want := fmt.Sprintf("%d keys are copied, the rest is not: run the command again", len(ids)); status != 1 || !strings.Contains(complaint, want) {
		t.Errorf("copy to a store that fails = %d %q, want 1 and %q", status, complaint, want)
	}
}

// wantStates checks the reasons for which a server on the store rejects keys.
func wantStates(t *testing.T, url string, want map[string]gatehouse.Reason) {
	t.Helper()
	s := must(openStore(url, false))
	defer func() { _ = s.close() }()
	keys := must(apikey.New(apikey.Config{Store: s.keys, Prefix: "gatehouse"}))
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
	secret := strings.TrimSpace(string(must(os.ReadFile(file))))
	if mode := must(os.Stat(file)).Mode().Perm(); status != 0 || mode != 0o600 || strings.Contains(out, secret) || !strings.Contains(out, must(apikey.Parse(secret)).ID) {
		t.Fatalf("create -out = %d %q %q, %v, want the key, and its secret in a file of mode 0600", status, out, complaint, mode)
	}
	public := must(os.OpenFile(filepath.Join(dir, "public"), os.O_CREATE|os.O_WRONLY, 0o640))
	defer public.Close()
	for name, test := range map[string]struct {
		args []string
		out  *os.File
		want string
	}{
		"existing file":   {[]string{"-owner", "ci", "-out", file}, nil, "exists"},
		"pipe":            {[]string{"-owner", "ci"}, nil, "not a terminal"},
		"owner missing":   {[]string{"-out", failed}, nil, "Owner"},
		"file of a group": {[]string{"-owner", "ci", "-json"}, public, "others can read"},
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
		{[]string{"-store", store, "copy"}, 1, "-to: required"},
	} {
		out, complaint, status := keyadmin(t, "gatehouse_live_nonsense", nil, test.args...)
		if status != test.status || out != "" || !strings.Contains(complaint, test.want) || strings.Contains(complaint, "hunter2") {
			t.Errorf("keyadmin %q = %d, stdout %q, stderr %q, want %d, %q", test.args, status, out, complaint, test.status, test.want)
		}
	}
}
