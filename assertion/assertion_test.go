// SPDX-License-Identifier: Apache-2.0

package assertion_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/assertion"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
)

const issuer = "https://as.example.com"

type object = map[string]any

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func keyring() *jwtauth.KeyRing {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return must(jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.ES256, Private: private}))
}

var (
	keys  = keyring() // of the client "billing"
	other = keyring() // of the client "other"
)

func config() assertion.Config {
	es256 := []jwtauth.Algorithm{jwtauth.ES256}
	return assertion.Config{
		Issuer: issuer, Replays: dpop.NewMemory(0),
		Clients: []assertion.Client{{ID: "billing", Keys: keys, Algorithms: es256}, {ID: "other", Keys: other, Algorithms: es256}},
	}
}

func newVerifier(t testing.TB, c assertion.Config) *assertion.Verifier {
	t.Helper()
	v := must(assertion.New(c))
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// signed returns an assertion of the client billing with changed claims; nil
// removes one.
func signed(by *jwtauth.KeyRing, typ string, changes object) string {
	now := time.Now().Unix()
	claims := object{"iss": "billing", "sub": "billing", "aud": issuer, "jti": rand.Text(), "iat": now, "exp": now + 60}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return string(must(by.SignJWT(typ, claims)).Reveal())
}

// request returns a token request with the assertion and changed parameters; nil
// removes one.
func request(text string, changes url.Values) *http.Request {
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion": {text},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	maps.Copy(form, changes)
	maps.DeleteFunc(form, func(_ string, v []string) bool { return v == nil })
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func reasonOf(err error) gatehouse.Reason {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Reason
	}
	return ""
}

// expectCredential checks that an error after the check of iss names the client, and never the
// assertion.
func expectCredential(t *testing.T, name string, err error) {
	t.Helper()
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok {
		return
	}
	want := "billing"
	if e.Reason == assertion.ReasonClient || e.Reason == assertion.ReasonRequest && e.Credential == "" {
		want = ""
	}
	if e.Credential != want {
		t.Errorf("%s: Credential = %q, want %q", name, e.Credential, want)
	}
}

// Covers RFC 7523 §3 (audience, claims).
func TestAuthenticate(t *testing.T) {
	v := newVerifier(t, config())
	now := time.Now().Unix()
	longest := ""
	for n := 5800; len(longest) < 8<<10; n++ {
		longest = signed(keys, "client-authentication+jwt", object{"x": strings.Repeat("x", n)})
	}
	if len(longest) != 8<<10 {
		t.Fatalf("an assertion of %d bytes, want 8 KB", len(longest))
	}
	causes := map[string]string{
		"no sub": "sub is not iss", "no jti": "jti is missing", "access token": "typ is that of another kind of JWT", "several audiences": "aud is not the issuer alone",
	}
	for name, test := range map[string]struct {
		text    string
		changes url.Values
		want    gatehouse.Reason // "" if it is accepted
	}{
		"good":                      {signed(keys, "JWT", nil), nil, ""},
		"no typ":                    {signed(keys, "", nil), nil, ""},
		"typ of the draft":          {signed(keys, "client-authentication+jwt", nil), nil, ""},
		"full media type":           {signed(keys, "application/client-authentication+jwt", nil), nil, ""},
		"array of one audience":     {signed(keys, "JWT", object{"aud": []string{issuer}}), nil, ""},
		"with client_id":            {signed(keys, "JWT", nil), url.Values{"client_id": {"billing"}}, ""},
		"client_id without a value": {signed(keys, "JWT", nil), url.Values{"client_id": {""}}, ""},
		"secret without a value":    {signed(keys, "JWT", nil), url.Values{"client_secret": {""}}, ""},
		"two secrets without one":   {signed(keys, "JWT", nil), url.Values{"client_secret": {"", ""}}, assertion.ReasonRequest},
		"access token":              {signed(keys, "at+jwt", nil), nil, assertion.ReasonClaims},
		"DPoP proof":                {signed(keys, "dpop+jwt", nil), nil, assertion.ReasonClaims},
		"another sub":               {signed(keys, "JWT", object{"sub": "billing2"}), nil, assertion.ReasonClaims},
		"no sub":                    {signed(keys, "JWT", object{"sub": nil}), nil, assertion.ReasonClaims},
		"no jti":                    {signed(keys, "JWT", object{"jti": nil}), nil, assertion.ReasonClaims},
		"empty jti":                 {signed(keys, "JWT", object{"jti": ""}), nil, assertion.ReasonInvalid},
		"long jti":                  {signed(keys, "JWT", object{"jti": strings.Repeat("a", 256)}), nil, assertion.ReasonInvalid},
		"jti with a line end":       {signed(keys, "JWT", object{"jti": "a\nb"}), nil, assertion.ReasonInvalid},
		"jti a number":              {signed(keys, "JWT", object{"jti": 1}), nil, assertion.ReasonInvalid},
		"several audiences":         {signed(keys, "JWT", object{"aud": []string{issuer, "https://evil.example"}}), nil, assertion.ReasonAudience},
		"the issuer twice":          {signed(keys, "JWT", object{"aud": []string{issuer, issuer}}), nil, assertion.ReasonAudience},
		"the endpoint":              {signed(keys, "JWT", object{"aud": issuer + "/token"}), nil, assertion.ReasonInvalid},
		"no audience":               {signed(keys, "JWT", object{"aud": nil}), nil, assertion.ReasonInvalid},
		"expired":                   {signed(keys, "JWT", object{"iat": now - 200, "exp": now - 100}), nil, assertion.ReasonInvalid},
		"expired, with client_id":   {signed(keys, "JWT", object{"iat": now - 200, "exp": now - 100}), url.Values{"client_id": {"billing"}}, assertion.ReasonInvalid},
		"no exp":                    {signed(keys, "JWT", object{"exp": nil}), nil, assertion.ReasonInvalid},
		"no iat":                    {signed(keys, "JWT", object{"iat": nil}), nil, assertion.ReasonInvalid},
		"long lifetime":             {signed(keys, "JWT", object{"iat": now, "exp": now + 301}), nil, assertion.ReasonInvalid},
		"key of another client":     {signed(other, "JWT", nil), nil, assertion.ReasonInvalid},
		"unknown client":            {signed(keys, "JWT", object{"iss": "unknown", "sub": "unknown"}), nil, assertion.ReasonClient},
		"no iss":                    {signed(keys, "JWT", object{"iss": nil}), nil, assertion.ReasonClient},
		"no JWT":                    {"opaque", nil, assertion.ReasonClient},
		"of 8 KB":                   {longest, nil, ""},
		"oversized":                 {signed(keys, "JWT", object{"x": strings.Repeat("x", 9000)}), nil, assertion.ReasonClient},
		"client_id of another one":  {signed(keys, "JWT", nil), url.Values{"client_id": {"billing2"}}, assertion.ReasonRequest},
		"two client_ids":            {signed(keys, "JWT", nil), url.Values{"client_id": {"billing", "billing"}}, assertion.ReasonRequest},
		"another type":              {signed(keys, "JWT", nil), url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}}, assertion.ReasonRequest},
		"two types":                 {signed(keys, "JWT", nil), url.Values{"client_assertion_type": slices.Repeat([]string{"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, 2)}, assertion.ReasonRequest},
		"no type":                   {signed(keys, "JWT", nil), url.Values{"client_assertion_type": nil}, assertion.ReasonRequest},
		"a type and no assertion":   {"", url.Values{"client_assertion": nil}, assertion.ReasonRequest},
		"two assertions":            {"", url.Values{"client_assertion": {signed(keys, "JWT", nil), signed(keys, "JWT", nil)}}, assertion.ReasonRequest},
		"assertion beside a secret": {signed(keys, "JWT", nil), url.Values{"client_secret": {"x"}}, assertion.ReasonRequest},
		"form too large":            {signed(keys, "JWT", nil), url.Values{"x": {strings.Repeat("x", 65<<10)}}, assertion.ReasonRequest},
	} {
		client, err := v.Authenticate(request(test.text, test.changes))
		if reasonOf(err) != test.want || (err == nil) != (client == "billing") {
			t.Errorf("%s: Authenticate = %q, %v (%v), want %q", name, client, err, errors.Unwrap(err), test.want)
		}
		if e, ok := errors.AsType[*gatehouse.Error](err); ok && e.Code != assertion.CodeInvalidClient {
			t.Errorf("%s: code = %v, want invalid_client", name, e.Code)
		}
		expectCredential(t, name, err)
		if cause := causes[name]; cause != "" && errors.Unwrap(err).Error() != "assertion: "+cause {
			t.Errorf("%s: cause = %v, want %s", name, errors.Unwrap(err), cause)
		}
	}
	r := request(signed(keys, "JWT", nil), nil)
	r.SetBasicAuth("billing", "x")
	if _, err := v.Authenticate(r); reasonOf(err) != assertion.ReasonRequest {
		t.Errorf("beside Basic: Authenticate error = %v", err)
	}
	for _, none := range [][]string{nil, {""}} {
		r = request("", url.Values{"client_assertion": none, "client_assertion_type": none})
		if _, err := v.Authenticate(r); !errors.Is(err, gatehouse.ErrNoCredentials) {
			t.Errorf("with the assertion %q: Authenticate error = %v, want ErrNoCredentials", none, err)
		}
	}
	r = httptest.NewRequest(http.MethodPost, "/token?client_assertion=x&client_assertion_type=x", http.NoBody)
	if _, err := v.Authenticate(r); !errors.Is(err, gatehouse.ErrNoCredentials) {
		t.Errorf("in the URL: Authenticate error = %v, want ErrNoCredentials", err)
	}
}

// An assertion is accepted once, by all verifiers with one store and until it has
// expired. A rejected one is not used up, and the same jti of another client is
// another one.
//
// Covers RFC 7523 §3 (once).
func TestAssertionIsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config()
		v, w := newVerifier(t, c), newVerifier(t, c)
		text := signed(keys, "JWT", object{"jti": "one"})
		if _, err := v.Authenticate(request(text, url.Values{"client_id": {"other"}, "client_secret": {"x"}})); reasonOf(err) != assertion.ReasonRequest {
			t.Errorf("rejected: error = %v", err)
		}
		if _, err := v.Authenticate(request(text, nil)); err != nil {
			t.Error(err)
		}
		for _, verifier := range []*assertion.Verifier{v, w} {
			_, err := verifier.Authenticate(request(text, nil))
			if reasonOf(err) != assertion.ReasonReplayed {
				t.Errorf("again: error = %v, want %s", err, assertion.ReasonReplayed)
			}
			expectCredential(t, "again", err)
		}
		if _, err := v.Authenticate(request(signed(keys, "JWT", object{"jti": "one", "x": 1}), nil)); reasonOf(err) != assertion.ReasonReplayed {
			t.Errorf("another assertion with the jti: error = %v, want %s", err, assertion.ReasonReplayed)
		}
		if _, err := v.Authenticate(request(signed(other, "JWT", object{"jti": "one", "iss": "other", "sub": "other"}), nil)); err != nil {
			t.Errorf("the jti of another client: error = %v", err)
		}
		time.Sleep(89 * time.Second) // exp and the skew, less a second
		if _, err := v.Authenticate(request(text, nil)); reasonOf(err) != assertion.ReasonReplayed {
			t.Errorf("within the skew: error = %v, want %s", err, assertion.ReasonReplayed)
		}
		time.Sleep(time.Second)
		if _, err := v.Authenticate(request(text, nil)); reasonOf(err) != assertion.ReasonInvalid {
			t.Errorf("after the skew: error = %v, want %s", err, assertion.ReasonInvalid)
		}
	})
}

