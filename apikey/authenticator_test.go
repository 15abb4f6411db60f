// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// carried are requests that carry a key in all the ways that there are.
func carried(text string) map[string]*http.Request {
	requests := make(map[string]*http.Request)
	for name, header := range map[string][2]string{
		"X-API-Key": {"X-API-Key", text},
		"Bearer":    {"Authorization", "Bearer " + text},
		"ApiKey":    {"Authorization", "ApiKey " + text},
	} {
		r := httptest.NewRequest("GET", "/reports", nil)
		r.Header.Set(header[0], header[1])
		requests[name] = r
	}
	return requests
}

func TestAccepted(t *testing.T) {
	b := setUp(t, func(c *apikey.Config) { c.Issuer, c.Kind, c.Environment = "keys of acme", gatehouse.KindAgent, "test" })
	r := order()
	r.Metadata = claims(t, `{"name":"nightly"}`)
	key, text := b.issue(t, r)
	requests := carried(text)
	requests["bearer"] = requests["Bearer"].Clone(t.Context())
	requests["bearer"].Header.Set("Authorization", "bEARER   "+text)
	requests["apikey"] = requests["ApiKey"].Clone(t.Context())
	requests["apikey"].Header.Set("Authorization", "APIKEY "+text)
	requests["beside a cookie"] = requests["ApiKey"].Clone(t.Context())
	requests["beside a cookie"].Header.Set("Cookie", "key="+text)
	for name, r := range requests {
		d := b.send(t, r)
		if d.Code != 200 {
			t.Errorf("%s: status %d, %s", name, d.Code, d.event.Reason)
		}
		p := d.principal
		if p.Kind != gatehouse.KindAgent || p.Subject != "ci" || p.Issuer != "keys of acme" || p.Tenant != "t1" || p.Environment != "test" ||
			p.Method != apikey.Method || p.Credential != key.ID || p.Scopes.String() != "reports:read" || !p.Expires.Equal(key.Expires) ||
			p.Claims.String() != `{"name":"nightly"}` || p.Binding != "" || p.Client != "" || p.Roles.Len() > 0 {
			t.Errorf("%s: principal %+v", name, p)
		}
		if d.header.Get("Authorization") != "" || d.header.Get("X-API-Key") != "" {
			t.Errorf("%s: the credential was handed on", name)
		}
		if d.event.Decision != gatehouse.Allowed || d.event.Credential != key.ID || d.event.Issuer != "keys of acme" {
			t.Errorf("%s: event %+v", name, d.event)
		}
	}
	proof, err := b.Authenticate(carried(text)["X-API-Key"])
	if err != nil || proof.Principal().Credential != key.ID || proof.Header != nil {
		t.Errorf("%+v, %v", proof, err)
	}
}

