// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

func TestAuthenticateReturnsPrincipal(t *testing.T) {
	f := newKeys(t, func(c *apikey.Config) { c.Kind, c.Environment = gatehouse.KindAgent, "test" })
	r := request()
	r.Metadata = claims(t, `{"name":"nightly"}`)
	key, text := f.create(t, r)
	want := gatehouse.Principal{
		Kind: gatehouse.KindAgent, Subject: "ci", Issuer: issuer, Tenant: "t1", Environment: "test", Method: apikey.Method,
		Credential: key.ID, Scopes: key.Scopes, Expires: key.Expires, Claims: r.Metadata,
	}
	requests := inEachPlace(text)
	requests["bearer"], requests["apikey"] = authorization("bEARER   "+text), authorization("APIKEY "+text)
	for name, r := range requests {
		r.Header.Set("Cookie", "key="+text) // which is not read
		got := send(t, r, f.Keys)
		if got.Code != 200 || got.principal != want || got.event.Decision != gatehouse.Allowed || got.event.Principal != want {
			t.Errorf("%s: status %d, principal = %+v, event = %+v, want %+v", name, got.Code, got.principal, got.event, want)
		}
		if got.header.Get("Authorization")+got.header.Get("X-API-Key") != "" {
			t.Errorf("%s: the handler received the key", name)
		}
	}
}

// rejections returns a key for each reason to reject it.
func rejections(t *testing.T, f fixture) map[gatehouse.Reason]string {
	t.Helper()
	_, valid := f.create(t, request())
	_, other := f.create(t, request())
	short := request()
	short.Lifetime = time.Microsecond
	_, expired := f.create(t, short)
	key, rotated := f.create(t, request())
	f.rotate(t, key.ID, 0)
	key, revoked := f.create(t, request())
	must(f.Revoke(t.Context(), key.ID))(t)
	key, suspended := f.create(t, request())
	must(f.Suspend(t.Context(), key.ID))(t)
	unknown := "acme_live_" + strings.Repeat("0", 16) + "_" + strings.Repeat("0", 43)
	advance(time.Millisecond)
	return map[gatehouse.Reason]string{
		apikey.ReasonMalformed: valid[:len(valid)-6] + "000000",
		apikey.ReasonUnknown:   unknown + checksum(unknown),
		apikey.ReasonSecret:    withSecret(valid, other),
		apikey.ReasonExpired:   expired,
		apikey.ReasonRotated:   rotated,
		apikey.ReasonRevoked:   revoked,
		apikey.ReasonSuspended: suspended,
	}
}

// The response does not depend on the reason, which only the event has.
func TestRejectionsHaveOneResponse(t *testing.T) {
	const header = "map[Cache-Control:[no-store] Content-Type:[application/json] "
	want := map[string]string{
		"X-API-Key": "403 " + header + "X-Content-Type-Options:[nosniff]] " +
			`{"error":"invalid_api_key","error_description":"The API key is not valid."}`,
		"Bearer": "401 " + header + `Www-Authenticate:[Bearer realm="acme", error="invalid_token", `,
		"ApiKey": "401 " + header + `Www-Authenticate:[ApiKey realm="acme", error="invalid_api_key", `,
	}
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		responses := make(map[string]string)
		for reason, text := range rejections(t, f) {
			for name, r := range inEachPlace(text) {
				got := send(t, r, f.Keys)
				if e := got.event; e.Reason != reason || e.Decision != gatehouse.Rejected || e.Issuer != issuer {
					t.Errorf("%s, %s: event %+v", reason, name, e)
				}
				if label, err := apikey.Parse(text); err == nil && got.event.Credential != label.ID {
					t.Errorf("%s, %s: Credential = %q, want %q", reason, name, got.event.Credential, label.ID)
				}
				response := fmt.Sprintln(got.Code, got.Result().Header, got.Body)
				if first := responses[name]; !strings.HasPrefix(response, want[name]) || first != "" && response != first {
					t.Errorf("%s, %s: response\n%swant\n%s%s", reason, name, response, want[name], first)
				}
				responses[name] = response
			}
		}
	})
}

