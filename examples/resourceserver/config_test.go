// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const secret = "kZ0u7Jw3Qy9Xc5Vb1Nm8As4Df6Gh2Lp0" // 32 bytes

// good returns the configuration of an issuer that the test does not call.
func good(changes object) object {
	return with(object{
		"issuer": "https://auth.example.com", "audience": "https://api.example.com",
		"algorithms": []string{"RS256"}, "jwks_url": "https://auth.example.com/jwks.json",
	}, changes)
}

func TestInvalidConfigIsRefused(t *testing.T) {
	t.Setenv("GOOD_SECRET", secret)
	t.Setenv("SHORT_SECRET", secret[:31])
	anyTenant := object{"any_tenant": true}
	one := func(changes object) object { return configure([]object{good(changes)}, nil) }
	top := func(changes object) object { return configure([]object{good(nil)}, changes) }
	hs256 := func(changes object) object {
		return configure([]object{with(good(object{"algorithms": []string{"HS256"}, "jwks_url": nil, "secret": "env:GOOD_SECRET"}), changes)}, nil)
	}
	open := writeFile(t, "open", secret)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []refusal{
		// The file.
		{"empty file", "", "byte 0: EOF"},
		{"not JSON", "addr: 127.0.0.1:0", "byte 0: invalid character 'a'"},
		{"cut off", `{"addr":"127.0.0.1:0"`, "byte 21: EOF"},
		{"a comma too many", "{\n\"addr\":\"127.0.0.1:0\",\n}", "byte 24: "},
		{"an array", "[]", "…unexpected array"},
		{"data after the object", `{"addr":"127.0.0.1:0"} {}`, "data after the JSON object"},
		{"junk after the object", `{"addr":"127.0.0.1:0"} }`, "data after the JSON object"},
		{"a field twice", `{"addr":"127.0.0.1:0","addr":"127.0.0.1:0"}`, `…"addr" occurs twice`},
		{"a field twice inside", `{"issuers":[{"issuer":"https://a.example","issuer":"https://b.example"}]}`, `…"issuer" occurs twice`},
		{"unknown field", top(object{"debug": true}), `…unknown field "debug"`},
		{"unknown field of an issuer", one(object{"jwks_uri": "https://auth.example.com"}), `…unknown field "jwks_uri"`},
		{"a field in capitals", top(object{"ADDR": "127.0.0.1:0", "addr": nil}), `…unknown field "ADDR"`},
		{"a field of another type", top(object{"addr": 8080}), `addr: unexpected number`},
		{"algorithms not a list", one(object{"algorithms": "RS256"}), `issuers.algorithms: unexpected string`},
		{"issuers not a list", top(object{"issuers": good(nil)}), "issuers: unexpected object"},
		{"api_keys not an object", top(object{"api_keys": "memory"}), "api_keys: unexpected string"},

		// The address.
		{"addr missing", top(object{"addr": nil}), `addr: "" is not host:port`},
		{"addr without a port", top(object{"addr": "127.0.0.1"}), "addr: "},
		{"addr of another machine", top(object{"addr": "192.0.2.1:0"}), "addr: "},

		// The resource.
		{"resource missing", top(object{"resource": nil}), "resource: required"},
		{"resource over plain http", top(object{"resource": "http://api.example.com"}), "resource: plain http"},

		// The issuers.
		{"no issuers", top(object{"issuers": []object{}}), "issuers: at least one is required"},
		{"issuer twice", top(object{"issuers": []object{good(anyTenant), good(anyTenant)}}), "issuers[1].issuer: duplicate"},
		{"issuer over plain http", one(object{"issuer": "http://auth.example.com"}), "issuers[0].issuer: plain http"},
		{"discovered issuer over plain http", one(object{"issuer": "http://auth.example.com", "jwks_url": nil}), "issuers[0].issuer: plain http"},
		{"issuer without a scheme", one(object{"issuer": "auth.example.com", "jwks_url": nil}), "issuers[0].issuer: not an absolute URL"},
		{"second issuer", top(object{"issuers": []object{good(anyTenant), good(object{"issuer": "", "any_tenant": true})}}), "issuers[1].issuer: required"},
		{"audience empty", one(object{"audience": ""}), "issuers[0].audience: required"},
		{"no tenants", top(object{"issuers": []object{good(anyTenant), good(object{"issuer": "https://b.example"})}}), "issuers[1].tenants: required with several issuers, or any_tenant"},
		{"tenants and any_tenant", one(object{"tenants": []string{"acme"}, "any_tenant": true}), "issuers[0].any_tenant: excludes tenants"},
		{"profile unknown", one(object{"profile": "lax"}), `issuers[0].profile: "lax" is neither`},

		// What providers need.
		{"an empty audience of several", one(object{"audiences": []string{"a", ""}}), "issuers[0].audiences[1]: must be"},
		{"clients with rfc9068", one(object{"clients": []string{"web"}}), `issuers[0].clients: requires profile "compat"`},
		{"no audience, rfc9068", one(object{"audience": nil, "accept_missing_audience": true}), `issuers[0].accept_missing_audience: requires profile "compat"`},
		{"mark without a name", one(object{"require": []object{{"values": []string{"a"}}}}), "issuers[0].require[0]"},
		{"mark with an unknown field", one(object{"require": []object{{"clam": "typ"}}}), `…unknown field "clam"`},
		{"mark of two things", one(object{"refuse": []object{{"claim": "typ", "header": "typ"}}}), "issuers[0].refuse[0]"},
		{"pointer that is malformed", one(object{"roles_claims": []string{"/a~2"}}), "issuers[0].roles_claims[0]"},

		// The algorithms.
		{"algorithms missing", one(object{"algorithms": nil}), "issuers[0].algorithms: at least one is required"},
		{"none", one(object{"algorithms": []string{"none"}}), `issuers[0].algorithms: "none" is not supported`},

		// The keys.
		{"jwks_url over plain http", one(object{"jwks_url": "http://auth.example.com/jwks.json"}), "issuers[0].jwks_url: plain http"},
		{"HS256 with jwks_url", one(object{"algorithms": []string{"HS256"}}), "issuers[0].jwks_url: HS256"},
		{"HS256 with discovery", one(object{"algorithms": []string{"HS256"}, "jwks_url": nil}), "issuers[0].secret: HS256"},
		{"HS256 with jwks_url and secret", hs256(object{"jwks_url": "https://auth.example.com/jwks.json"}), "issuers[0].secret: excludes jwks_url"},
		{"RS256 with jwks_url and secret", one(object{"secret": "env:GOOD_SECRET"}), "issuers[0].secret: excludes jwks_url"},
		{"RS256 with secret", hs256(object{"algorithms": []string{"RS256"}}), "issuers[0].secret: a shared secret is only for HS* algorithms, got RS256"},
		{"literal secret", hs256(object{"secret": secret}), "issuers[0].secret: gatehouse: secret: must be env:NAME or file:PATH"},
		{"secret not set", hs256(object{"secret": "env:NO_SUCH_SECRET"}), "issuers[0].secret: gatehouse: secret env:NO_SUCH_SECRET: not set"},
		{"secret too short", hs256(object{"secret": "env:SHORT_SECRET"}), "…at least 32 are required"},
		{"secret too short for HS512", hs256(object{"algorithms": []string{"HS256", "HS512"}}), "…HS512 requires at least 64"},
		{"secret in a file that is open to all", hs256(object{"secret": "file:" + open}), "…mode 0644"},
	}
	for _, address := range []string{"0.0.0.0:0", ":9464", "127.0.0.1", "192.0.2.1:9464", "localhost:9464", "[::]:0", "127.0.0.1:x"} {
		tests = append(tests, refusal{"metrics_addr " + address, top(object{"metrics_addr": address}), "metrics_addr: "})
	}
	checkRefused(t, tests)
}