// refusals are keys that are refused, by the reason.
func refusals(t *testing.T, b bench) map[gatehouse.Reason]string {
	t.Helper()
	_, good := b.issue(t, order())
	_, other := b.issue(t, order())

	short := order()
	short.Lifetime = time.Microsecond
	_, expired := b.issue(t, short)
	rotated, first := b.issue(t, order())
	b.rotate(t, rotated.ID, 0)
	revoked, second := b.issue(t, order())
	suspended, third := b.issue(t, order())
	if _, err := b.Revoke(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Suspend(t.Context(), suspended.ID); err != nil {
		t.Fatal(err)
	}
	unknown := "acme_live_" + strings.Repeat("0", 16) + "_" + strings.Repeat("0", 43)
	pass(time.Millisecond)
	return map[gatehouse.Reason]string{
		apikey.ReasonMalformed: good[:len(good)-6] + "000000",
		apikey.ReasonUnknown:   unknown + checksum(unknown),
		apikey.ReasonSecret:    withSecret(t, good, other),
		apikey.ReasonExpired:   expired,
		apikey.ReasonRotated:   first,
		apikey.ReasonRevoked:   second,
		apikey.ReasonSuspended: third,
	}
}

// One answer for all causes; which it was, the operator alone is told.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, nil)
		answers := make(map[string]string)
		for reason, text := range refusals(t, b) {
			for name, r := range carried(text) {
				d := b.send(t, r)
				if d.event.Reason != reason || d.event.Decision != gatehouse.Rejected || d.event.Issuer != "acme" {
					t.Errorf("%s, %s: event %+v", reason, name, d.event)
				}
				if label, err := apikey.Parse(text); err == nil && d.event.Credential != label.ID {
					t.Errorf("%s, %s: credential %q", reason, name, d.event.Credential)
				}
				answer := fmt.Sprintln(d.Code, d.Result().Header, d.Body)
				if answers[name] == "" {
					answers[name] = answer
				}
				if answer != answers[name] {
					t.Errorf("%s, %s:\n%s\n%s", reason, name, answer, answers[name])
				}
			}
		}
		for name, want := range map[string]string{
			"X-API-Key": "403 map[Cache-Control:[no-store] Content-Type:[application/json] X-Content-Type-Options:[nosniff]] " +
				`{"error":"invalid_api_key","error_description":"The API key is not valid."}`,
			"Bearer": "401 map[Cache-Control:[no-store] Content-Type:[application/json] Www-Authenticate:[Bearer realm=\"acme\", error=\"invalid_token\", ",
			"ApiKey": "401 map[Cache-Control:[no-store] Content-Type:[application/json] Www-Authenticate:[ApiKey realm=\"acme\", error=\"invalid_api_key\", ",
		} {
			if !strings.HasPrefix(answers[name], want) {
				t.Errorf("%s:\n%s", name, answers[name])
			}
		}
	})
}

// What is not of our shape is not ours.
func TestClaims(t *testing.T) {
	b := setUp(t, nil)
	for _, text := range []string{"", "acme", "Acme_live_x", "acm_live_x", "eyJh.eyJi.c2ln", "other_live_x", "_acme_"} {
		for name, r := range carried(text) {
			if text == "" && name != "X-API-Key" {
				continue // malformed, whoever reads it
			}
			if _, err := b.Authenticate(r); !errors.Is(err, gatehouse.ErrNoCredentials) {
				t.Errorf("%q in %s: %v", text, name, err)
			}
		}
	}
	for _, text := range []string{"acme_", "acme_live", "acme_live_x", "acme_x.y.z", "acme_" + strings.Repeat("x", 1<<20)} {
		for name, r := range carried(text) {
			if _, err := b.Authenticate(r); err == nil || errors.Is(err, gatehouse.ErrNoCredentials) {
				t.Errorf("%.20q in %s: %v", text, name, err)
			}
		}
	}
	if n := b.store.count("find"); n > 0 {
		t.Errorf("the store was called %d times", n)
	}
}

// Two kinds of keys, and no keys at all, share a gate.
func TestTwoPrefixes(t *testing.T) {
	acme, other := setUp(t, nil), setUp(t, func(c *apikey.Config) { c.Prefix = "other" })
	_, a := acme.issue(t, order())
	_, o := other.issue(t, order())
	for _, authenticators := range [][]gatehouse.Authenticator{{acme.Keys, other.Keys}, {other.Keys, acme.Keys}} {
		for _, text := range []string{a, o} {
			for name, r := range carried(text) {
				if d := through(t, r, authenticators...); d.Code != 200 {
					t.Errorf("%s: status %d, %s", name, d.Code, d.event.Reason)
				}
			}
		}
		for name, want := range map[string]struct {
			status    int
			challenge string
		}{"X-API-Key": {403, ""}, "Bearer": {401, "Bearer"}, "ApiKey": {401, "ApiKey"}} {
			d := through(t, carried("third_live_x")[name], authenticators...)
			if d.Code != want.status || d.event.Reason != gatehouse.ReasonUnclaimed || !strings.HasPrefix(d.Header().Get("WWW-Authenticate"), want.challenge) {
				t.Errorf("%s: status %d, %s, %s", name, d.Code, d.event.Reason, d.Header().Get("WWW-Authenticate"))
			}
		}
	}
}