// down is a store that fails, with one of two results.
type down bool

func (d down) Insert(context.Context, [32]byte, time.Duration) (bool, error) {
	return bool(d), errors.New("down")
}

func TestUnavailable(t *testing.T) {
	c := config()
	for _, c.Replays = range []assertion.ReplayStore{down(true), down(false)} {
		_, err := newVerifier(t, c).Authenticate(request(signed(keys, "JWT", nil), nil))
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code.Status() != 503 || e.Reason != assertion.ReasonStoreUnavailable {
			t.Errorf("store down, which returns %v: error = %v, want 503", c.Replays, err)
		}
		expectCredential(t, "store down", err)
	}
	var events []gatehouse.EventType
	c = config()
	c.Clients[0].Keys, c.Transport = jwtauth.RemoteKeys("https://billing.example.com/keys"), unreachable{}
	c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error { events = append(events, e.Type); return nil })
	v := newVerifier(t, c)
	_, err := v.Authenticate(request(signed(keys, "JWT", nil), nil))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code.Status() != 503 || !errors.Is(err, errUnreachable) {
		t.Errorf("keys unavailable: error = %v, want 503 and %v", err, errUnreachable)
	}
	_ = v.Close() // waits for the events
	if !slices.Equal(events, []gatehouse.EventType{jwtauth.EventFetchFailed}) {
		t.Errorf("keys unavailable: events %q, want %s", events, jwtauth.EventFetchFailed)
	}
}