// Two prefixes share a gate. Bearer is read and not advertised.
func TestResponses(t *testing.T) {
	acme, other := newKeys(t, nil), newKeys(t, func(c *apikey.Config) { c.Prefix = "other" })
	_, a := acme.create(t, request())
	_, o := other.create(t, request())
	const (
		none   = `ApiKey realm="acme"`
		apiKey = none + `, error="invalid_api_key", error_description="The API key is not valid."`
		bearer = `Bearer realm="acme", error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons."`
	)
	type row struct {
		name      string
		header    http.Header
		status    int
		code      string
		reason    gatehouse.Reason
		challenge string
	}
	rows := []row{
		{"nothing", http.Header{}, 401, "missing_credentials", gatehouse.ReasonNoCredentials, none},
		{"cookie", http.Header{"Cookie": {"X-API-Key=" + a + "; api_key=" + a}}, 401, "missing_credentials", gatehouse.ReasonNoCredentials, none},
		{"Basic", http.Header{"Authorization": {"Basic Omtle"}}, 401, "missing_credentials", gatehouse.ReasonUnclaimed, none},
		{"empty header", http.Header{"X-Api-Key": {""}}, 401, "missing_credentials", gatehouse.ReasonNoCredentials, none},
		{"both headers", http.Header{"X-Api-Key": {a}, "Authorization": {"Bearer " + a}}, 400, "invalid_request", gatehouse.ReasonSeveralCredentials, ""},
		{"header twice", http.Header{"X-Api-Key": {a, a}}, 400, "invalid_request", gatehouse.ReasonSeveralCredentials, ""},
	}
	inEach := func(text string, reason gatehouse.Reason) {
		for _, r := range []row{
			{"X-API-Key", http.Header{"X-Api-Key": {text}}, 403, "invalid_api_key", reason, ""},
			{"Bearer", http.Header{"Authorization": {"Bearer " + text}}, 401, "invalid_token", reason, bearer},
			{"ApiKey", http.Header{"Authorization": {"ApiKey " + text}}, 401, "invalid_api_key", reason, apiKey},
		} {
			if reason == "" {
				r.status, r.code, r.challenge = 200, "", ""
			}
			r.name += " with " + text[:min(len(text), 20)]
			rows = append(rows, r)
		}
	}
	inEach(a, "")
	inEach(o, "")
	for _, text := range []string{"acme", "Acme_live_x", "acm_live_x", "eyJh.eyJi.c2ln", "third_live_x", "_acme_"} {
		inEach(text, gatehouse.ReasonUnclaimed)
	}
	for _, text := range []string{"acme_", "acme_live", "other_live_x", "acme_x.y.z", "acme_" + strings.Repeat("x", 1<<20)} {
		inEach(text, apikey.ReasonMalformed)
	}
	for _, row := range rows {
		for _, authenticators := range [][]gatehouse.Authenticator{{acme.Keys, other.Keys}, {other.Keys, acme.Keys}} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header = row.header
			got := send(t, r, authenticators...)
			challenge := strings.Join(got.Header()["Www-Authenticate"], "; ")
			if got.Code != row.status || got.event.Code != row.code || got.event.Reason != row.reason || challenge != row.challenge {
				t.Errorf("%s: %d %s (%s), challenge %q, want %d %s (%s), %q", row.name,
					got.Code, got.event.Code, got.event.Reason, challenge, row.status, row.code, row.reason, row.challenge)
			}
		}
	}
	acme.wantCalls(t, "Find", 6)
	for _, header := range []http.Header{{"X-Api-Key": {a, a}}, {"Authorization": {"Bearer"}}} {
		_, err := acme.Authenticate(&http.Request{Header: header}) // without a gate
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != gatehouse.CodeInvalidRequest {
			t.Errorf("Authenticate(%d X-API-Key, %q) error = %v, want invalid_request", len(header["X-Api-Key"]), header["Authorization"], err)
		}
	}
}

// anyToken accepts every Bearer token.
type anyToken struct{}

func (anyToken) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer"}}}
}

func (anyToken) Authenticate(*http.Request) (gatehouse.Proof, error) {
	return gatehouse.NewProof(&gatehouse.Principal{Subject: "ada", Method: "jwt"}), nil
}