func TestNoCredentials(t *testing.T) {
	b := setUp(t, nil)
	_, text := b.issue(t, order())
	cookie := httptest.NewRequest("GET", "/reports", nil)
	cookie.Header.Set("Cookie", "X-API-Key="+text+"; api_key="+text)
	basic := httptest.NewRequest("GET", "/reports", nil)
	basic.SetBasicAuth("", text)
	for name, r := range map[string]*http.Request{"nothing": httptest.NewRequest("GET", "/reports", nil), "cookie": cookie, "Basic": basic} {
		d := b.send(t, r)
		if d.Code != 401 || d.Header().Get("WWW-Authenticate") != `ApiKey realm="acme"` || !strings.Contains(d.Body.String(), "missing_credentials") {
			t.Errorf("%s: %d %s %s", name, d.Code, d.Header(), d.Body)
		}
	}
}

func TestSeveralCredentials(t *testing.T) {
	b := setUp(t, nil)
	_, text := b.issue(t, order())
	both := get(text)
	both.Header.Set("Authorization", "Bearer "+text)
	twice := get(text)
	twice.Header.Add("X-API-Key", text)
	for name, r := range map[string]*http.Request{"both": both, "twice": twice} {
		if d := b.send(t, r); d.Code != 400 || d.event.Reason != gatehouse.ReasonSeveralCredentials {
			t.Errorf("%s: %d %s", name, d.Code, d.event.Reason)
		}
	}
	// Without a gate too.
	var refused *gatehouse.Error
	if _, err := b.Authenticate(twice); !errors.As(err, &refused) || refused.Code != gatehouse.CodeInvalidRequest {
		t.Errorf("%v", err)
	}
}

// everyToken accepts every Bearer token.
type everyToken struct{}

func (everyToken) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer"}}}
}

func (everyToken) Authenticate(*http.Request) (gatehouse.Proof, error) {
	return gatehouse.NewProof(&gatehouse.Principal{Subject: "ada", Method: "jwt"}), nil
}

// A key in the URL has leaked, whatever else the request carries.
func TestKeyInURL(t *testing.T) {
	b := setUp(t, nil)
	key, text := b.issue(t, order())
	for name, target := range map[string]string{
		"query":          "/reports?api_key=" + text,
		"query, escaped": "/reports?x=%20&api_key=" + strings.ReplaceAll(text, "_", "%5F"),
		"query, odd":     "/reports?a=%zz&" + text,
		"query, bare":    "/reports?" + text + "&b",
		"query, second":  "/reports?prefix=acme_&k=acme_live_" + text,
		"cut":            "/reports?k=" + text[:len(text)-40],
		"mistyped":       "/reports?k=" + text[:len(text)-1] + "!",
		"path":           "/keys/" + text + "/reports",
		"path and query": "/keys/" + text + "?page=2",
		"path, escaped":  "/keys/" + strings.ReplaceAll(text, "_", "%5f"),
	} {
		alone := httptest.NewRequest("GET", "/", nil)
		u, err := url.Parse("http://example.com" + strings.SplitN(target, "?", 2)[0])
		if err != nil {
			t.Fatal(err)
		}
		_, u.RawQuery, _ = strings.Cut(target, "?")
		alone.URL = u
		with := alone.Clone(t.Context())
		with.Header.Set("X-API-Key", text)
		token := alone.Clone(t.Context())
		token.Header.Set("Authorization", "Bearer a.b.c")
		for _, authenticators := range [][]gatehouse.Authenticator{{b.Keys}, {everyToken{}, b.Keys}, {b.Keys, everyToken{}}} {
			for r, status := range map[*http.Request]int{alone: 401, with: 400, token: 400} {
				d := through(t, r, authenticators...)
				if d.Code != status || d.event.Reason != gatehouse.ReasonCredentialInURL || d.event.Credential != key.ID {
					t.Errorf("%s: %d, event %+v", name, d.Code, d.event)
				}
				if strings.Contains(d.Body.String(), key.ID) {
					t.Errorf("%s: body %s", name, d.Body)
				}
			}
		}
	}
	for _, target := range []string{
		"/reports?id=" + key.ID, "/reports?label=acme_live_" + key.ID, "/acme_/acme_?acme_&acme_live_" + key.ID + "_1234567&acme_live_" + key.ID[1:] + "_12345678",
		"/reports?acme_Live_" + key.ID + "_12345678&acme__" + key.ID + "_12345678", "/reports?acme_live_" + key.ID[1:] + "-_12345678",
		"/reports?acme_live_" + key.ID + "_1234567-",
	} {
		r := get(text)
		r.URL, _ = url.Parse(target)
		if d := b.send(t, r); d.Code != 200 {
			t.Errorf("%s: status %d, %s", target, d.Code, d.event.Reason)
		}
	}
	if n := b.store.count("find"); n != 6 {
		t.Errorf("the store was called %d times", n)
	}
}

