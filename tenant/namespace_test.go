// SPDX-License-Identifier: Apache-2.0

package tenant_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/tenant"
)

func space(name string) tenant.Namespace { return must(tenant.New(name)) }

// as returns the context of a caller.
func as(t *testing.T, name string) context.Context {
	return gatehouse.NewContext(t.Context(), gatehouse.Principal{Method: "api_key", Subject: "ada", Credential: "key", Tenant: name})
}

func jobOf(t *testing.T, name string) context.Context {
	return must(tenant.Job(t.Context(), name))
}

func TestNewRejectsNames(t *testing.T) {
	for _, name := range []string{"", "a\nb", "a\x00", "\xff", strings.Repeat("a", 256)} {
		if _, err := tenant.New(name); err == nil {
			t.Errorf("New(%q): no error", name)
		}
	}
}

func TestKey(t *testing.T) {
	for _, test := range []struct {
		tenant string
		parts  []string
		want   string
	}{
		{"acme", []string{"conversation", "42"}, "t:acme:conversation:42"},
		{"a:b", []string{"c"}, "t:a%3Ab:c"},
		{"a", []string{"b:c"}, "t:a:b%3Ac"},
		{"a", []string{"b", "c"}, "t:a:b:c"},
		{"a", []string{""}, "t:a:"},
		{"a", []string{"", ""}, "t:a::"},
		{"a%3Ab", []string{"c"}, "t:a%253Ab:c"},
		{"caf\u00e9", []string{"*\xff\x00"}, "t:caf%C3%A9:%2A%FF%00"},
		{"..", []string{"."}, "t:%2E%2E:%2E"},
		{"azAZ09-_.", []string{"`az{", "@AZ[", "/09:"}, "t:azAZ09-_.:%60az%7B:%40AZ%5B:%2F09%3A"},
	} {
		if got := space(test.tenant).Key(test.parts...); got != test.want {
			t.Errorf("Key(%q, %q) = %s, want %s", test.tenant, test.parts, got, test.want)
		}
	}
	for _, key := range []string{"t:globex:t:acme:x", "xt:acme:x", "t:acme", "t:acme2:x"} {
		if space("acme").Owns(key) {
			t.Errorf("Owns(%s) of acme = true, want false", key)
		}
	}
	wantPanic(t, "tenant: Namespace.Key: at least one part is required", func() { space("a").Key() })
	for _, f := range []func(){
		func() { tenant.Namespace{}.Key("x") }, func() { tenant.Namespace{}.Owns("t::x") }, func() { _, _ = tenant.Namespace{}.Blob("x") }, func() { _, _ = tenant.Namespace{}.Blob("..") },
		func() { tenant.Namespace{}.Tenant() }, func() { tenant.Namespace{}.Index("x") },
	} {
		wantPanic(t, "tenant: a Namespace is made by New or Of", f)
	}
}

// Different tenants or parts have different keys, and Owns knows whose they are.
func FuzzKey(f *testing.F) {
	f.Add("a", "b:c", "a:b", "c")
	f.Add("a", "", "a", ":")
	f.Add("acme2", "", "acme", "x")
	f.Fuzz(func(t *testing.T, tenant1, part1, tenant2, part2 string) {
		one, err1 := tenant.New(tenant1)
		two, err2 := tenant.New(tenant2)
		if err1 != nil || err2 != nil {
			return
		}
		a, b := one.Key(part1), two.Key(part2)
		if (a == b) != (tenant1 == tenant2 && part1 == part2) {
			t.Errorf("Key(%q, %q) = %s, Key(%q, %q) = %s", tenant1, part1, a, tenant2, part2, b)
		}
		if !one.Owns(a) || two.Owns(a) != (tenant1 == tenant2) || one.Key(part1, part2) == one.Key(part1+":"+part2) {
			t.Errorf("Owns(%s) of %q and %q", a, tenant1, tenant2)
		}
	})
}