func TestKeyInURLRejected(t *testing.T) {
	f := newKeys(t, nil)
	key, text := f.create(t, request())
	for name, target := range map[string]string{
		"query":             "/reports?api_key=" + text,
		"query, escaped":    "/reports?x=%20&api_key=" + strings.ReplaceAll(text, "_", "%5F"),
		"query, malformed":  "/reports?a=%zz&" + strings.ReplaceAll(text, "_", "%5F") + "&b=%",
		"malformed value":   "/reports?k=%zz" + text,
		"query, without =":  "/reports?" + text + "&b",
		"query, second":     "/reports?prefix=acme_&k=acme_live_" + text,
		"truncated":         "/reports?k=" + text[:len(text)-41], // 8 characters of the secret remain
		"mistyped":          "/reports?k=" + text[:len(text)-1] + "!",
		"path":              "/keys/" + text + "/reports",
		"path before query": "/keys/" + text + "?page=2",
		"path, escaped":     "/keys/" + strings.ReplaceAll(text, "_", "%5f"),
	} {
		path, query, _ := strings.Cut(target, "?")
		alone := httptest.NewRequest("GET", "/", nil)
		alone.URL = must(url.Parse("http://example.com" + path))(t)
		alone.URL.RawQuery = query
		withKey, withToken := alone.Clone(t.Context()), alone.Clone(t.Context())
		withKey.Header.Set("X-API-Key", text)
		withToken.Header.Set("Authorization", "Bearer a.b.c")
		for _, authenticators := range [][]gatehouse.Authenticator{{f.Keys}, {anyToken{}, f.Keys}, {f.Keys, anyToken{}}} {
			for r, status := range map[*http.Request]int{alone: 401, withKey: 400, withToken: 400} {
				got := send(t, r, authenticators...)
				if got.Code != status || got.event.Reason != gatehouse.ReasonCredentialInURL || got.event.Credential != key.ID || got.event.Issuer != issuer {
					t.Errorf("%s: status %d, want %d, event %+v", name, got.Code, status, got.event)
				}
				if strings.Contains(got.Body.String(), key.ID) {
					t.Errorf("%s: the body contains the ID: %s", name, got.Body)
				}
			}
		}
	}
	f.wantCalls(t, "Find", 0)
	for _, target := range []string{
		"/reports?id=" + key.ID, "/reports?label=acme_live_" + key.ID, "/acme_/acme_?acme_&acme_live_" + key.ID + "_1234567&acme_live_" + key.ID[1:] + "_12345678",
		"/reports?acme_Live_" + key.ID + "_12345678&acme__" + key.ID + "_12345678", "/reports?acme_live_" + key.ID[1:] + "-_12345678",
		"/reports?acme_live_" + key.ID + "_1234567-",
	} {
		r := get(text)
		r.URL = must(url.Parse(target))(t)
		if got := send(t, r, f.Keys); got.Code != 200 {
			t.Errorf("%s: status %d, reason %q, want 200", target, got.Code, got.event.Reason)
		}
	}
}

// A key of another environment is rejected without a call of the store.
func TestEnvironment(t *testing.T) {
	live, test := newKeys(t, nil), newKeys(t, func(c *apikey.Config) { c.Environment = "test" })
	key, text := live.create(t, request())
	for name, r := range inEachPlace(text) {
		got := test.wantReasonOf(t, r, apikey.ReasonEnvironment)
		if got.Code != 403 || got.event.Code != "access_denied" || got.event.Credential != key.ID {
			t.Errorf("%s: status %d, event %+v", name, got.Code, got.event)
		}
	}
	test.wantCalls(t, "Find", 0)
	for _, environment := range []string{"test", "live2", "liv"} {
		r := request()
		r.Environment = environment
		key, _ = live.create(t, r)
		if _, text = live.rotate(t, key.ID, 0); !strings.HasPrefix(text, "acme_"+environment+"_"+key.ID+"_") {
			t.Errorf("Rotate(key of %s) returned a secret of another environment", environment)
		}
		live.wantReason(t, text, apikey.ReasonEnvironment)
	}
}

// A store failure is 503 and fails closed.
func TestStoreUnavailable(t *testing.T) {
	f := newKeys(t, nil)
	key, text := f.create(t, request())
	down := errors.New("connection refused")
	f.store.fail(down)
	for name, r := range inEachPlace(text) {
		got := send(t, r, f.Keys)
		if e := got.event; got.Code != 503 || got.Header().Get("Retry-After") != "5" || e.Decision != gatehouse.Unavailable ||
			e.Reason != apikey.ReasonStoreUnavailable || !errors.Is(e.Cause, down) || e.Credential != key.ID || e.Issuer != issuer {
			t.Errorf("%s: status %d, header %v, event %+v", name, got.Code, got.Header(), e)
		}
	}
	for _, c := range f.calls(t.Context(), key.ID, text) {
		_, err := c.call()
		e, ok := errors.AsType[*gatehouse.Error](err)
		if !ok || e.Code != gatehouse.CodeTemporarilyUnavailable || e.Reason != apikey.ReasonStoreUnavailable || !errors.Is(err, down) || errors.Is(err, apikey.ErrInvalid) {
			t.Errorf("%s on a failing store: error = %v, want a 503 with the cause", c.name, err)
		}
	}
	f.store.fail(nil)
	f.wantReason(t, text, "")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := send(t, get(text).WithContext(ended), f.Keys); got.Code != 503 {
		t.Errorf("request with a canceled context: status %d, want 503", got.Code)
	}
}

