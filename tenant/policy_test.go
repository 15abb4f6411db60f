// SPDX-License-Identifier: Apache-2.0

package tenant_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/tenant"
)

const (
	none    = "tenant: the request names no tenant"
	several = "tenant: the request names several tenants"
	nobodys = "tenant: the caller belongs to no tenant"
	other   = "tenant: the request names a tenant to which the caller does not belong"
)

// check has the policy decide; want is "" or the cause of the denial.
func check(t *testing.T, policy gatehouse.Policy, r *http.Request, own, want string) {
	t.Helper()
	err := policy(r, gatehouse.Principal{Method: gatehouse.MethodJWT, Tenant: own})
	if want == "" {
		if err != nil {
			t.Errorf("%s %s, caller of %q: %v", r.Host, r.URL, own, errors.Unwrap(err))
		}
		return
	}
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok || e.Code != gatehouse.CodeAccessDenied || e.Reason != gatehouse.ReasonTenant || e.Cause == nil || e.Cause.Error() != want {
		t.Errorf("%s %s, caller of %q: %v, want %s", r.Host, r.URL, own, errors.Unwrap(err), want)
	}
}

func TestFromPath(t *testing.T) {
	for _, test := range []struct{ pattern, path, own, want string }{
		{"/tenants/{tenant}/reports", "/tenants/acme/reports", "acme", ""},
		{"/tenants/{tenant}/reports", "/tenants/a%2Fb/reports", "a/b", ""},
		{"/tenants/{tenant}/reports", "/tenants/Acme%20Ltd/reports", "Acme Ltd", ""},
		{"/tenants/{tenant}/reports", "/tenants/acme/reports", "evil", other},
		{"/tenants/{tenant}/reports", "/tenants/acme/reports", "Acme", other},
		{"/tenants/{tenant}/reports", "/tenants/ACME/reports", "acme", other},
		{"/tenants/{tenant}/reports", "/tenants/acme%20/reports", "acme", other},
		{"/tenants/{tenant}/reports", "/tenants/acme%00/reports", "acme", other},
		{"/tenants/{tenant}/reports", "/tenants/*/reports", "acme", other},
		{"/tenants/{tenant}/reports", "/tenants/acme/reports", "*", other},
		{"/tenants/{tenant}/reports", "/tenants/acme/reports", "acme-2", other},
		{"/tenants/{tenant}/reports", "/tenants/acme/reports", "", nobodys},
		{"/tenants/{tenant...}", "/tenants/acme/x", "acme", other},
		{"/tenants/{tenant...}", "/tenants/", "acme", none},
		{"/tenants/{tenant...}", "/tenants/", "", nobodys},
		{"/tenants/{other}/reports", "/tenants/acme/reports", "acme", none},
		{"/reports", "/reports?tenant=acme", "acme", none},
	} {
		reached := false
		mux := http.NewServeMux()
		mux.HandleFunc(test.pattern, func(_ http.ResponseWriter, r *http.Request) {
			reached = true
			check(t, tenant.FromPath("tenant"), r, test.own, test.want)
		})
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", test.path, nil))
		if !reached {
			t.Errorf("%s does not match %s", test.path, test.pattern)
		}
	}
}

func TestFromHost(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, test := range []struct{ host, own, want string }{
		{"acme.example.com", "acme", ""},
		{"ACME.Example.COM", "acme", ""},
		{"acme.example.com:8443", "acme", ""},
		{"acme.example.com:0", "acme", ""},
		{"a-2.example.com", "a-2", ""},
		{"0.example.com", "0", ""},
		{long + ".example.com", long, ""},
		{"acme.example.com", "evil", other},
		{"acme.example.com", "Acme", other}, // host names know no case, tenants do
		{"ACME.example.com", "ACME", other},
		{"acme.example.com", "", nobodys},
		{"", "", nobodys},
		{"", "acme", none},
		{"example.com", "acme", none},
		{"acme", "acme", none},
		{"acme:80", "acme", none},
		{"example.com", "example", none},
		{".example.com", "acme", none},
		{"acme..example.com", "acme", none},
		{"a.acme.example.com", "acme", none},
		{"a.acme.example.com", "a.acme", none},
		{"a.acme.example.com", "a", none},
		{"acme.example.com.", "acme", none},
		{"acme.example.com.evil.org", "acme", none},
		{"acme.example.org", "acme", none},
		{"acmeexample.com", "acme", none},
		{"acme.example.com:", "acme", none},
		{"acme.example.com:80:80", "acme", none},
		{"acme.example.com:http", "acme", none},
		{"acme.example.com:8443.example.com", "acme", none},
		{"evil.org:1.acme.example.com", "acme", none},
		{"acme.example.com/", "acme", none},
		{"acme.example.com ", "acme", none},
		{" acme.example.com", "acme", none},
		{"acme.example.com, evil.example.com", "acme", none},
		{"acme%2eexample.com", "acme", none},
		{"acme@x.example.com", "acme@x", none},
		{"acme\x00.example.com", "acme", none},
		{"-acme.example.com", "-acme", none},
		{"acme-.example.com", "acme-", none},
		{"a_b.example.com", "a_b", none},
		{"*.example.com", "*", none},
		{long + "a.example.com", long + "a", none},
		{"k.example.com", "k", ""},
		{"\u212a.example.com", "k", none}, // the Kelvin sign, whose lower case is k
		{"caf\u00e9.example.com", "caf\u00e9", none},
		{"\xff.example.com", "\xff", none},
		{"[::1]:8443", "acme", none},
		{"127.0.0.1", "127", none},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = test.host
		r.Header.Set("X-Forwarded-Host", "acme.example.com")
		r.Header.Set("Host", "acme.example.com")
		check(t, tenant.FromHost("example.com"), r, test.own, test.want)
	}
	r := httptest.NewRequest("GET", "http://acme.localhost:8080/", nil)
	check(t, tenant.FromHost("localhost"), r, "acme", "")
}

