// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

const api = "https://api.example.com"

// asServer is an authorization server without a network.
type asServer struct {
	calls   atomic.Int64
	respond http.HandlerFunc
}

func (s *asServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.calls.Add(1)
	w := httptest.NewRecorder()
	s.respond(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

func (s *asServer) replies(status int, body string) {
	s.respond = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://elsewhere.example.com/")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// endpoint returns the endpoint of a server with the issuer.
func endpoint(t testing.TB, s *asServer, issuer string) oauth.IntrospectionEndpoint {
	t.Helper()
	return oauth.IntrospectionEndpoint{
		Client: newClient(t, oauth.Config{Issuer: issuer, ClientID: clientID, Secret: secret(providertest.Secret), Transport: s}),
		URL:    issuer + "/introspect", Audiences: []string{api, "other"},
	}
}

func newIntrospector(t testing.TB, change func(*oauth.IntrospectorConfig), endpoints ...oauth.IntrospectionEndpoint) *oauth.Introspector {
	t.Helper()
	config := oauth.IntrospectorConfig{Endpoints: endpoints}
	if change != nil {
		change(&config)
	}
	i := must(oauth.NewIntrospector(config))
	t.Cleanup(func() { _ = i.Close() })
	return i
}

func opaque(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// The address of the endpoint comes from the metadata if it is not configured.
func TestIntrospectorDiscovers(t *testing.T) {
	s := providertest.New(t)
	s.Routes["/introspect"] = func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		// RFC 6749 §2.3.1 (basic)
		if user != "web+app" || password != "a+secret%2Bof+the+web+app%25" {
			t.Errorf("client authentication = %q %q, want both form-encoded", user, password)
		}
		if r.PostFormValue("token") != "opaque" || r.PostFormValue("token_type_hint") != "access_token" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("request %v %v, want the token, its type and JSON", r.PostForm, r.Header)
		}
		raw(200, `{"active":true,"sub":"alice","aud":"`+api+`"}`)(w, r)
	}
	i := newIntrospector(t, nil, oauth.IntrospectionEndpoint{Client: s.Client(), Audiences: []string{api}})
	if proof, err := i.Authenticate(opaque("opaque")); err != nil || proof.Principal().Kind != gatehouse.KindUser {
		t.Errorf("Authenticate = %+v, %v, want a user", proof.Principal(), err)
	}
	s = providertest.New(t)
	delete(s.Metadata, "introspection_endpoint")
	i = newIntrospector(t, nil, oauth.IntrospectionEndpoint{Client: s.Client(), Audiences: []string{api}})
	_, err := i.Authenticate(opaque("opaque"))
	if statusOf(err) != 503 || !errors.Is(err, oauth.ErrNotOffered) {
		t.Errorf("Authenticate without an endpoint: error = %v, want 503 and %v", err, oauth.ErrNotOffered)
	}
	s.Routes[wellKnown] = down
	i = newIntrospector(t, nil, oauth.IntrospectionEndpoint{Client: s.Client(), Audiences: []string{api}})
	if _, err := i.Authenticate(opaque("opaque")); statusOf(err) != 503 || !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("Authenticate without metadata: error = %v, want 503 and %v", err, oauth.ErrUnavailable)
	}
}

// Covers RFC 9470 §6.2.
func TestIntrospectorPrincipal(t *testing.T) {
	s := new(asServer)
	const body = `{"active":true,"sub":"alice","client_id":"web","iss":"` + issuer + `","aud":["x","` + api + `"],"exp":99999999999,"nbf":1.5,"iat":1,"jti":"t1",` +
		`"scope":"a b","tenant":"acme","roles":["admin","reader"],"token_type":"bearer","act":{"sub":"agent"},"auth_time":1700000000,"acr":"phr"}`
	s.replies(200, body)
	e := endpoint(t, s, issuer)
	e.Tenants, e.AllowedScopes, e.AllowedRoles = []string{"acme", "globex"}, []string{"b", "c"}, []string{"reader"}
	i := newIntrospector(t, nil, e)
	for _, list := range [][]string{e.Audiences, e.Tenants, e.AllowedScopes, e.AllowedRoles} {
		clear(list) // the introspector has copies
	}
	proof := must(i.Authenticate(opaque("opaque")))
	want := gatehouse.Principal{
		Kind: gatehouse.KindUser, Issuer: issuer, Subject: "alice", Client: "web", Tenant: "acme", Method: oauth.MethodIntrospection, Credential: "t1",
		Scopes: scopes("b"), Roles: must(gatehouse.NewRoles("reader")), Actors: gatehouse.NewActors(gatehouse.Actor{Subject: "agent"}),
		AuthTime: time.Unix(1700000000, 0), Expires: time.Unix(99999999999, 0), Claims: must(gatehouse.NewClaims(body)),
	}
	if got := proof.Principal(); got != want {
		t.Errorf("principal (-want +got):\n%s", cmp.Diff(want.LogValue().String(), got.LogValue().String()))
	}
	if diff := cmp.Diff([]string{"acme", "globex"}, proof.Tenants); diff != "" {
		t.Errorf("Proof.Tenants (-want +got):\n%s", diff)
	}
	e.Audiences, e.Tenants = []string{api}, []string{"acme", "globex"}
	for _, tenant := range []string{"", `,"tenant":"initech"`} {
		s.replies(200, `{"active":true,"sub":"alice","jti":"t1","aud":"`+api+`"`+tenant+`}`)
		_, err := newIntrospector(t, nil, e).Authenticate(opaque("opaque"))
		if e, _ := errors.AsType[*gatehouse.Error](err); e == nil || e.Reason != oauth.ReasonIntrospectionTenant || e.Issuer != issuer || e.Credential != "t1" {
			t.Errorf("%s: Authenticate error = %+v, want reason %s, the issuer and the credential", tenant, e, oauth.ReasonIntrospectionTenant)
		}
	}
	s.replies(200, body)
	e.AllowedScopes, e.AllowedRoles = []string{}, []string{} // none
	if p := must(newIntrospector(t, nil, e).Authenticate(opaque("opaque"))).Principal(); p.Scopes.Len() != 0 || p.Roles.Len() != 0 {
		t.Errorf("principal of an endpoint without scopes and roles = %+v", p)
	}
	for _, sub := range []string{"", `"sub":"job",`} {
		s.replies(200, `{"active":true,`+sub+`"client_id":"job","aud":"`+api+`"}`)
		p := must(newIntrospector(t, nil, endpoint(t, s, issuer)).Authenticate(opaque("opaque"))).Principal()
		if p.Subject != "job" || p.Client != "job" || p.Kind != gatehouse.KindService || !p.Expires.IsZero() || !p.AuthTime.IsZero() {
			t.Errorf("%s principal of a client = %+v", sub, p)
		}
	}
}

// Covers RFC 7662 §2.1 (authenticated), §2.2 (active, inactive, members), §2.3, §4 (audience).
func TestIntrospectorRejects(t *testing.T) {
	now := time.Now().Unix()
	with := func(members string) string {
		return `{"active":true,"sub":"alice","aud":"` + api + `"` + members + `}`
	}
	rejects := func(status int, body string, reason gatehouse.Reason) {
		t.Helper()
		want := 401
		switch reason {
		case "":
			want = 0
		case oauth.ReasonIntrospectionUnavailable:
			want = 503
		}
		s := new(asServer)
		s.replies(status, body)
		proof, err := newIntrospector(t, func(c *oauth.IntrospectorConfig) { c.Cache = time.Minute }, endpoint(t, s, issuer)).Authenticate(opaque("opaque"))
		if statusOf(err) != want || reasonOf(err) != reason || (err == nil) != (proof.Principal().Subject == "alice") || s.calls.Load() != 1 {
			t.Errorf("%d %.100s: Authenticate error = %v after %d requests, want %d %s after 1", status, body, err, s.calls.Load(), want, reason)
		}
		if e, ok := errors.AsType[*gatehouse.Error](err); ok && reason != oauth.ReasonIntrospectionInactive && e.Issuer != issuer {
			t.Errorf("%d %.100s: Authenticate error of the issuer %q, want %q", status, body, e.Issuer, issuer)
		}
	}
	for reason, bodies := range map[gatehouse.Reason][]string{
		"":                                {with(""), with(`,"token_use":"access_token","typ":"Bearer"`), with(fmt.Sprintf(`,"nbf":%d`, now+30))},
		oauth.ReasonIntrospectionInactive: {`{"active":false}`, `{"active":false,"sub":1,"aud":{}}`},
		oauth.ReasonIntrospectionAudience: {
			`{"active":true,"sub":"alice"}`, `{"active":true,"sub":"alice","aud":"x"}`, `{"active":true,"sub":"alice","aud":[]}`,
		},
		oauth.ReasonIntrospectionClaims: {
			`{"active":true,"sub":"alice","aud":1}`, `{"active":true,"aud":"` + api + `"}`, `{"active":true,"sub":"","aud":"` + api + `"}`,
			`{"active":true,"sub":"a\nb","aud":"` + api + `"}`, with(`,"exp":"1"`), with(`,"nbf":-1`), with(`,"auth_time":"1"`),
			with(`,"scope":["a"]`), with(`,"scope":"a  b"`), with(`,"roles":"a"`), with(`,"roles":[""]`), with(`,"act":"a"`), with(`,"client_id":{}`), with(`,"client_id":"` + strings.Repeat("x", 256) + `"`), with(`,"tenant":1`),
			with(`,"jti":1`), with(`,"token_type":"refresh_token"`), with(`,"token_use":"refresh_token"`), with(`,"typ":"Refresh"`),
			with(`,"typ":"Offline"`), with(`,"token_use":"id"`), with(`,"token_use":"id_token"`), with(`,"jti":""`),
			with(`,"token_use":"refresh_token","typ":"Bearer"`), with(`,"token_use":"access_token","typ":"Refresh"`),
		},
		oauth.ReasonIntrospectionIssuer:  {with(`,"iss":"` + issuer + `/"`), with(`,"iss":1`)},
		oauth.ReasonIntrospectionExpired: {with(fmt.Sprintf(`,"exp":%d`, now-1)), with(fmt.Sprintf(`,"nbf":%d`, now+90))}, // the skew is a minute
		gatehouse.ReasonUnconfirmed: {
			with(`,"token_type":"DPoP"`), with(`,"token_type":"dpop"`), with(`,"cnf":{"jkt":"x"}`), with(`,"cnf":{}`), with(`,"cnf":null`),
		},
		oauth.ReasonIntrospectionUnavailable: {
			``, `{}`, `[]`, with("") + with(""), `{"sub":"alice","aud":"` + api + `"}`,
			`{"active":"true","sub":"alice","aud":"` + api + `"}`, `{"active":1,"sub":"alice","aud":"` + api + `"}`, `{"active":null}`,
			`{"ACTIVE":true,"sub":"alice","aud":"` + api + `"}`, with(`,"active":true`),
			with(`,"x":"` + strings.Repeat("x", 256<<10) + `"`),
		},
	} {
		for _, body := range bodies {
			rejects(200, body, reason)
		}
	}
	for member, value := range map[string]string{
		"aud": `1`, "sub": `""`, "client_id": `{}`, "tenant": `1`, "jti": `1`, "token_type": `1`, "exp": `"1"`, "nbf": `-1`, "auth_time": `"1"`,
		"scope": `"a  b"`, "roles": `[""]`, "act": `"a"`,
	} {
		s := new(asServer)
		s.replies(200, `{"active":true,"`+member+`":`+value+`}`)
		_, err := newIntrospector(t, nil, endpoint(t, s, issuer)).Authenticate(opaque("opaque"))
		if !strings.HasSuffix(causeOf(err), "malformed member "+member) {
			t.Errorf("%s %s: cause = %s, want it to name the member", member, value, causeOf(err))
		}
	}
	for status, body := range map[int]string{ // a status other than 200 tells nothing
		201: with(""), 204: "", 302: with(""), 307: with(""), 404: with(""), 500: with(""),
		400: `{"error":"unsupported_token_type"}`, 401: `{"error":"invalid_client"}`,
	} {
		rejects(status, body, oauth.ReasonIntrospectionUnavailable)
	}
}

// Only opaque tokens are sent to an endpoint.
func TestIntrospectorClaims(t *testing.T) {
	s := new(asServer)
	s.replies(200, `{"active":true,"sub":"alice","aud":"`+api+`"}`)
	i := newIntrospector(t, nil, endpoint(t, s, issuer))
	for token, claimed := range map[string]bool{
		"a": true, "a-_~+/=": true, strings.Repeat("a", 8<<10): true,
		"a.b.c": false, "a.b": false, "a b": false, "a=b": false, "ä": false, strings.Repeat("a", 8<<10+1): false,
	} {
		before := s.calls.Load()
		_, err := i.Authenticate(opaque(token))
		if claimed != (err == nil) || !claimed && !errors.Is(err, gatehouse.ErrNoCredentials) || (s.calls.Load() > before) != claimed {
			t.Errorf("Authenticate(%.20s) error = %v, want claimed: %t", token, err, claimed)
		}
	}
	two := opaque("a")
	two.Header.Add("Authorization", "Bearer b")
	if _, err := i.Authenticate(two); reasonOf(err) != gatehouse.ReasonSeveralCredentials {
		t.Errorf("Authenticate with two tokens: error = %v, want %s", err, gatehouse.ReasonSeveralCredentials)
	}
}

// Each endpoint sees the tokens that those before it do not know, and no others.
func TestIntrospectorAsksInOrder(t *testing.T) {
	const active, other, inactive = `{"active":true,"sub":"alice","aud":"` + api + `"}`, `{"active":true,"sub":"alice","aud":"x"}`, `{"active":false}`
	for _, test := range []struct {
		status        int
		first, second string
		issuer        string // of the principal, "" for none
		reason        gatehouse.Reason
		calls         int64 // of the second
	}{
		{200, active, active, "https://one.example.com", "", 0},
		{200, inactive, active, "https://two.example.com", "", 1},
		{200, inactive, inactive, "", oauth.ReasonIntrospectionInactive, 1},
		{200, other, active, "", oauth.ReasonIntrospectionAudience, 0},
		{500, active, active, "", oauth.ReasonIntrospectionUnavailable, 0},
	} {
		one, two := new(asServer), new(asServer)
		one.replies(test.status, test.first)
		two.replies(200, test.second)
		first, second := endpoint(t, one, "https://one.example.com"), endpoint(t, two, "https://two.example.com")
		first.AnyTenant, second.AnyTenant = true, true
		proof, err := newIntrospector(t, nil, first, second).Authenticate(opaque("opaque"))
		if proof.Principal().Issuer != test.issuer || reasonOf(err) != test.reason || two.calls.Load() != test.calls {
			t.Errorf("%d %s, %s: issuer %q, error %v, %d requests to the second, want %q, %s, %d", test.status, test.first, test.second, proof.Principal().Issuer, err, two.calls.Load(), test.issuer, test.reason, test.calls)
		}
	}
}

// proof is a confirmer that wants the value of the member in a header.
type proof struct{ refusal *gatehouse.Error }

func (proof) Confirms() gatehouse.Confirms {
	return gatehouse.Confirms{Member: "jkt", Binding: "dpop", Scheme: gatehouse.Scheme{Name: "DPoP"}}
}

func (p proof) Confirm(r *http.Request, token, member string, now time.Time) (http.Header, error) {
	if r.Header.Get("Proof") != member+token || time.Since(now) > time.Hour {
		return nil, p.refusal
	}
	return http.Header{"Nonce": {"n"}}, nil
}

// The proof is checked on each request, also for a token in the cache.
//
// Covers RFC 7800 §3.1.
func TestIntrospectorConfirms(t *testing.T) {
	s := new(asServer)
	s.replies(200, `{"active":true,"sub":"alice","jti":"t1","aud":"`+api+`","token_type":"DPoP","cnf":{"jkt":"key"}}`)
	refusal := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: "test_proof"} // of all requests
	i := newIntrospector(t, func(c *oauth.IntrospectorConfig) {
		c.Cache, c.Confirmers = 5*time.Second, []gatehouse.Confirmer{proof{refusal}}
	}, endpoint(t, s, issuer))
	for _, test := range []struct {
		scheme, proof string
		reason        gatehouse.Reason
	}{
		{"DPoP", "keyopaque", ""},
		{"DPoP", "other", "test_proof"},
		{"DPoP", "", "test_proof"},
		{"Bearer", "keyopaque", gatehouse.ReasonUnconfirmed},
		{"dpop", "keyopaque", ""},
	} {
		r := opaque("opaque")
		r.Header.Set("Authorization", test.scheme+" opaque")
		r.Header.Set("Proof", test.proof)
		got, err := i.Authenticate(r)
		if reasonOf(err) != test.reason || err == nil && (got.Principal().Binding != "dpop" || got.Header.Get("Nonce") != "n") {
			t.Errorf("%+v: Authenticate = %+v, %v, want reason %q", test, got.Principal(), err, test.reason)
		}
		if e, ok := errors.AsType[*gatehouse.Error](err); ok && (e.Issuer != issuer || e.Credential != "t1") {
			t.Errorf("%+v: error of issuer %q, credential %q", test, e.Issuer, e.Credential)
		}
	}
	if s.calls.Load() != 1 {
		t.Errorf("%d requests, want 1", s.calls.Load())
	}
	if reads := i.Reads(); len(reads.Schemes) != 2 || reads.Schemes[0].Name != "Bearer" || reads.Schemes[1].Name != "DPoP" || !reads.Rechecks {
		t.Errorf("Reads() = %+v, want Bearer and DPoP, checked again", reads)
	}
	if refusal.Issuer != "" || refusal.Credential != "" {
		t.Errorf("the Error of the confirmer has issuer %q and credential %q now", refusal.Issuer, refusal.Credential)
	}
}