// A key for another environment is told so, and not looked up.
func TestEnvironment(t *testing.T) {
	live, test := setUp(t, nil), setUp(t, func(c *apikey.Config) { c.Environment = "test" })
	key, text := live.issue(t, order())
	for name, r := range carried(text) {
		d := test.send(t, r)
		if d.Code != 403 || d.event.Code != "access_denied" || d.event.Reason != apikey.ReasonEnvironment || d.event.Credential != key.ID {
			t.Errorf("%s: %d, event %+v", name, d.Code, d.event)
		}
	}
	if n := test.store.count("find"); n > 0 {
		t.Errorf("the store was called %d times", n)
	}

	// Neither does one become the other.
	other := order()
	other.Environment = "test"
	forged, testText := live.issue(t, other)
	live.want(t, testText, apikey.ReasonEnvironment)
	body := "acme_live_" + forged.ID + "_" + strings.Split(testText, "_")[3][:43]
	live.want(t, body+checksum(body), apikey.ReasonSecret)
}

// A hash is good for its own id only, even for who can write to the store.
func TestHashIsBoundToID(t *testing.T) {
	b := setUp(t, nil)
	victim, victims := b.issue(t, order())
	mine, text := b.issue(t, order())
	record, err := b.store.Find(t.Context(), mine.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Rotate(t.Context(), victim.ID, apikey.Rotation{Current: record.Current, MaxLifetime: day}); err != nil {
		t.Fatal(err)
	}
	b.want(t, withSecret(t, victims, text), apikey.ReasonSecret)
	b.want(t, text, "")
}

// What cannot be told is 503, never 403, and nobody gets in.
func TestStoreDown(t *testing.T) {
	b := setUp(t, nil)
	_, text := b.issue(t, order())
	down := errors.New("connection refused")
	b.store.breakAll(down)
	for name, r := range carried(text) {
		d := b.send(t, r)
		if d.Code != 503 || d.Header().Get("Retry-After") != "5" || d.event.Decision != gatehouse.Unavailable ||
			d.event.Reason != apikey.ReasonStoreUnavailable || !errors.Is(d.event.Cause, down) || d.event.Credential == "" {
			t.Errorf("%s: %d %v, event %+v", name, d.Code, d.Header(), d.event)
		}
	}
	for name, call := range map[string]func() error{
		"create":     func() error { _, err := b.Create(t.Context(), order()); return err },
		"rotate":     func() error { _, err := b.Rotate(t.Context(), "0123456789abcdef", 0, 0); return err },
		"revoke":     func() error { _, err := b.Revoke(t.Context(), "0123456789abcdef"); return err },
		"revoke all": func() error { _, err := b.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"}); return err },
		"suspend":    func() error { _, err := b.Suspend(t.Context(), "0123456789abcdef"); return err },
		"describe":   func() error { _, err := b.Describe(t.Context(), "0123456789abcdef"); return err },
		"list":       func() error { _, err := b.List(t.Context(), apikey.Query{}, ""); return err },
	} {
		if err := call(); !errors.Is(err, down) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.store.breakAll(nil)
	b.want(t, text, "")

	// A caller who has gone cannot be told anything either.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d := b.send(t, get(text).WithContext(ctx)); d.Code != 503 {
		t.Errorf("status %d", d.Code)
	}
}

// An unknown id, a wrong secret and a key that is over take the same path: as
// many hashes and as many calls of the store as a good key. (What follows a
// good one is counting its use.)
func TestSamePath(t *testing.T) {
	for name, alter := range map[string]func(*apikey.Config){
		"plain":       nil,
		"pepper":      func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(1, 'a')} },
		"two peppers": func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(2, 'b'), pepper(1, 'a')} },
		"mixed":       func(c *apikey.Config) { c.Peppers, c.AllowUnpeppered = []apikey.Pepper{pepper(2, 'b')}, true },
		"four peppers": func(c *apikey.Config) {
			c.Peppers = []apikey.Pepper{pepper(4, 'd'), pepper(3, 'c'), pepper(2, 'b'), pepper(1, 'a')}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setUp(t, alter)
				cost := func(text string) [2]int {
					before := b.store.count("find")
					var finds int
					hashes := apikey.CountHashes(func() {
						b.send(t, get(text))
						finds = b.store.count("find") - before
					})
					return [2]int{hashes, finds}
				}
				_, good := b.issue(t, order())
				want := cost(good)
				if want[0] < 1 || want[1] != 1 {
					t.Fatalf("a good key: %d hashes, %d calls", want[0], want[1])
				}
				for reason, text := range refusals(t, b) {
					got := cost(text)
					if reason == apikey.ReasonMalformed {
						if got != [2]int{} {
							t.Errorf("%s: %d hashes, %d calls", reason, got[0], got[1])
						}
					} else if got != want {
						t.Errorf("%s: %d hashes, %d calls, want %d and %d", reason, got[0], got[1], want[0], want[1])
					}
				}
			})
		})
	}
}