func TestFromHeader(t *testing.T) {
	for _, test := range []struct {
		values    []string
		own, want string
	}{
		{[]string{"acme"}, "acme", ""},
		{[]string{"Acme Ltd"}, "Acme Ltd", ""},
		{[]string{"acme"}, "evil", other},
		{[]string{"Acme"}, "acme", other},
		{[]string{"acme "}, "acme", other},
		{[]string{"acme,evil"}, "acme", other},
		{[]string{"*"}, "acme", other},
		{nil, "acme", none},
		{[]string{""}, "acme", none},
		{[]string{"acme"}, "", nobodys},
		{[]string{""}, "", nobodys},
		{nil, "", nobodys},
		{[]string{"acme", "acme"}, "acme", several},
		{[]string{"acme", "evil"}, "acme", several},
		{[]string{"evil", "acme"}, "acme", several},
		{[]string{"acme", ""}, "acme", several},
	} {
		r := httptest.NewRequest("GET", "/?X-Tenant=acme", nil)
		for _, value := range test.values {
			r.Header.Add("X-Tenant", value)
		}
		r.Header.Set("X-Tenant-2", "acme")
		for _, name := range []string{"X-Tenant", "x-tenant", "X-TENANT"} {
			check(t, tenant.FromHeader(name), r, test.own, test.want)
		}
	}
}

func TestPoliciesPanic(t *testing.T) {
	mustPanic(t, "tenant: FromPath: no name", func() { tenant.FromPath("") })
	mustPanic(t, "tenant: FromHeader: no name", func() { tenant.FromHeader("") })
	for _, suffix := range []string{
		"", ".", ".example.com", "example.com.", "example..com", "Example.com", "example.com:443", "*.example.com",
		"https://example.com", "example.com/", "-a.com", "caf\u00e9.com", " example.com", strings.Repeat("a", 64),
	} {
		mustPanic(t, "tenant: FromHost: malformed suffix", func() { tenant.FromHost(suffix) })
	}
}

func mustPanic(t *testing.T, message string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := recover(); got != message {
			t.Errorf("panic %v, want %q", got, message)
		}
	}()
	f()
}

// The way of a request that is let in costs no memory.
func TestPoliciesDoNotAllocate(t *testing.T) {
	r := httptest.NewRequest("GET", "http://acme.example.com:8443/", nil)
	r.SetPathValue("tenant", "acme")
	r.Header.Set("X-Tenant", "acme")
	p := gatehouse.Principal{Method: gatehouse.MethodJWT, Tenant: "acme"}
	for name, policy := range map[string]gatehouse.Policy{
		"path": tenant.FromPath("tenant"), "host": tenant.FromHost("example.com"), "header": tenant.FromHeader("x-tenant"),
	} {
		if got := testing.AllocsPerRun(1000, func() {
			if err := policy(r, p); err != nil {
				t.Error(err)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

// Whatever the host is, the tenant that it names is one label, in front of the
// suffix, and nobody else's.
func FuzzFromHost(f *testing.F) {
	for _, seed := range []string{"acme.example.com", "ACME.example.com:80", "a.b.example.com", ".example.com", "\u212a.example.com", "[::1]:80", ""} {
		f.Add(seed, "acme")
	}
	policy := tenant.FromHost("example.com")
	f.Fuzz(func(t *testing.T, host, own string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		allowed := policy(r, gatehouse.Principal{Method: gatehouse.MethodJWT, Tenant: own}) == nil
		name, _, _ := strings.Cut(host, ":")
		if allowed && (own == "" || strings.Contains(own, ".") || len(name) != len(own)+len(".example.com") || !strings.EqualFold(name, own+".example.com")) {
			t.Errorf("a caller of %q at %q", own, host)
		}
	})
}