// Covers RFC 7662 §4 (cache).
func TestIntrospectorCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(asServer)
		respond := func(members string) { s.replies(200, `{"active":true,"sub":"alice","aud":"`+api+`"`+members+`}`) }
		ask := func(what string, i *oauth.Introspector, token string, calls int64) {
			t.Helper()
			before := s.calls.Load()
			_, err := i.Authenticate(opaque(token))
			if got := s.calls.Load() - before; got != calls {
				t.Errorf("%s: %d requests, want %d (error %v)", what, got, calls, err)
			}
		}
		respond("")
		off := newIntrospector(t, nil, endpoint(t, s, issuer))
		ask("off", off, "a", 1)
		ask("off, again", off, "a", 1)

		respond(fmt.Sprintf(`,"exp":%d`, time.Now().Unix()+3600)) // later than the time of the cache
		i := newIntrospector(t, func(c *oauth.IntrospectorConfig) { c.Cache, c.CacheEntries = 5*time.Second, 2 }, endpoint(t, s, issuer))
		ask("first", i, "a", 1)
		time.Sleep(4 * time.Second)
		ask("cached", i, "a", 0)
		ask("another token", i, "a=", 1)
		time.Sleep(time.Second)
		ask("after the time of the cache", i, "a", 1)

		respond(fmt.Sprintf(`,"exp":%d`, time.Now().Unix()+2))
		ask("expires soon", i, "c", 1)
		time.Sleep(time.Second)
		ask("before exp", i, "c", 0)
		time.Sleep(time.Second)
		ask("after exp", i, "c", 1)

		// The time of the cache counts from the question.
		respond("")
		reply := s.respond
		s.respond = func(w http.ResponseWriter, r *http.Request) { time.Sleep(2 * time.Second); reply(w, r) }
		ask("slow", i, "s", 1)
		s.respond = reply
		time.Sleep(3 * time.Second)
		ask("5 s after the question", i, "s", 1)

		s.replies(200, `{"active":false}`)
		ask("inactive", i, "d", 1)
		ask("inactive, again", i, "d", 1)
		s.replies(500, "")
		ask("unavailable", i, "e", 1)
		ask("unavailable, again", i, "e", 1)

		respond(fmt.Sprintf(`,"nbf":%d`, time.Now().Unix()+60))
		ask("nbf after exactly the skew", i, "n", 1)
		ask("nbf after exactly the skew, again", i, "n", 0)

		respond("")
		for n := range 3 { // more than the cache has entries
			ask("fill", i, fmt.Sprint(n), 1)
		}
		ask("evicted", i, "0", 1)

		if got, want := i.Stats(), (oauth.IntrospectorStats{CacheHits: 3, CacheMisses: 11}); got != want {
			t.Errorf("Stats() = %+v, want %+v", got, want)
		}
		if got := off.Stats(); got != (oauth.IntrospectorStats{}) {
			t.Errorf("Stats() = %+v, want zeros without a cache", got)
		}
	})
}