// Random strings and typing errors never reach the store.
func TestJunkNeverReachesTheStore(t *testing.T) {
	b := setUp(t, nil)
	_, text := b.issue(t, order())
	for i := range len(text) {
		for _, c := range []byte("0Zz_-") {
			if text[i] != c {
				b.send(t, get(text[:i]+string(c)+text[i+1:]))
			}
		}
		b.send(t, get(text[:i]))
	}
	for _, junk := range near() {
		b.send(t, get(junk))
	}
	if n := b.store.count("find"); n > 0 {
		t.Errorf("the store was called %d times", n)
	}
}

func TestNetworks(t *testing.T) {
	b := setUp(t, func(c *apikey.Config) {
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("fd00::/8")}
	})
	r := order()
	r.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::ffff:198.51.100.7/128")}
	_, text := b.issue(t, r)
	for _, test := range []struct {
		remote    string
		forwarded []string
		allowed   bool
	}{
		{"192.0.2.9:1234", nil, true},
		{"[2001:db8::9]:1234", nil, true},
		{"[::ffff:192.0.2.9]:1234", nil, true},
		{"198.51.100.7:1", nil, true},
		{"198.51.100.8:1", nil, false},
		{"203.0.113.1:1234", nil, false},
		{"[2001:db9::9]:1234", nil, false},
		{"[2001:db8::9%eth0]:1234", nil, false},
		{"", nil, false},
		{"@", nil, false},
		{"192.0.2.9", nil, false},
		// Whoever is not a proxy has no say.
		{"203.0.113.1:1", []string{"192.0.2.9"}, false},
		{"192.0.2.9:1", []string{"203.0.113.1"}, true},
		// A proxy speaks for the address that it adds last.
		{"10.0.0.1:1", []string{"192.0.2.9"}, true},
		{"[fd00::1]:1", []string{"192.0.2.9"}, true},
		{"[::ffff:10.0.0.1]:1", []string{"192.0.2.9"}, true},
		{"10.0.0.1:1", []string{"203.0.113.1"}, false},
		{"10.0.0.1:1", []string{"192.0.2.9, 203.0.113.1"}, false},
		{"10.0.0.1:1", []string{"192.0.2.9", "203.0.113.1"}, false},
		{"10.0.0.1:1", []string{"203.0.113.1, 192.0.2.9"}, true},
		{"10.0.0.1:1", []string{"203.0.113.1", "192.0.2.9,10.0.0.2"}, true},
		{"10.0.0.1:1", []string{"203.0.113.1, 192.0.2.9,\t10.0.0.2 , fd00::2"}, true},
		{"10.0.0.1:1", []string{"192.0.2.9, 203.0.113.1, 10.0.0.2"}, false},
		{"10.0.0.1:1", []string{"::ffff:192.0.2.9"}, true},
		{"10.0.0.1:1", []string{"192.0.2.9:5678"}, true},
		{"10.0.0.1:1", []string{"[2001:db8::9]:5678"}, true},
		{"10.0.0.1:1", []string{"10.0.0.2"}, false}, // a proxy on its own account
		// What cannot be read denies.
		{"10.0.0.1:1", nil, false},
		{"10.0.0.1:1", []string{""}, false},
		{"10.0.0.1:1", []string{"192.0.2.9,"}, false},
		{"10.0.0.1:1", []string{"192.0.2.9, unknown"}, false},
		{"10.0.0.1:1", []string{"192.0.2.9, unknown, 10.0.0.2"}, false},
		{"10.0.0.1:1", []string{"192.0.2.009"}, false},
		{"10.0.0.1:1", []string{"192.0.2.9/32"}, false},
		{"10.0.0.1:1", []string{"2001:db8::9%eth0"}, false},
		// What stands further left than the answer is not read.
		{"10.0.0.1:1", []string{"unknown, 192.0.2.9"}, true},
	} {
		r := get(text)
		r.RemoteAddr = test.remote
		if test.forwarded != nil {
			r.Header["X-Forwarded-For"] = test.forwarded
		}
		r.Header.Set("X-Real-Ip", "192.0.2.9")
		r.Header.Set("Forwarded", "for=192.0.2.9")
		d := b.send(t, r)
		if test.allowed != (d.Code == 200) {
			t.Errorf("%q, %q: status %d", test.remote, test.forwarded, d.Code)
		}
		if !test.allowed && (d.Code != 403 || d.event.Reason != apikey.ReasonNetwork || d.event.Code != "access_denied") {
			t.Errorf("%q, %q: %d, event %+v", test.remote, test.forwarded, d.Code, d.event)
		}
	}
	// Who does not have the secret learns nothing of networks.
	_, other := b.issue(t, order())
	b.want(t, withSecret(t, text, other), apikey.ReasonSecret)
}