// An unknown ID is ErrNotFound, and no 503.
func TestUnknownID(t *testing.T) {
	f := newKeys(t, nil)
	for _, c := range f.calls(t.Context(), unknownID, golden) {
		want := apikey.ErrNotFound
		if slices.Contains([]string{"Create", "List", "RevokeAll"}, c.name) {
			want = nil
		}
		_, err := c.call()
		if _, refusal := errors.AsType[*gatehouse.Error](err); refusal || !errors.Is(err, want) {
			t.Errorf("%s error = %v, want %v", c.name, err, want)
		}
	}
}

// A rejected key costs as many hashes and store calls as a valid one, so that the
// response time says nothing about it.
func TestRejectionsCostTheSame(t *testing.T) {
	for name, alter := range map[string]func(*apikey.Config){
		"plain":       nil,
		"cache":       withCache(5 * time.Second),
		"pepper":      func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(1, 'a')} },
		"two peppers": func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(2, 'b'), pepper(1, 'a')} },
		"mixed":       func(c *apikey.Config) { c.Peppers, c.AllowUnpeppered = []apikey.Pepper{pepper(2, 'b')}, true },
		"four peppers": func(c *apikey.Config) {
			c.Peppers = []apikey.Pepper{pepper(4, 'd'), pepper(3, 'c'), pepper(2, 'b'), pepper(1, 'a')}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newKeys(t, alter)
				type cost struct{ hashes, finds int }
				measure := func(text string) cost {
					before := f.store.count("Find")
					hashes := apikey.CountHashes(func() { send(t, get(text), f.Keys) })
					return cost{hashes, f.store.count("Find") - before}
				}
				_, valid := f.create(t, request())
				want := measure(valid)
				if want.hashes < 1 || want.finds != 1 {
					t.Fatalf("a valid key costs %+v, want at least one hash and one find", want)
				}
				for reason, text := range rejections(t, f) {
					want := want
					if reason == apikey.ReasonMalformed {
						want = cost{}
					}
					if got := measure(text); got != want {
						t.Errorf("%s costs %+v, want %+v", reason, got, want)
					}
				}
			})
		})
	}
}

func TestNetworks(t *testing.T) {
	proxied := newKeys(t, func(c *apikey.Config) { c.Proxies = prefixes("10.0.0.0/24", "fd00::/8") })
	direct := newKeys(t, func(c *apikey.Config) { c.Store = proxied.store })
	r := request()
	r.Networks = prefixes("192.0.2.0/24", "2001:db8::/32", "::ffff:198.51.100.7/128")
	key, text := proxied.create(t, r)
	_, newest := proxied.rotate(t, key.ID, day)
	for _, test := range []struct {
		name      string
		keys      fixture
		remote    string
		forwarded []string
		allowed   bool
	}{
		{"IPv4", direct, "192.0.2.9:1234", nil, true},
		{"IPv6", direct, "[2001:db8::9]:1234", nil, true},
		{"mapped network", direct, "198.51.100.7:1", nil, true},
		{"outside the mapped network", direct, "198.51.100.8:1", nil, false},
		{"outside", direct, "203.0.113.1:1234", nil, false},
		{"zone", direct, "[2001:db8::9%eth0]:1234", nil, false},
		{"no address", direct, "", nil, false},
		{"forged header", direct, "203.0.113.1:1", []string{"192.0.2.9"}, false},
		{"header ignored", direct, "192.0.2.9:1", []string{"203.0.113.1"}, true},
		{"proxy", proxied, "10.0.0.1:1", []string{"192.0.2.9"}, true},
		{"proxy, outside", proxied, "10.0.0.1:1", []string{"192.0.2.9, 203.0.113.1"}, false},
		{"proxy without header", proxied, "10.0.0.1:1", nil, false},
		{"leading zero", proxied, "10.0.0.1:1", []string{"192.0.2.009"}, false},
		{"network for an address", proxied, "10.0.0.1:1", []string{"192.0.2.9/32"}, false},
		{"entry with a zone", proxied, "10.0.0.1:1", []string{"2001:db8::9%eth0"}, false},
	} {
		for secret, text := range map[string]string{"previous": text, "current": newest} {
			r := from(text, test.remote)
			if test.forwarded != nil {
				r.Header["X-Forwarded-For"] = test.forwarded
			}
			r.Header.Set("X-Real-Ip", "192.0.2.9")
			r.Header.Set("Forwarded", "for=192.0.2.9")
			want := apikey.ReasonNetwork
			if test.allowed {
				want = ""
			}
			got := send(t, r, test.keys.Keys)
			if got.event.Reason != want || !test.allowed && (got.Code != 403 || got.event.Code != "access_denied") {
				t.Errorf("%s, %s secret: status %d, event %+v, want reason %q", test.name, secret, got.Code, got.event, want)
			}
		}
	}
	// A client without the secret learns nothing about the networks.
	_, other := direct.create(t, request())
	direct.wantReasonOf(t, from(withSecret(text, other), "203.0.113.1:1"), apikey.ReasonSecret)
}

