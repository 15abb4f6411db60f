// SPDX-License-Identifier: Apache-2.0

package tenant_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/alloctest"
	"github.com/gatehouse-go/gatehouse/tenant"
)

const (
	notNamed = "tenant: the request names no tenant"
	noValue  = `tenant: the request has no path value "tenant": check the pattern of the route, and that the router sets path values`
	several  = "tenant: the request has several tenant headers"
	noTenant = "tenant: the caller has no tenant"
	other    = "tenant: the request names another tenant than that of the caller"
)

// check calls a policy for a caller of the tenant own; want is "" or the cause of
// the refusal.
func check(t *testing.T, policy gatehouse.Policy, r *http.Request, own, want string) {
	t.Helper()
	err := policy.Authorize(r, gatehouse.Principal{Method: "jwt", Tenant: own})
	if want == "" && err == nil {
		return
	}
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok || e.Code != gatehouse.CodeAccessDenied || e.Reason != tenant.ReasonMismatch || e.Cause == nil || e.Cause.Error() != want {
		t.Errorf("Authorize(%s %s, caller of %q) error = %v (%v), want %q", r.Host, r.URL, own, err, errors.Unwrap(err), want)
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
		{"/tenants/{tenant}/reports", "/tenants/acme/reports", "", noTenant},
		{"/tenants/{tenant...}", "/tenants/acme/x", "acme", other},
		{"/tenants/{tenant...}", "/tenants/", "acme", noValue},
		{"/tenants/{tenant...}", "/tenants/", "", noTenant},
		{"/tenants/{other}/reports", "/tenants/acme/reports", "acme", noValue},
		{"/reports", "/reports?tenant=acme", "acme", noValue},
	} {
		reached := false
		mux := http.NewServeMux()
		mux.HandleFunc(test.pattern, func(_ http.ResponseWriter, r *http.Request) {
			reached = true
			check(t, tenant.FromPath("tenant"), r, test.own, test.want)
		})
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", test.path, nil))
		if !reached {
			t.Errorf("path %s does not match the pattern %s", test.path, test.pattern)
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
		{"az09.example.com", "az09", ""},
		{"0.example.com", "0", ""},
		{long + ".example.com", long, ""},
		{"acme.example.com", "evil", other},
		{"acme.example.com", "Acme", other}, // host names are case-insensitive, tenants are not
		{"ACME.example.com", "ACME", other},
		{"acme.example.com", "", noTenant},
		{"", "", noTenant},
		{"", "acme", notNamed},
		{"example.com", "acme", notNamed},
		{"acme", "acme", notNamed},
		{"acme:80", "acme", notNamed},
		{"example.com", "example", notNamed},
		{".example.com", "acme", notNamed},
		{"acme..example.com", "acme", notNamed},
		{"a.acme.example.com", "acme", notNamed},
		{"a.acme.example.com", "a.acme", notNamed},
		{"a.acme.example.com", "a", notNamed},
		{"acme.example.com.", "acme", notNamed},
		{"acme.example.com.evil.org", "acme", notNamed},
		{"acme.example.org", "acme", notNamed},
		{"acmeexample.com", "acme", notNamed},
		{"acme.example.com:", "acme", notNamed},
		{"acme.example.com:80:80", "acme", notNamed},
		{"acme.example.com:http", "acme", notNamed},
		{"acme.example.com:8443.example.com", "acme", notNamed},
		{"evil.org:1.acme.example.com", "acme", notNamed},
		{"acme.example.com/", "acme", notNamed},
		{"acme.example.com ", "acme", notNamed},
		{" acme.example.com", "acme", notNamed},
		{"acme.example.com, evil.example.com", "acme", notNamed},
		{"acme%2eexample.com", "acme", notNamed},
		{"acme@x.example.com", "acme@x", notNamed},
		{"acme\x00.example.com", "acme", notNamed},
		{"-acme.example.com", "-acme", notNamed},
		{"acme-.example.com", "acme-", notNamed},
		{"a_b.example.com", "a_b", notNamed},
		{"*.example.com", "*", notNamed},
		{long + "a.example.com", long + "a", notNamed},
		{"k.example.com", "k", ""},
		{"\u212a.example.com", "k", notNamed}, // the Kelvin sign, with the lower case k
		{"caf\u00e9.example.com", "caf\u00e9", notNamed},
		{"\xff.example.com", "\xff", notNamed},
		{"[::1]:8443", "acme", notNamed},
		{"127.0.0.1", "127", notNamed},
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
		{nil, "acme", notNamed},
		{[]string{""}, "acme", notNamed},
		{[]string{"acme"}, "", noTenant},
		{[]string{""}, "", noTenant},
		{nil, "", noTenant},
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
	wantPanic(t, `tenant: FromPath: got "", want the name of a wildcard without braces`, func() { tenant.FromPath("") })
	wantPanic(t, `tenant: FromPath: got "{tenant}", want the name of a wildcard without braces`, func() { tenant.FromPath("{tenant}") })
	wantPanic(t, "tenant: FromHeader: the name of a header is required", func() { tenant.FromHeader("") })
	for _, suffix := range []string{
		"", ".", ".example.com", "example.com.", "example..com", "Example.com", "example.com:443", "*.example.com",
		"https://example.com", "example.com/", "-a.com", "caf\u00e9.com", " example.com", strings.Repeat("a", 64),
	} {
		wantPanic(t, fmt.Sprintf("tenant: FromHost: got %q, want a host name in lower case", suffix), func() { tenant.FromHost(suffix) })
	}
}

func wantPanic(t *testing.T, message string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := recover(); !strings.Contains(fmt.Sprint(got), message) {
			t.Errorf("panic = %v, want %q", got, message)
		}
	}()
	f()
}

func TestPoliciesDoNotAllocate(t *testing.T) {
	r := httptest.NewRequest("GET", "http://acme.example.com:8443/", nil)
	r.SetPathValue("tenant", "acme")
	r.Header.Set("X-Tenant", "acme")
	p := gatehouse.Principal{Method: "jwt", Tenant: "acme"}
	for name, policy := range map[string]gatehouse.Policy{
		"path": tenant.FromPath("tenant"), "host": tenant.FromHost("example.com"), "header": tenant.FromHeader("x-tenant"),
	} {
		t.Run(name, func(t *testing.T) {
			alloctest.AtMost(t, 0, func() {
				if err := policy.Authorize(r, p); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// FromHost allows only callers whose tenant is the whole label before the suffix.
func FuzzFromHost(f *testing.F) {
	for _, seed := range []string{"acme.example.com", "ACME.example.com:80", "a.b.example.com", ".example.com", "\u212a.example.com", "[::1]:80", ""} {
		f.Add(seed, "acme")
	}
	policy := tenant.FromHost("example.com")
	f.Fuzz(func(t *testing.T, host, own string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		allowed := policy.Authorize(r, gatehouse.Principal{Method: "jwt", Tenant: own}) == nil
		name, _, _ := strings.Cut(host, ":")
		if allowed && (own == "" || strings.Contains(own, ".") || len(name) != len(own)+len(".example.com") || !strings.EqualFold(name, own+".example.com")) {
			t.Errorf("FromHost allows a caller of %q at %q", own, host)
		}
	})
}