// A proxy that is not named has no say, whatever it says.
func TestNoProxies(t *testing.T) {
	b := setUp(t, nil)
	r := order()
	r.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	_, text := b.issue(t, r)
	q := get(text)
	q.RemoteAddr = "127.0.0.1:1"
	q.Header.Set("X-Forwarded-For", "203.0.113.1")
	if d := b.send(t, q); d.Code != 200 {
		t.Errorf("status %d", d.Code)
	}
	q.RemoteAddr = "203.0.113.1:1"
	q.Header.Set("X-Forwarded-For", "127.0.0.1")
	if d := b.send(t, q); d.Code != 403 {
		t.Errorf("status %d", d.Code)
	}
}

// Many goroutines rotate, revoke and use the same keys: no secret is accepted
// once its end was acknowledged.
func TestNothingIsAcceptedAfterItsEnd(t *testing.T) {
	for _, peppers := range [][]apikey.Pepper{nil, {pepper(1, 'a')}} {
		b := setUp(t, func(c *apikey.Config) { c.Peppers, c.Observer = peppers, nil })
		const rounds = 300
		type secret struct {
			text string
			dead atomic.Bool
		}
		secrets := make(chan *secret)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range rounds {
				key, text := b.issue(t, order())
				old := &secret{text: text}
				for range 4 {
					secrets <- old
					_, text := b.rotate(t, key.ID, 0)
					old.dead.Store(true)
					old = &secret{text: text}
				}
				secrets <- old
				if _, err := b.Revoke(t.Context(), key.ID); err != nil {
					t.Error(err)
				}
				old.dead.Store(true)
			}
		}()
		results := make(chan [2]int)
		for range 8 {
			go func() {
				var tried [2]int
				for more := true; more; {
					select {
					case s := <-secrets:
						for range 3 {
							dead := s.dead.Load()
							_, err := b.Authenticate(get(s.text))
							if dead && err == nil {
								t.Error("accepted after its end was acknowledged")
							}
							if dead {
								tried[1]++
							} else {
								tried[0]++
							}
						}
					case <-done:
						more = false
					}
				}
				results <- tried
			}()
		}
		var total [2]int
		for range 8 {
			tried := <-results
			total[0] += tried[0]
			total[1] += tried[1]
		}
		if total[0] == 0 || total[1] == 0 {
			t.Errorf("%d tries of good secrets, %d of dead ones", total[0], total[1])
		}
	}
}