// An endpoint that does not answer is 503 after 8 s.
func TestIntrospectorTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(asServer)
		s.respond = hanging
		first, second := endpoint(t, s, "https://one.example.com"), endpoint(t, s, "https://two.example.com")
		first.AnyTenant, second.AnyTenant = true, true
		start := time.Now()
		i := newIntrospector(t, nil, first, second)
		_, err := i.Authenticate(opaque("opaque"))
		if took := time.Since(start); statusOf(err) != 503 || took != 8*time.Second {
			t.Errorf("Authenticate error = %v after %v, want 503 after 8s", err, took)
		}
		_, err = i.Authenticate(opaque("opaque"))
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.RetryAfter != time.Second || !strings.HasPrefix(causeOf(err), "oauth: introspection endpoint: request not sent") {
			t.Errorf("Authenticate again error = %v, want one of the introspection endpoint with RetryAfter 1 s", err)
		}
	})
}

// Close cancels what is running, also the requests for the keys of an endpoint that is not
// the first.
func TestIntrospectorClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := new(asServer), new(asServer)
		var running atomic.Int64 // requests for keys
		sign := func(s *asServer, active bool) {
			s.respond = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/keys" {
					running.Add(1)
					hanging(w, r)
					running.Add(-1)
					return
				}
				w.Header().Set("Content-Type", "application/token-introspection+jwt")
				_, _ = w.Write([]byte(providertest.Sign("token-introspection+jwt", object{
					"iss": "https://" + r.URL.Host, "aud": clientID, "iat": time.Now().Unix(), "token_introspection": object{"active": active},
				})))
			}
		}
		sign(one, false)
		sign(two, true)
		first, second := endpoint(t, one, "https://one.example.com"), endpoint(t, two, "https://two.example.com")
		first.Keys, second.Keys = providertest.Keys(), jwtauth.RemoteKeys("https://two.example.com/keys")
		for _, e := range []*oauth.IntrospectionEndpoint{&first, &second} {
			e.AnyTenant, e.Algorithms = true, []jwtauth.Algorithm{jwtauth.ES256}
		}
		i := newIntrospector(t, nil, first, second)
		start, ended := time.Now(), make(chan error)
		go func() { _, err := i.Authenticate(opaque("opaque")); ended <- err }()
		synctest.Wait()
		if running.Load() != 1 {
			t.Fatalf("%d requests for keys before Close, want 1", running.Load())
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; statusOf(err) != 503 || time.Since(start) != 0 || running.Load() != 0 {
			t.Errorf("error of the running call = %v after %v with %d requests for keys, want 503 at once with 0", err, time.Since(start), running.Load())
		}
		before := one.calls.Load()
		if _, err := i.Authenticate(opaque("opaque")); statusOf(err) != 503 || one.calls.Load() != before {
			t.Errorf("Authenticate after Close: error = %v after %d requests, want 503 after 0", err, one.calls.Load()-before)
		}
	})
}