func TestBlobStaysInItsDirectory(t *testing.T) {
	n := space("a/..")
	for name, want := range map[string]string{
		"x": "tenants/a%2F../x", "models/tuned.bin": "tenants/a%2F../models/tuned.bin",
		"": "", ".": "", "..": "", "../b/x": "", "a/../../b": "", "/x": "", "x/": "", "a//b": "", `..\b`: "", "a\x00": "", strings.Repeat("x", 513): "",
	} {
		if got, err := n.Blob(name); got != want || (err == nil) != (want != "") {
			t.Errorf("Blob(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
	if got, _ := space("..").Blob("x"); got != "tenants/%2E%2E/x" {
		t.Errorf("Blob of the tenant .. = %s", got)
	}
}

func TestIndexNamesAreDistinct(t *testing.T) {
	if got := space("acme").Index("docs"); got != "t-x2kpoqyerrsnvbd6c6iwx7m6y23yv75akfydgyyfkpk" { // products keep it
		t.Errorf("Index = %s, want the name of before", got)
	}
	form, seen := regexp.MustCompile(`^t-[a-z2-7]{43}$`), make(map[string]bool)
	for _, name := range []string{"acme", "ACME", "Acme", "ac", "globex"} {
		for _, index := range []string{"docs", "Docs", "me:docs", ""} {
			got := space(name).Index(index)
			if !form.MatchString(got) || seen[got] || got != space(name).Index(index) {
				t.Errorf("Index(%q, %q) = %s", name, index, got)
			}
			seen[got] = true
		}
	}
}

// The tenant is that of the caller, or that which a background job names.
func TestOf(t *testing.T) {
	for name, test := range map[string]struct {
		ctx  context.Context //nolint:containedctx // of one call
		want string
	}{
		"nothing": {t.Context(), ""}, "caller": {as(t, "acme"), "acme"}, "caller without tenant": {as(t, ""), ""}, "job": {jobOf(t, "acme"), "acme"},
		"caller within a job": {gatehouse.NewContext(jobOf(t, "acme"), gatehouse.Principal{Method: "jwt"}), ""},
	} {
		n, err := tenant.Of(test.ctx)
		if (err == nil) != (test.want != "") || err == nil && n.Tenant() != test.want || err != nil && !errors.Is(err, tenant.ErrNone) {
			t.Errorf("%s: Of = %v, %v, want %q", name, n, err, test.want)
		}
	}
}

func TestJobStaysInItsTenant(t *testing.T) {
	for name, test := range map[string]struct {
		ctx    context.Context //nolint:containedctx // of one call
		tenant string
		ok     bool
	}{
		"none": {t.Context(), "acme", true}, "own": {as(t, "acme"), "acme", true}, "same job": {jobOf(t, "acme"), "acme", true},
		"of another caller": {as(t, "globex"), "acme", false}, "of a caller without tenant": {as(t, ""), "acme", false}, "of another job": {jobOf(t, "globex"), "acme", false},
		"unnamed": {t.Context(), "", false},
	} {
		ctx, err := tenant.Job(test.ctx, test.tenant)
		if (err == nil) != test.ok {
			t.Errorf("%s: Job error = %v", name, err)
		}
		if err != nil {
			continue
		}
		if _, ok := gatehouse.FromContext(ctx); ok {
			t.Errorf("%s: the job has a caller", name)
		}
		if n, err := tenant.Of(ctx); err != nil || n.Tenant() != test.tenant {
			t.Errorf("%s: Of = %v, %v", name, n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	job, err := tenant.Job(ctx, "acme")
	if cancel(); err != nil || job.Err() == nil {
		t.Errorf("the job does not end with its context: %v", err)
	}
}

// What belongs to another tenant is refused and recorded.
func TestCheckRecordsForeignAccess(t *testing.T) {
	var events []gatehouse.Event
	observer := gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error { events = append(events, e); return nil })
	if err := errors.Join(tenant.Check(as(t, "acme"), observer, "acme"), tenant.Check(jobOf(t, "acme"), observer, "acme")); err != nil || len(events) > 0 {
		t.Errorf("Check of the own tenant: error = %v, %d events", err, len(events))
	}
	for name, ctx := range map[string]context.Context{"caller": as(t, "acme"), "caller without": as(t, ""), "job": jobOf(t, "acme"), "nothing": t.Context()} {
		events = nil
		cause, credential, own := "another tenant", "", "acme"
		if name == "caller without" || name == "nothing" {
			cause, own = "has no tenant", ""
		}
		if strings.HasPrefix(name, "caller") {
			credential = "key"
		}
		e, ok := errors.AsType[*gatehouse.Error](tenant.Check(ctx, observer, "globex"))
		if !ok || e.Code != gatehouse.CodeAccessDenied || e.Reason != tenant.ReasonMismatch {
			t.Errorf("%s: Check error = %v", name, e)
		}
		if len(events) != 1 || events[0].Type != tenant.EventCrossTenant || fmt.Sprint(events[0].Attrs) != "["+tenant.AttrOwner+"=globex tenant="+own+"]" ||
			!strings.Contains(events[0].Cause.Error(), cause) || events[0].Credential != credential || events[0].Principal.Credential != credential {
			t.Errorf("%s: events = %+v, want one with the cause %q and the credential %q", name, events, cause, credential)
		}
		if tenant.Check(ctx, nil, "globex") == nil || tenant.Check(ctx, nil, "") == nil {
			t.Errorf("%s: Check without an observer: no error", name)
		}
	}
	failing := gatehouse.ObserverFunc(func(context.Context, gatehouse.Event) error { return errors.New("down") })
	if e, ok := errors.AsType[*gatehouse.Error](tenant.Check(as(t, "acme"), failing, "globex")); !ok || e.Reason != gatehouse.ReasonObserverFailed {
		t.Errorf("Check with a failing observer: error = %v", e)
	}
}

func TestRequired(t *testing.T) {
	for name, want := range map[string]bool{"acme": true, "": false} {
		if err := tenant.Required().Authorize(nil, gatehouse.Principal{Tenant: name}); (err == nil) != want {
			t.Errorf("Authorize(tenant %q) error = %v", name, err)
		}
	}
}

// memory is a store of values and of objects, which fails if it is nil.
type memory map[string]string

func (m memory) err() error {
	if m == nil {
		return errDown
	}
	return nil
}

func (m memory) Get(_ context.Context, key string) ([]byte, error) {
	if value, ok := m[key]; ok {
		return []byte(value), nil
	}
	return nil, m.err()
}

func (m memory) Set(ctx context.Context, key string, value []byte) error {
	return m.Write(ctx, key, bytes.NewReader(value))
}

func (m memory) Delete(_ context.Context, key string) error { delete(m, key); return m.err() }

func (m memory) Open(_ context.Context, name string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(m[name])), m.err()
}

func (m memory) Write(_ context.Context, name string, content io.Reader) error {
	if m == nil {
		return errDown
	}
	text, err := io.ReadAll(content)
	m[name] = string(text)
	return err
}

func (m memory) Remove(ctx context.Context, name string) error { return m.Delete(ctx, name) }

func TestSeparatedStores(t *testing.T) {
	m := memory{}
	values, blobs := tenant.Separated(m), tenant.SeparatedBlobs(m)
	for _, name := range []string{"acme", "globex"} {
		ctx := as(t, name)
		if err := errors.Join(values.Set(ctx, "k", []byte(name)), blobs.Write(ctx, "b", strings.NewReader(name))); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"t:acme:k", "t:globex:k", "tenants/acme/b", "tenants/globex/b"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(m))); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for _, name := range []string{"acme", "globex"} {
		ctx := jobOf(t, name)
		if value := must(values.Get(ctx, "k")); string(value) != name {
			t.Errorf("Get as %s = %s", name, value)
		}
		r := must(blobs.Open(ctx, "b"))
		if text := must(io.ReadAll(r)); string(text) != name {
			t.Errorf("Open as %s = %s", name, text)
		}
		if value := must(values.Get(ctx, "t:globex:k")); value != nil {
			t.Errorf("Get of the key of globex in the store, as %s = %s, want none", name, value)
		}
	}
	allFail := func(name string, ctx context.Context, want error) {
		_, err1 := values.Get(ctx, "k")
		_, err2 := blobs.Open(ctx, "b")
		for _, err := range []error{
			err1, err2, values.Set(ctx, "k", nil), values.Delete(ctx, "k"), blobs.Write(ctx, "b", strings.NewReader("")), blobs.Remove(ctx, "b"),
		} {
			if !errors.Is(err, want) {
				t.Errorf("%s: error = %v, want %v", name, err, want)
			}
		}
	}
	allFail("no tenant", as(t, ""), tenant.ErrNone)
	allFail("nothing", t.Context(), tenant.ErrNone)
	if _, err := blobs.Open(as(t, "acme"), "../globex/b"); err == nil {
		t.Error("Open of another directory: no error")
	}
	ctx := as(t, "acme")
	if err := errors.Join(values.Delete(ctx, "k"), blobs.Remove(ctx, "b")); err != nil || len(m) != 2 {
		t.Errorf("Delete and Remove: %v, left %v", err, m)
	}
	m = nil // which fails
	values, blobs = tenant.Separated(m), tenant.SeparatedBlobs(m)
	allFail("a store that fails", ctx, errDown)
}

func TestProtectQuotes(t *testing.T) {
	want := strings.ReplaceAll(`ALTER TABLE NAME ALTER COLUMN "tenant" SET NOT NULL;
ALTER TABLE NAME ALTER COLUMN "tenant" SET DEFAULT nullif(current_setting('gatehouse.tenant', true), '');
ALTER TABLE NAME ENABLE ROW LEVEL SECURITY;
ALTER TABLE NAME FORCE ROW LEVEL SECURITY;
CREATE POLICY gatehouse_tenant ON NAME USING ("tenant" = (SELECT nullif(current_setting('gatehouse.tenant', true), ''))) WITH CHECK ("tenant" = (SELECT nullif(current_setting('gatehouse.tenant', true), '')));
`, "NAME", `"app"."no""tes; DROP TABLE x"`)
	if diff := cmp.Diff(want, tenant.Protect(`app.no"tes; DROP TABLE x`, "tenant")); diff != "" {
		t.Errorf("Protect (-want +got):\n%s", diff)
	}
	for _, name := range []string{"", "a.", "\x00"} {
		wantPanic(t, "is not a name", func() { tenant.Protect(name, "tenant") })
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