// TestConfigErrorsAreJoined: all errors of the values are reported at once, then
// all errors of the library.
func TestConfigErrorsAreJoined(t *testing.T) {
	for name, test := range map[string]struct {
		config any
		want   []string // the fields
	}{
		"null":       {"null", []string{"addr"}},
		"no issuers": {object{"addr": "127.0.0.1:0"}, []string{"issuers"}},
		"two issuers": {configure([]object{good(object{"audience": "", "algorithms": []string{"none"}, "any_tenant": true}), good(object{"issuer": "http://auth.example.com", "jwks_url": nil, "any_tenant": true})}, nil), []string{
			"issuers[0].audience", "issuers[0].algorithms", "issuers[1].issuer",
		}},
		"values": {object{
			"addr": "a", "issuers": []object{good(object{"profile": "d", "any_tenant": true}), good(object{"secret": "e", "jwks_url": nil, "any_tenant": true})},
			"api_keys": object{"cache_ttl": "a", "mint": []object{{"name": ""}}},
		}, []string{"addr", "issuers[0].profile", "issuers[1].secret", "api_keys.mint", "api_keys.cache_ttl", "api_keys.mint[0].name"}},
		"library": {object{
			"addr": "127.0.0.1:0", "resource": "b", "issuers": []object{good(nil)}, "api_keys": object{"driver": "memory", "cache_ttl": "6s"},
		}, []string{"api_keys.cache_ttl", "resource"}},
	} {
		var fields []string
		got := refuse(t, test.config)
		for line := range strings.SplitSeq(got, "\n") {
			field, _, _ := strings.Cut(line, ": ")
			fields = append(fields, field)
		}
		slices.Sort(fields)
		if slices.Sort(test.want); !slices.Equal(fields, test.want) {
			t.Errorf("%s: run = %s, want lines for %q", name, got, test.want)
		}
	}
}