// Tokens that no endpoint knows do not cause an unbounded number of requests.
func TestIntrospectorIsBounded(t *testing.T) {
	for tokens, atOnce := range map[int]int64{1: 1, 1001: 489} { // 1,000 callers wait for one request, 512 tokens are asked for
		synctest.Test(t, func(t *testing.T) {
			s := new(asServer)
			s.respond = hanging
			i := newIntrospector(t, nil, endpoint(t, s, issuer))
			var wait sync.WaitGroup
			var failed atomic.Int64 // at once
			start := time.Now()
			for n := range 1001 {
				wait.Go(func() {
					if _, err := i.Authenticate(opaque(fmt.Sprint("token", n%tokens))); statusOf(err) != 503 {
						t.Errorf("Authenticate error = %v, want 503", err)
					}
					if time.Since(start) == 0 {
						failed.Add(1)
					}
				})
			}
			wait.Wait()
			if got := failed.Load(); got != atOnce {
				t.Errorf("%d of 1001 callers with %d tokens failed at once, want %d", got, tokens, atOnce)
			}
		})
	}
}

// Signed responses, RFC 9701.
//
// Covers RFC 9701 §4, §5, §8.1.
func TestIntrospectorSigned(t *testing.T) {
	now := time.Now().Unix()
	inner := object{"active": true, "sub": "alice", "aud": api}
	sign := func(typ string, changes object) string {
		claims := object{"iss": issuer, "aud": clientID, "iat": now, "token_introspection": inner}
		for name, value := range changes {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
		return providertest.Sign(typ, claims)
	}
	const typ, mime = "token-introspection+jwt", "application/token-introspection+jwt"
	plain := string(must(json.Marshal(inner)))
	for name, test := range map[string]struct {
		mime, body string
		want       gatehouse.Reason
	}{
		"good":               {mime, sign(typ, nil), ""},
		"12 KB":              {mime, sign(typ, object{"x": strings.Repeat("x", 9<<10)}), ""},
		"full media type":    {mime + "; charset=utf-8", sign("application/"+typ, nil), ""},
		"inactive":           {mime, sign(typ, object{"token_introspection": object{"active": false}}), oauth.ReasonIntrospectionInactive},
		"for another API":    {mime, sign(typ, object{"token_introspection": object{"active": true, "sub": "alice", "aud": "x"}}), oauth.ReasonIntrospectionAudience},
		"plain":              {"application/json", plain, oauth.ReasonIntrospectionUnavailable},
		"plain as a JWT":     {mime, plain, oauth.ReasonIntrospectionUnavailable},
		"JWT as JSON":        {"application/json", sign(typ, nil), oauth.ReasonIntrospectionUnavailable},
		"another typ":        {mime, sign("at+jwt", nil), oauth.ReasonIntrospectionUnavailable},
		"JWT":                {mime, sign("JWT", nil), oauth.ReasonIntrospectionUnavailable},
		"another audience":   {mime, sign(typ, object{"aud": api}), oauth.ReasonIntrospectionUnavailable},
		"another issuer":     {mime, sign(typ, object{"iss": "https://evil.example.com"}), oauth.ReasonIntrospectionUnavailable},
		"old":                {mime, sign(typ, object{"iat": now - 300}), oauth.ReasonIntrospectionUnavailable},
		"in the future":      {mime, sign(typ, object{"iat": now + 300}), oauth.ReasonIntrospectionUnavailable},
		"no iat":             {mime, sign(typ, object{"iat": nil}), oauth.ReasonIntrospectionUnavailable},
		"nothing inside":     {mime, sign(typ, object{"token_introspection": nil}), oauth.ReasonIntrospectionUnavailable},
		"only outer members": {mime, sign(typ, object{"token_introspection": nil, "active": true, "sub": "alice"}), oauth.ReasonIntrospectionUnavailable},
		"server error":       {"", "", oauth.ReasonIntrospectionUnavailable},
		"bad signature":      {mime, sign(typ, nil)[:len(sign(typ, nil))-8] + "AAAAAAAA", oauth.ReasonIntrospectionUnavailable},
	} {
		s := new(asServer)
		s.respond = func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Accept"); got != mime {
				t.Errorf("%s: Accept = %q, want %q", name, got, mime)
			}
			w.Header().Set("Content-Type", test.mime)
			if test.body == "" {
				w.WriteHeader(http.StatusInternalServerError)
			}
			_, _ = w.Write([]byte(test.body))
		}
		e := endpoint(t, s, issuer)
		e.Algorithms = []jwtauth.Algorithm{jwtauth.ES256}
		e.Keys = providertest.Keys()
		_, err := newIntrospector(t, nil, e).Authenticate(opaque("opaque"))
		if reasonOf(err) != test.want || (err == nil) != (test.want == "") {
			t.Errorf("%s: Authenticate error = %v, want %q", name, err, test.want)
		}
		if want := map[string]string{
			"bad signature": "signature", "nothing inside": "has no claim token_introspection", "plain": "is not signed", "another typ": "has another typ",
		}[name]; !strings.Contains(causeOf(err), want) {
			t.Errorf("%s: cause = %s, want %s", name, causeOf(err), want)
		}
		if e, _ := errors.AsType[*oauth.Error](err); (e != nil) != (test.body == "") {
			t.Errorf("%s: Authenticate error = %v, want one with the status 500 for an empty body only", name, err)
		}
	}
}

