// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
)

// introspectionServer answers for the tokens that it knows.
type introspectionServer struct {
	*httptest.Server

	mu    sync.Mutex
	asked []string
}

const apiAudience = "https://api.example.com"

// newIntrospectionServer returns a server whose client is rs with the secret "s&cret".
// An answer is a JSON object, or a status.
func newIntrospectionServer(t *testing.T, answers map[string]any) *introspectionServer {
	t.Helper()
	s := &introspectionServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		token := r.PostFormValue("token")
		s.mu.Lock()
		s.asked = append(s.asked, token)
		s.mu.Unlock()
		if id != "rs" || secret != "s%26cret" || r.Method != http.MethodPost || r.URL.Path != "/introspect" {
			t.Errorf("introspection by %q with %q: %s %s, want the client, form-encoded", id, secret, r.Method, r.URL)
		}
		switch answer := answers[token].(type) {
		case int:
			http.Redirect(w, r, "/elsewhere", answer)
		case string:
			_, _ = w.Write([]byte(answer))
		case nil:
			_, _ = w.Write([]byte(`{"active":false}`))
		default:
			_ = json.NewEncoder(w).Encode(answer)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// config returns the configuration of the endpoint with changes.
func (s *introspectionServer) config(t *testing.T, changes object) object {
	t.Helper()
	return with(object{
		"issuer": s.URL, "endpoint": s.URL + "/introspect", "client_id": "rs", "client_secret": "file:" + writeFile(t, "secret", "s&cret"), "audience": apiAudience,
	}, changes)
}

func active(changes object) object {
	return with(object{
		"active": true, "sub": "alice", "aud": apiAudience, "client_id": "web", "scope": "reports:read", "tenant": "acme", "exp": time.Now().Add(time.Hour).Unix(),
	}, changes)
}

func TestOpaqueTokens(t *testing.T) {
	t.Parallel()
	me := newProver(t)
	const invalid, unavailable = "401 invalid_token", "503 temporarily_unavailable"
	answers, wants := make(map[string]any), map[string]string{
		"second-as-knows": "200", "of-another-tenant": invalid, "unknown-token-1": invalid, "not*b64token": "400 invalid_request",
	}
	for _, test := range []struct {
		token  string
		answer any
		want   string
	}{
		{"is-active", active(nil), "200"},
		{"several-audiences", active(object{"aud": []string{"x", apiAudience}}), "200"},
		{"is-bound", active(object{"cnf": object{"jkt": me.Thumbprint()}}), invalid},
		{"unknown-cnf-member", active(object{"cnf": object{"kid": "1"}}), invalid},
		{"without-audience", active(object{"aud": nil}), invalid},
		{"another-audience", active(object{"aud": "https://other.example.com"}), invalid},
		{"another-issuer", active(object{"iss": "https://other.example.com"}), invalid},
		{"is-expired", active(object{"exp": time.Now().Add(-time.Hour).Unix()}), invalid},
		{"redirected", http.StatusFound, unavailable},
		{"server-error", http.StatusInternalServerError, unavailable},
		{"no-json-document", "active", unavailable},
		{"active-no-boolean", object{"active": "true"}, unavailable},
	} {
		answers[test.token], wants[test.token] = test.answer, test.want
	}
	first := newIntrospectionServer(t, answers)
	second := newIntrospectionServer(t, map[string]any{"second-as-knows": active(nil), "of-another-tenant": active(object{"tenant": "globex"})})
	p := start(t, configure(nil, object{
		"issuers": nil, "public_origin": publicOrigin, "dpop": object{},
		"introspection": []object{first.config(t, object{"any_tenant": true}), second.config(t, object{"tenants": []string{"acme"}})},
	}))
	for token, want := range wants {
		p.do("GET", "/whoami", "Authorization", "Bearer "+token).want(t, token, want)
	}
	a := p.do("GET", "/whoami", "Authorization", "DPoP is-bound", "DPoP", me.proof("GET", publicOrigin+"/whoami", "is-bound", nil))
	if a.status != http.StatusOK || !strings.Contains(a.body, `"binding":"dpop"`) || !strings.Contains(a.body, `"tenant":"acme"`) {
		t.Errorf("bound: response = %s %s, want 200 with the binding dpop", a, a.body)
	}
	p.do("GET", "/readyz").want(t, "GET /readyz", "200")
}

func TestIntrospectionCache(t *testing.T) {
	t.Parallel()
	for _, cache := range []string{"", "5s"} {
		as := newIntrospectionServer(t, map[string]any{"is-active": active(nil)})
		p, issuer := serve(t, object{"introspection": []object{as.config(t, object{"any_tenant": true, "cache": cache})}})
		for range 3 {
			p.do("GET", "/reports", "Authorization", "Bearer is-active").want(t, "opaque token", "200")
		}
		p.with(issuer.Token(nil), "GET", "/whoami").want(t, "JWT", "200")
		if all := len(as.asked) == 3; all != (cache == "") { // a slow machine can ask twice
			t.Errorf("cache %q: the endpoint was asked %d times for 3 requests", cache, len(as.asked))
		}
	}
}

func TestInvalidIntrospectionConfigIsRefused(t *testing.T) {
	t.Parallel()
	as := newIntrospectionServer(t, nil)
	issuer := authtest.NewIssuer(t)
	var tests []refusal
	for name, test := range map[string]struct {
		issuers []object
		changes object
		want    string
	}{
		"issuer":                      {nil, object{"issuer": "x"}, "introspection[0].issuer: "},
		"endpoint":                    {nil, object{"endpoint": nil}, "introspection[0].endpoint: "},
		"endpoint on plain http":      {nil, object{"endpoint": "http://as.example.com/introspect"}, "introspection[0].endpoint: "},
		"client ID":                   {nil, object{"client_id": nil}, "introspection[0].client_id: "},
		"client secret":               {nil, object{"client_secret": "literal"}, "introspection[0].client_secret: "},
		"audience":                    {nil, object{"audience": nil}, "introspection[0].audience: "},
		"cache":                       {nil, object{"cache": "soon"}, "introspection[0].cache: "},
		"long cache":                  {nil, object{"cache": "6s"}, "introspection[0].cache: "},
		"two issuers":                 {[]object{trust(issuer, nil)}, nil, "introspection[0].tenants: "},
		"two issuers, the other list": {[]object{trust(issuer, object{"any_tenant": nil})}, object{"any_tenant": true}, "issuers[0].tenants: "},
		"one issuer, limited":         {[]object{trust(issuer, object{"issuer": as.URL, "any_tenant": nil, "tenants": []string{"acme"}})}, nil, "introspection[0].tenants: "},
		"one limited endpoint":        {[]object{trust(issuer, object{"issuer": as.URL, "any_tenant": nil})}, object{"tenants": []string{"acme"}}, "issuers[0].tenants: "},
	} {
		config := configure(test.issuers, object{"introspection": []object{as.config(t, test.changes)}})
		if test.issuers == nil {
			delete(config, "issuers")
		}
		tests = append(tests, refusal{name, config, test.want})
	}
	checkRefused(t, tests)
}