// TestClose: it cancels the requests for the keys of each client.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, network := config(), new(hanging)
		c.Clients[0].Keys, c.Clients[1].Keys, c.Transport = jwtauth.RemoteKeys("https://billing.example.com/keys"), jwtauth.RemoteKeys("https://other.example.com/keys"), network
		v := newVerifier(t, c)
		for _, client := range []string{"billing", "other"} {
			go func() { _, _ = v.Authenticate(request(signed(keys, "JWT", object{"iss": client, "sub": client}), nil)) }()
		}
		synctest.Wait()
		if network.running.Load() != 2 {
			t.Fatalf("%d requests for keys before Close, want 2", network.running.Load())
		}
		if err := v.Close(); err != nil || network.running.Load() != 0 {
			t.Errorf("Close error = %v with %d requests for keys, want none with 0", err, network.running.Load())
		}
	})
}

// hanging is a transport to servers that do not answer.
type hanging struct{ running atomic.Int64 }

func (h *hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	h.running.Add(1)
	defer h.running.Add(-1)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

var errUnreachable = errors.New("unreachable")

// unreachable is a transport to no server.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) { return nil, errUnreachable }

// An assertion is no access token, even for an API that shares the keys and has the
// issuer as its audience.
func TestAssertionIsNoAccessToken(t *testing.T) {
	api := must(jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: "billing", Audiences: []string{issuer}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: keys,
	}}}))
	t.Cleanup(func() { _ = api.Close() })
	for _, typ := range []string{"", "JWT", "client-authentication+jwt"} {
		if _, err := api.Verify(t.Context(), signed(keys, typ, nil)); err == nil {
			t.Errorf("jwtauth accepted an assertion of typ %q", typ)
		}
	}
}