func TestNewIntrospectorReportsEveryMistake(t *testing.T) {
	s := new(asServer)
	good := endpoint(t, s, issuer)
	public := good
	public.Client = newClient(t, oauth.Config{Issuer: issuer, ClientID: "x", Auth: oauth.Public, Transport: s})
	public.Tenants, public.AnyTenant = []string{"acme"}, true
	signed := good
	signed.AnyTenant, signed.Keys = true, jwtauth.StaticKeys()
	_, err := oauth.NewIntrospector(oauth.IntrospectorConfig{
		Cache: time.Hour, CacheEntries: -1, Confirmers: []gatehouse.Confirmer{nil},
		Endpoints: []oauth.IntrospectionEndpoint{
			good,
			{URL: "http://as.example.com", Tenants: []string{}, Algorithms: []jwtauth.Algorithm{"ES256"}},
			public, signed,
			{Audiences: []string{api, ""}, AnyTenant: true},
			{Audiences: []string{api}, Tenants: []string{"acme", ""}},
		},
	})
	for _, want := range []string{
		"Confirmers: confirmer 0: nil", "Cache: got 1h0m0s", "CacheEntries: got -1",
		"Endpoints[0].Tenants: required with several endpoints", "Endpoints[1].Audiences: at least one", "Endpoints[1].Tenants: must be at least one",
		"Endpoints[1].URL: ", "Endpoints[1].Algorithms: not used without Keys", "Endpoints[1].Client: required", "Endpoints[2].Client: a public client", "Endpoints[2].Tenants: must be at least one, none empty, and excludes AnyTenant", "Endpoints[3].Keys: ",
		"Endpoints[4].Audiences: at least one is required, none may be empty", "Endpoints[5].Tenants: must be at least one, none empty",
	} {
		if err == nil || !strings.Contains(err.Error(), "oauth: IntrospectorConfig."+want) {
			t.Errorf("NewIntrospector error lacks %q:\n%v", want, err)
		}
	}
	_, err = oauth.NewIntrospector(oauth.IntrospectorConfig{Endpoints: []oauth.IntrospectionEndpoint{good, good}})
	if got := fmt.Sprint(err); strings.Count(got, "Tenants: required with several endpoints") != 2 {
		t.Errorf("NewIntrospector with two endpoints: error = %s, want one for each", got)
	}
	for want, c := range map[string]oauth.IntrospectorConfig{"Cache: got -1ns": {Cache: -1}, "CacheEntries: got 1000001": {CacheEntries: 1_000_001}} {
		if _, err := oauth.NewIntrospector(c); !strings.Contains(fmt.Sprint(err), "oauth: IntrospectorConfig."+want) {
			t.Errorf("NewIntrospector error = %v, want %s", err, want)
		}
	}
	other := good
	good.Tenants, other.Tenants = []string{"acme"}, []string{"globex"}
	newIntrospector(t, func(c *oauth.IntrospectorConfig) { c.Cache, c.CacheEntries = time.Minute, 1_000_000 }, good, other)
	if _, err := oauth.NewIntrospector(oauth.IntrospectorConfig{}); err == nil || !strings.Contains(err.Error(), "Endpoints: at least one is required") {
		t.Errorf("NewIntrospector without endpoints: error = %v", err)
	}
}