// altering is a store in which somebody has changed a record by hand.
type altering struct {
	*counting
	alter func(*apikey.Record)
}

func (a *altering) Find(ctx context.Context, id string) (apikey.Record, error) {
	r, err := a.counting.Find(ctx, id)
	if a.alter != nil {
		a.alter(&r)
	}
	return r, err
}

// A principal is shared by the requests of a key for as long as nothing about
// it changes, and no longer.
func TestPrincipalFollowsTheRecord(t *testing.T) {
	store := &altering{counting: newCounting()}
	b := setUp(t, func(c *apikey.Config) { c.Store = store })
	_, text := b.issue(t, order())
	principal := func() gatehouse.Principal {
		t.Helper()
		proof, err := b.Authenticate(get(text))
		if err != nil {
			t.Fatal(err)
		}
		return proof.Principal()
	}
	first := principal()
	scopes, err := gatehouse.ParseScopes("reports:none")
	if err != nil {
		t.Fatal(err)
	}
	metadata := claims(t, `{"changed":true}`)
	end := time.Now().Add(time.Hour)
	for name, change := range map[string]struct {
		alter func(*apikey.Record)
		seen  func(gatehouse.Principal) bool
	}{
		"owner":       {func(r *apikey.Record) { r.Owner = "eve" }, func(p gatehouse.Principal) bool { return p.Subject == "eve" }},
		"tenant":      {func(r *apikey.Record) { r.Tenant = "t9" }, func(p gatehouse.Principal) bool { return p.Tenant == "t9" }},
		"environment": {func(r *apikey.Record) { r.Environment = "x" }, func(p gatehouse.Principal) bool { return p.Environment == "x" }},
		"scopes":      {func(r *apikey.Record) { r.Scopes = scopes }, func(p gatehouse.Principal) bool { return p.Scopes == scopes }},
		"metadata":    {func(r *apikey.Record) { r.Metadata = metadata }, func(p gatehouse.Principal) bool { return p.Claims == metadata }},
		"expires":     {func(r *apikey.Record) { r.Expires = end }, func(p gatehouse.Principal) bool { return p.Expires.Equal(end) }},
	} {
		store.alter = change.alter
		if p := principal(); !change.seen(p) {
			t.Errorf("%s: not seen in %+v", name, p)
		}
		store.alter = nil
		if p := principal(); change.seen(p) {
			t.Errorf("%s: seen afterwards", name)
		}
	}
	if first.Subject != "ci" || first.Tenant != "t1" || first.Scopes.String() != "reports:read" {
		t.Errorf("a principal that was given out has changed: %+v", first)
	}
}