func TestNewReportsEveryMistake(t *testing.T) {
	var none *dpop.Memory
	_, err := assertion.New(assertion.Config{
		Replays: none, MaxLifetime: 2 * time.Hour, Transport: (*http.Transport)(nil), Observer: gatehouse.ObserverFunc(nil),
		Clients: []assertion.Client{
			{}, {ID: "a\n"}, {ID: "b", Keys: keys, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}}, {ID: "b"}, {ID: "c", Algorithms: []jwtauth.Algorithm{"HS384", jwtauth.HS256}},
		},
	})
	for _, want := range []string{"Issuer: required", "MaxLifetime: got 2h0m0s", "Replays: required", "Transport: is a nil *http.Transport", "Observer: is a nil gatehouse.ObserverFunc", "Clients[0].ID: required", "Clients[1].ID: required", "Clients[3].ID: duplicate", "Clients[3]: ", "Clients[4].Algorithms: HS256 is symmetric", "Clients[4].Algorithms: HS384 is symmetric"} {
		if err == nil || !strings.Contains(err.Error(), "assertion: Config."+want) {
			t.Errorf("New error lacks %q:\n%v", want, err)
		}
	}
	if _, err := assertion.New(assertion.Config{}); err == nil || !strings.Contains(err.Error(), "Clients: at least one") {
		t.Errorf("New without clients: error = %v", err)
	}
	for lifetime, want := range map[time.Duration]bool{-1: false, 0: true, 1: true, time.Hour: true, time.Hour + 1: false} {
		c := config()
		c.MaxLifetime = lifetime
		_, err := assertion.New(c)
		if (err == nil) != want || err != nil && err.Error() != fmt.Sprintf("assertion: Config.MaxLifetime: got %v, want 0 to 1h0m0s", lifetime) {
			t.Errorf("New(MaxLifetime %v) error = %v, want accepted: %t", lifetime, err, want)
		}
	}
}

// The endpoints of package refresh take Authenticate as their client
// authentication.
func TestTokenEndpoint(t *testing.T) {
	server := keyring()
	signer := must(jwtauth.NewSigner(jwtauth.SignerConfig{Issuer: issuer, Keys: server}))
	tokens := must(refresh.New(refresh.Config{Store: refresh.NewMemory(0)}))
	issued := must(tokens.Begin(t.Context(), refresh.Grant{Subject: "alice", Client: "billing"}))
	failing := config()
	failing.Replays = down(true)
	used := signed(keys, "JWT", nil)
	for _, test := range []struct {
		name   string
		config assertion.Config
		text   string
		params url.Values
		status int
		code   string
	}{
		{"good", config(), used, nil, 200, ""},
		{"signed by another client", config(), signed(other, "JWT", nil), nil, 400, "invalid_client"},
		{"without an assertion", config(), "", url.Values{"client_assertion": nil, "client_assertion_type": nil}, 400, "invalid_client"},
		{"store down", failing, signed(keys, "JWT", nil), nil, 503, "temporarily_unavailable"},
	} {
		endpoint := must(tokens.TokenEndpoint(refresh.TokenEndpointConfig{
			Signer: signer, Audience: "https://api.example.com", Client: newVerifier(t, test.config).Authenticate,
		}))
		params := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(issued.Token.Reveal())}}
		maps.Copy(params, test.params)
		w := httptest.NewRecorder()
		endpoint.ServeHTTP(w, request(test.text, params))
		if w.Code != test.status || test.code != "" && !strings.Contains(w.Body.String(), `"`+test.code+`"`) {
			t.Errorf("%s: response %d %s, want %d %s", test.name, w.Code, w.Body, test.status, test.code)
		}
	}
}