// While goroutines rotate, revoke and use keys, no secret is accepted after the
// call that ended it has returned.
func TestEndedSecretsAreRejectedUnderLoad(t *testing.T) {
	for _, peppers := range [][]apikey.Pepper{nil, {pepper(1, 'a')}} {
		f := newKeys(t, func(c *apikey.Config) { c.Peppers, c.Observer = peppers, nil })
		type secret struct {
			text  string
			ended atomic.Bool
		}
		secrets := make(chan *secret)
		var valid, ended atomic.Int64
		var users sync.WaitGroup
		for range 8 {
			users.Go(func() {
				for s := range secrets {
					for range 3 {
						was := s.ended.Load()
						_, err := f.Authenticate(get(s.text))
						if was && err == nil {
							t.Error("a secret was accepted after its end")
						}
						if was {
							ended.Add(1)
						} else {
							valid.Add(1)
						}
					}
				}
			})
		}
		for range 300 {
			key, text := f.create(t, request())
			current := &secret{text: text}
			for range 4 {
				secrets <- current
				_, text := f.rotate(t, key.ID, 0)
				current.ended.Store(true)
				current = &secret{text: text}
			}
			secrets <- current
			must(f.Revoke(t.Context(), key.ID))(t)
			current.ended.Store(true)
		}
		close(secrets)
		users.Wait()
		if valid.Load() == 0 || ended.Load() == 0 {
			t.Errorf("%d uses of valid secrets and %d of ended ones, want both", valid.Load(), ended.Load())
		}
	}
}

// The cached principal follows each change of the record.
func TestPrincipalFollowsTheRecord(t *testing.T) {
	f := newKeys(t, nil)
	_, text := f.create(t, request())
	principal := func() gatehouse.Principal {
		t.Helper()
		return must(f.Authenticate(get(text)))(t).Principal()
	}
	first := principal()
	scopes := must(gatehouse.ParseScopes("reports:none"))(t)
	metadata, expires := claims(t, `{"changed":true}`), time.Now().Add(time.Hour)
	for name, change := range map[string]func(*apikey.Record, *gatehouse.Principal){
		"owner":       func(r *apikey.Record, p *gatehouse.Principal) { r.Owner, p.Subject = "c", "c" },
		"tenant":      func(r *apikey.Record, p *gatehouse.Principal) { r.Tenant, p.Tenant = "t", "t" },
		"environment": func(r *apikey.Record, p *gatehouse.Principal) { r.Environment, p.Environment = "l", "l" },
		"scopes":      func(r *apikey.Record, p *gatehouse.Principal) { r.Scopes, p.Scopes = scopes, scopes },
		"no scopes": func(r *apikey.Record, p *gatehouse.Principal) {
			r.Scopes, p.Scopes = gatehouse.Scopes{}, gatehouse.Scopes{}
		},
		"metadata": func(r *apikey.Record, p *gatehouse.Principal) { r.Metadata, p.Claims = metadata, metadata },
		"expires":  func(r *apikey.Record, p *gatehouse.Principal) { r.Expires, p.Expires = expires, expires },
	} {
		want := first
		change(new(apikey.Record), &want)
		f.store.found = func(_ context.Context, r *apikey.Record) { change(r, new(gatehouse.Principal)) }
		if got := principal(); got != want {
			t.Errorf("%s: principal = %+v, want %+v", name, got, want)
		}
		f.store.found = nil
		if got := principal(); got != first {
			t.Errorf("%s, changed back: principal = %+v, want %+v", name, got, first)
		}
	}
}