// TestExitStatus runs this binary as the app.
func TestExitStatus(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.json")
	for _, test := range []struct {
		args   []string
		status int
		want   string // on standard error
	}{
		{nil, 2, "-config"},
		{[]string{"-config", missing, "more"}, 2, "-config"},
		{[]string{"-config", missing}, 1, "resourceserver: " + missing + ":\nno such file"},
		{[]string{"-config", writeConfig(t, "{}")}, 1, "\naddr: "},
	} {
		app := exec.CommandContext(t.Context(), os.Args[0], test.args...) //nolint:gosec // this binary
		app.Env = append(os.Environ(), appBinary+"=1")
		var stdout, stderr strings.Builder
		app.Stdout, app.Stderr = &stdout, &stderr
		_ = app.Run()
		if got := app.ProcessState.ExitCode(); got != test.status || stdout.String() != "" || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("resourceserver %q = %d, stdout %q, stderr %q, want %d, %q", test.args, got, &stdout, &stderr, test.status, test.want)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	p := start(t, configure([]object{good(nil)}, object{"metrics_addr": "[::1]:0"}))
	for field, taken := range map[string]string{"addr": p.URL, "metrics_addr": strings.TrimSuffix(p.metricsURL(), "/metrics")} {
		got := refuse(t, configure([]object{good(nil)}, object{field: strings.TrimPrefix(taken, "http://")}))
		if !strings.HasPrefix(got, field+": ") {
			t.Errorf("run = %s, want an error of %s", got, field)
		}
	}
}

// TestExampleConfig starts the app with config.example.json.
func TestExampleConfig(t *testing.T) {
	example := must(filepath.Abs("config.example.json"))
	t.Chdir(t.TempDir()) // for the SQLite file
	text := must(os.ReadFile(example))
	p := start(t, strings.Replace(string(text), `"127.0.0.1:8080"`, `"127.0.0.1:0"`, 1))
	p.do("GET", "/healthz").want(t, "GET /healthz", "200")
	p.do("GET", "/whoami").want(t, "GET /whoami", "401 missing_credentials")
}