// Covers RFC 7523 §3 (once).
func TestFind(t *testing.T) {
	known := assertion.Client{ID: "billing", Keys: keys, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}}
	errDown := errors.New("down")
	denied := &gatehouse.Error{Code: assertion.CodeInvalidClient, Reason: "assertion_test_denied"}
	for name, test := range map[string]struct {
		found  assertion.Client
		err    error
		want   gatehouse.Reason
		client string
	}{
		"found":             {known, nil, "", "billing"},
		"unknown":           {known, assertion.ErrUnknownClient, assertion.ReasonClient, ""},
		"denied as unknown": {known, &gatehouse.Error{Code: denied.Code, Reason: denied.Reason, Cause: assertion.ErrUnknownClient}, assertion.ReasonClient, ""},
		"denied":            {known, denied, denied.Reason, ""},
		"failure":           {assertion.Client{}, errDown, assertion.ReasonStoreUnavailable, ""},
		"another client":    {assertion.Client{ID: "billing2", Keys: keys, Algorithms: known.Algorithms}, nil, assertion.ReasonStoreUnavailable, ""},
		"without keys":      {assertion.Client{ID: "billing"}, nil, assertion.ReasonStoreUnavailable, ""},
		"with a shared key": {assertion.Client{ID: "billing", Keys: keys, Algorithms: []jwtauth.Algorithm{jwtauth.HS256}}, nil, assertion.ReasonStoreUnavailable, ""},
		"with another key":  {assertion.Client{ID: "billing", Keys: other, Algorithms: known.Algorithms}, nil, assertion.ReasonInvalid, ""},
	} {
		asked := ""
		c := assertion.Config{Issuer: issuer, Replays: dpop.NewMemory(0), Find: func(_ context.Context, id string) (assertion.Client, error) {
			asked = id
			return test.found, test.err
		}}
		v := newVerifier(t, c)
		text := signed(keys, "JWT", nil)
		client, err := v.Authenticate(request(text, nil))
		if client != test.client || reasonOf(err) != test.want || asked != "billing" {
			t.Errorf("%s: Authenticate = %q, %v after Find(%q), want %q and reason %q", name, client, err, asked, test.client, test.want)
		}
		if name == "failure" && !errors.Is(err, errDown) {
			t.Errorf("%s: Authenticate cause = %v, want %v", name, errors.Unwrap(err), errDown)
		}
		asked = ""
		if _, err := v.Authenticate(request(text, nil)); test.want == "" && (reasonOf(err) != assertion.ReasonReplayed || asked != "billing") {
			t.Errorf("%s: Authenticate again error = %v after Find(%q), want %s", name, err, asked, assertion.ReasonReplayed)
		}
		asked = ""
		trailing := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"billing"}x`)) + ".e30"
		for _, text := range []string{"x", trailing, signed(keys, "JWT", object{"iss": nil}), signed(keys, "JWT", object{"iss": strings.Repeat("a", 300)}), signed(keys, "JWT", object{"iss": "a\nb"})} {
			if _, err := v.Authenticate(request(text, nil)); reasonOf(err) != assertion.ReasonClient || asked != "" {
				t.Errorf("%s: Authenticate(malformed) error = %v after Find(%q), want %s", name, err, asked, assertion.ReasonClient)
			}
		}
	}
	// A client of the configuration is not looked up.
	c := config()
	c.Find = func(context.Context, string) (assertion.Client, error) { return assertion.Client{}, errors.New("down") }
	if client, err := newVerifier(t, c).Authenticate(request(signed(keys, "JWT", nil), nil)); client != "billing" {
		t.Errorf("Authenticate(configured) = %q, %v", client, err)
	}
}
