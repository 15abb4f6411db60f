// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// Covers RFC 6750 §3 (auth-param).
func TestNewReportsEveryMistake(t *testing.T) {
	var absent *failed
	for _, test := range []struct {
		name   string
		config gatehouse.Config
		want   string
	}{
		{"nothing set", gatehouse.Config{}, "gatehouse: Config.Authenticators: at least one is required\n" + "gatehouse: Config.Realm: required"},
		{
			"everything wrong",
			gatehouse.Config{
				Authenticators: list{nil, goodToken(), absent}, Realm: "caf\u00e9", Metadata: &gatehouse.Metadata{Path: "/x"},
				Observer: gatehouse.ObserverFunc(nil), LoginURL: "//evil.example/login",
			},
			"gatehouse: Config.Realm: has characters outside printable ASCII\n" +
				"gatehouse: Config.Metadata: must come from NewMetadata\n" +
				"gatehouse: Config.Observer: is a nil gatehouse.ObserverFunc\n" +
				"gatehouse: Config.LoginURL: is neither a path that begins with one / nor an https URL\n" +
				"gatehouse: Config.Authenticators[0]: is nil\n" +
				"gatehouse: Config.Authenticators[2]: is nil",
		},
		{"realm with a line break", gatehouse.Config{Authenticators: list{goodToken()}, Realm: "a\r\nSet-Cookie: b"}, "gatehouse: Config.Realm: has characters outside printable ASCII"},
		{"LoginURL with an escape", gatehouse.Config{Authenticators: list{goodToken()}, Realm: "x", LoginURL: "/%zz"}, `gatehouse: Config.LoginURL: invalid URL escape "%zz"`},
		{"realm with DEL", gatehouse.Config{Authenticators: list{goodToken()}, Realm: "a\x7f"}, "gatehouse: Config.Realm: has characters outside printable ASCII"},
		{
			"declarations",
			gatehouse.Config{Realm: "x", Authenticators: list{
				authenticator{},
				authenticator{reads: gatehouse.Reads{Schemes: readsBearer.Schemes, Connection: true}},
				authenticator{reads: gatehouse.Reads{Headers: readsKey.Headers, Cookies: []string{"a"}}},
				authenticator{reads: gatehouse.Reads{Headers: []gatehouse.Header{{Name: "X-A"}, {Name: "X Key"}}}},
				authenticator{reads: gatehouse.Reads{Cookies: []string{""}}},
				authenticator{reads: gatehouse.Reads{Cookies: []string{"\u0141"}}},
				authenticator{reads: gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "B"}, {Name: "A", Companions: []string{"b", "b:"}}}}},
				authenticator{reads: gatehouse.Reads{Connection: true, Companions: []string{"\u00e9"}}},
				authenticator{reads: gatehouse.Reads{Cookies: []string{"a b"}, Companions: []string{"c:"}}},
			}},
			strings.Join([]string{
				"0" + both, "1" + both, "2" + both,
				`3] (gatehouse_test.authenticator): Reads: "X Key" is not a token of RFC 9110`,
				`4] (gatehouse_test.authenticator): Reads: "" is not a token of RFC 9110`,
				`5] (gatehouse_test.authenticator): Reads: "` + "\u0141" + `" is not a token of RFC 9110`,
				`6] (gatehouse_test.authenticator): Reads: "b:" is not a token of RFC 9110`,
				`7] (gatehouse_test.authenticator): Reads: "` + "\u00e9" + `" is not a token of RFC 9110`,
				`8] (gatehouse_test.authenticator): Reads: "c:" is not a token of RFC 9110`,
			}, "\ngatehouse: Config.Authenticators["),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate, err := gatehouse.New(test.config)
			if gate != nil || err == nil || strings.TrimPrefix(err.Error(), "gatehouse: Config.Authenticators[") != strings.TrimPrefix(test.want, "gatehouse: Config.Authenticators[") {
				t.Errorf("New = %v, error\n%v, want\n%s", gate, err, test.want)
			}
		})
	}
}

const both = "] (gatehouse_test.authenticator): Reads: must declare either explicit credentials (Schemes, Headers) or ambient ones (Cookies, Connection)"

// failed is an authenticator whose constructor has failed.
type failed struct{ gatehouse.Authenticator }

func TestConfigIsCloned(t *testing.T) {
	companions := []string{"dpop"}
	authenticators := list{goodToken(), authenticator{gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "DPoP", Companions: companions}}}, accepts(user()).Authenticate}}
	gate := gateOf(t, authenticators...)
	authenticators[0] = explicitly(accepts(user()))
	send(gate, request("Authorization", "Bearer x")).check(t, 401, "invalid_token")
	equal(t, "Companions after New", companions, []string{"dpop"})
}

// An authenticator has three outcomes: a proof, no credentials, or an error. Once
// one has claimed the request, the gate asks no other.
func TestAuthenticatorOutcomes(t *testing.T) {
	invalid := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reasonToken}
	none := rejects(gatehouse.ErrNoCredentials)
	wrapped := rejects(fmt.Errorf("session: %w", gatehouse.ErrNoCredentials))
	for _, test := range []struct {
		name           string
		authenticators []gatehouse.Authenticator
		status         int
		code           string
		reason         gatehouse.Reason
	}{
		{"accepted", list{accepts(user())}, 200, "", ""},
		{"accepted by the last", list{none, wrapped, accepts(user())}, 200, "", ""},
		{"no credentials", list{none, wrapped}, 401, "missing_credentials", gatehouse.ReasonNoCredentials},
		{"rejected before accepted", list{rejects(invalid), accepts(user())}, 401, "invalid_token", reasonToken},
		{"accepted before rejected", list{accepts(user()), rejects(invalid)}, 200, "", ""},
		{"failed before accepted", list{rejects(io.ErrUnexpectedEOF), accepts(user())}, 503, "temporarily_unavailable", gatehouse.ReasonAuthenticatorFailed},
		{"nil *Error before accepted", list{rejects((*gatehouse.Error)(nil)), accepts(user())}, 503, "temporarily_unavailable", gatehouse.ReasonAuthenticatorFailed},
		{"*Error caused by ErrNoCredentials", list{rejects(&gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reasonToken, Cause: gatehouse.ErrNoCredentials}), accepts(user())}, 401, "invalid_token", reasonToken},
		{"wrapped nil *Error", list{rejects(fmt.Errorf("x: %w", (*gatehouse.Error)(nil)))}, 503, "temporarily_unavailable", gatehouse.ReasonAuthenticatorFailed},
		{"neither proof nor error", list{rejects(nil), accepts(user())}, 503, "temporarily_unavailable", gatehouse.ReasonAuthenticatorFailed},
		{"principal without a method", list{accepts(&gatehouse.Principal{Subject: "ada"})}, 503, "temporarily_unavailable", gatehouse.ReasonAuthenticatorFailed},
		{"nil principal", list{accepts(nil)}, 503, "temporarily_unavailable", gatehouse.ReasonAuthenticatorFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate, seen := observed(t, test.authenticators...)
			send(gate, request()).check(t, test.status, test.code)
			event := seen.only(t)
			equal(t, "Reason", event.Reason, test.reason)
			if test.name == "neither proof nor error" {
				equal(t, "Cause", fmt.Sprint(event.Cause), "gatehouse: gatehouse_test.authenticator returned no error and no Principal with a Method")
			}
			inner, _, err := gate.Admit(request())
			e, ok := errors.AsType[*gatehouse.Error](err)
			if test.status == 200 {
				if p, _ := gatehouse.FromContext(inner.Context()); err != nil || p != *user() {
					t.Errorf("Admit = %+v, %v", p, err)
				}
			} else if !ok || e.Code.Status() != test.status || inner != nil {
				t.Errorf("Admit = %v, %v; want status %d", inner, err, test.status)
			}
			equal(t, "events after Admit", len(seen.all), 2)
		})
	}
}

// An ambient credential does not count beside an explicit one. The gate does not ask an
// authenticator of explicit credentials about a request without one, nor one of ambient
// credentials about a request with one.
//
// Covers RFC 6750 §2.
func TestExplicitBeforeAmbient(t *testing.T) {
	everything := list{connection(), cookie("sid", "s1"), apiKey("k1"), goodToken()}
	ambient := everything[:2]
	with := func(headers ...string) []string { return append([]string{"Cookie", "sid=s1"}, headers...) }
	for _, test := range []struct {
		name           string
		authenticators []gatehouse.Authenticator
		headers        []string
		tls            bool
		status         int
		caller         string
	}{
		{"connection", everything, nil, true, 200, "connection"},
		{"cookie", everything, with(), false, 200, "sid"},
		{"connection before cookie", everything, with(), true, 200, "connection"},
		{"cookie before connection", list{cookie("sid", "s1"), connection()}, with(), true, 200, "sid"},
		{"first of two cookies", list{cookie("b", "1"), cookie("a", "1")}, []string{"Cookie", "a=1; b=1"}, false, 200, "b"},
		{"token", everything, with("Authorization", "Bearer good"), true, 200, "ada"},
		{"key", everything, with("X-API-Key", "k1"), true, 200, "ci"},
		{"invalid token", everything, with("Authorization", "Bearer bad"), true, 401, ""},
		{"invalid key", everything, with("X-API-Key", "k2"), true, 403, ""},
		{"empty token", everything, with("Authorization", ""), true, 400, ""},
		{"malformed token", everything, with("Authorization", "Bearer"), true, 400, ""},
		{"another scheme", everything, with("Authorization", "Basic YTpi"), true, 401, ""},
		{"empty key", everything, with("X-API-Key", ""), true, 401, ""},
		{"token that nothing reads", ambient, with("Authorization", "Bearer good"), true, 401, ""},
		{"key that nothing declares", ambient, with("X-API-Key", "k1"), true, 200, "connection"},
		{"DPoP header that nothing declares", ambient, with("DPoP", "x"), true, 200, "connection"},
		{"only an explicit authenticator", list{explicitly(accepts(user()))}, with(), true, 401, ""},
		{"only an ambient authenticator", list{accepts(user())}, with("Authorization", "Bearer x"), true, 401, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request(test.headers...)
			if test.tls {
				overTLS(r)
			}
			a := send(gateOf(t, test.authenticators...), r)
			a.check(t, test.status, "")
			equal(t, "caller", a.caller(), test.caller)
		})
	}
}

// A declared credential that no authenticator claims is invalid, not missing. One
// that is not declared is no credential; the event says that there was an
// Authorization header.
func TestUnclaimedCredentials(t *testing.T) {
	none := func(reads gatehouse.Reads) gatehouse.Authenticator {
		return authenticator{reads, rejects(gatehouse.ErrNoCredentials).Authenticate}
	}
	dpop := gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "DPoP", Params: []gatehouse.Param{{Name: "algs", Value: "ES256"}}}}}
	assertion := gatehouse.Reads{Headers: []gatehouse.Header{{Name: "X-Assertion"}}}
	gate, seen := observed(t, none(readsBearer), none(readsKey), none(dpop), none(assertion))
	bare, bareSeen := observed(t, none(readsConnection))
	for _, test := range []struct {
		gate      *gatehouse.Gate
		seen      *events
		header    [2]string
		status    int
		code      string
		challenge string // the scheme of the first
		reason    gatehouse.Reason
		cause     string // a part of it
	}{
		{gate, seen, [2]string{"Authorization", "Bearer abc"}, 401, "invalid_token", "Bearer", gatehouse.ReasonUnclaimed, "the format of the Bearer"},
		{gate, seen, [2]string{"Authorization", "bEARER abc"}, 401, "invalid_token", "Bearer", gatehouse.ReasonUnclaimed, "the format of the Bearer"},
		{gate, seen, [2]string{"Authorization", "dpop abc"}, 401, "invalid_token", "DPoP", gatehouse.ReasonUnclaimed, "the format of the DPoP"},
		{gate, seen, [2]string{"Authorization", "ApiKey abc"}, 401, "invalid_api_key", "ApiKey", gatehouse.ReasonUnclaimed, "the format of the ApiKey"},
		{gate, seen, [2]string{"X-API-Key", "abc"}, 403, "invalid_api_key", "", gatehouse.ReasonUnclaimed, "the format of the X-Api-Key"},
		{gate, seen, [2]string{"X-Assertion", "abc"}, 401, "invalid_token", "Bearer", gatehouse.ReasonUnclaimed, "the format of the X-Assertion"},
		{gate, seen, [2]string{"X-API-Key", ""}, 401, "missing_credentials", "Bearer", gatehouse.ReasonNoCredentials, ""},
		{gate, seen, [2]string{"Authorization", "Basic YTpi"}, 401, "missing_credentials", "Bearer", gatehouse.ReasonUnclaimed, "none of Bearer, ApiKey, DPoP"},
		{gate, seen, [2]string{"Authorization", `Digest username="a", realm="b"`}, 401, "missing_credentials", "Bearer", gatehouse.ReasonUnclaimed, "none of Bearer, ApiKey, DPoP"},
		{gate, seen, [2]string{"Authorization", "Bearerish abc"}, 401, "missing_credentials", "Bearer", gatehouse.ReasonUnclaimed, "none of Bearer, ApiKey, DPoP"},
		{gate, seen, [2]string{"Authorization", "a.b.c"}, 401, "missing_credentials", "Bearer", gatehouse.ReasonUnclaimed, "none of Bearer, ApiKey, DPoP"},
		{bare, bareSeen, [2]string{"Authorization", "Bearer abc"}, 401, "invalid_token", "Bearer", gatehouse.ReasonUnclaimed, "the format of the Bearer"},
		{bare, bareSeen, [2]string{"Authorization", "Bearer"}, 400, "invalid_request", "", gatehouse.ReasonMalformedCredentials, ""},
		{bare, bareSeen, [2]string{"Authorization", "ApiKey abc"}, 401, "missing_credentials", "Bearer", gatehouse.ReasonUnclaimed, "none of Bearer"},
		{bare, bareSeen, [2]string{"Authorization", "DPoP abc"}, 401, "missing_credentials", "Bearer", gatehouse.ReasonUnclaimed, "none of Bearer"},
		{bare, bareSeen, [2]string{"X-API-Key", "abc"}, 401, "missing_credentials", "Bearer", gatehouse.ReasonNoCredentials, ""},
	} {
		t.Run(test.header[0]+" "+test.header[1], func(t *testing.T) {
			test.seen.all = nil
			a := send(test.gate, request(test.header[0], test.header[1]))
			a.check(t, test.status, test.code)
			if scheme, _, _ := strings.Cut(a.Header().Get("WWW-Authenticate"), " "); scheme != test.challenge {
				t.Errorf("challenge = %s, want %s", a.Header().Get("WWW-Authenticate"), test.challenge)
			}
			e := test.seen.only(t)
			equal(t, "Reason", e.Reason, test.reason)
			if cause := fmt.Sprint(e.Cause); !strings.Contains(cause, test.cause) {
				t.Errorf("cause = %s, want %s in it", cause, test.cause)
			}
		})
	}
}

// A URL with a credential in it is refused first, and its path is not reported
// whatever else is wrong with the request.
//
// Covers RFC 6750 §2.3; ASVS 5.0 §14.2.1.
func TestCredentialInURL(t *testing.T) {
	find := gatehouse.Reads{Schemes: readsKey.Schemes, Headers: readsKey.Headers, InURL: func(u *url.URL) (string, string) {
		if strings.Contains(u.Path, "secret") {
			return "keys", "key-1"
		}
		return "", ""
	}}
	findNone := gatehouse.Reads{Schemes: readsBearer.Schemes, InURL: func(*url.URL) (string, string) { return "", "" }}
	for _, test := range []struct {
		name, path string
		headers    []string
		status     int
		code       string
	}{
		{"alone", "/secret", nil, 401, "missing_credentials"},
		{"beside a token", "/secret", []string{"Authorization", "Bearer good"}, 400, "invalid_request"},
		{"beside a key", "/secret", []string{"X-API-Key", "k1"}, 400, "invalid_request"},
		{"beside two credentials", "/secret", []string{"Authorization", "Bearer good", "Authorization", "x"}, 400, "invalid_request"},
		{"beside a malformed header", "/secret", []string{"Authorization", "Bearer"}, 400, "invalid_request"},
		{"in no URL", "/public", []string{"Authorization", "Bearer good"}, 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seen events
			hooked := ""
			gate := newGate(t, gatehouse.Config{
				Authenticators: list{
					authenticator{findNone, goodToken().Authenticate}, authenticator{find, rejects(gatehouse.ErrNoCredentials).Authenticate}, authenticator{findNone, goodToken().Authenticate},
				},
				Observer: &seen,
				ErrorBody: func(r *http.Request, _ gatehouse.Refusal) gatehouse.Body {
					hooked = r.URL.String()
					return gatehouse.Body{}
				},
			})
			r := request(test.headers...)
			r.URL.Path, r.URL.RawPath = test.path, test.path
			send(gate, r).check(t, test.status, test.code)
			event := seen.only(t)
			if test.status == 200 {
				return
			}
			if event.Path != "" || event.Issuer != "keys" || event.Credential != "key-1" || event.Reason != gatehouse.ReasonCredentialInURL {
				t.Errorf("event = %+v", event)
			}
			if hooked != "/" {
				t.Errorf("ErrorBody got the URL %q, want /", hooked)
			}
		})
	}
}

// Covers RFC 9110 §11.6.2.
func TestOptional(t *testing.T) {
	ended := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Header: http.Header{"Set-Cookie": {"sid=; Max-Age=0"}}}
	forbidden := &gatehouse.Error{Code: gatehouse.CodeAccessDenied}
	for _, test := range []struct {
		name          string
		authenticator gatehouse.Authenticator
		request       *http.Request
		status        int
		decision      gatehouse.Decision
		header        string // Set-Cookie
		cache         string
	}{
		{"accepted", accepts(user()), request(), 200, gatehouse.Allowed, "", "no-store"},
		{"no credentials", rejects(gatehouse.ErrNoCredentials), request(), 200, gatehouse.Anonymous, "", ""},
		{"ended session", rejects(ended), request("Cookie", "sid=1"), 200, gatehouse.Anonymous, "sid=; Max-Age=0", "no-store"},
		{"cross-site request", rejects(forbidden), request(), 403, gatehouse.Rejected, "", "no-store"},
		{"failed store", rejects(io.ErrUnexpectedEOF), request(), 503, gatehouse.Unavailable, "", "no-store"},
		{"invalid token", goodToken(), request("Authorization", "Bearer bad"), 401, gatehouse.Rejected, "", "no-store"},
		{"unclaimed key", authenticator{gatehouse.Reads{Headers: []gatehouse.Header{{Name: "X-Key"}}}, rejects(gatehouse.ErrNoCredentials).Authenticate}, request("X-Key", "k"), 401, gatehouse.Rejected, "", "no-store"},
		{"unknown scheme", goodToken(), request("Authorization", "Basic YTpi"), 401, gatehouse.Rejected, "", "no-store"},
		{"token in the URL", goodToken(), func() *http.Request {
			r := request()
			r.URL.RawQuery = "access_token=x"
			return r
		}(), 401, gatehouse.Rejected, "", "no-store"},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate, seen := observed(t, test.authenticator)
			a := sendThrough(gate.Optional, test.request)
			a.check(t, test.status, "")
			equal(t, "Decision", seen.only(t).Decision, test.decision)
			equal(t, "Set-Cookie", a.Header().Get("Set-Cookie"), test.header)
			equal(t, "Cache-Control", a.Header().Get("Cache-Control"), test.cache)
			if want := test.decision == gatehouse.Allowed; a.request != nil && (a.caller() != "") != want {
				t.Errorf("caller = %q, want one: %v", a.caller(), want)
			}
			seen.err = errors.New("disk full")
			sendThrough(gate.Optional, test.request).check(t, 503, "temporarily_unavailable")
		})
	}
}

// Require behind Optional answers an anonymous request with the challenges of the
// gate, and asks no policy.
func TestRequireBehindOptional(t *testing.T) {
	gate, seen := observed(t, authenticator{readsKey, rejects(gatehouse.ErrNoCredentials).Authenticate})
	asked := deny(errors.New("asked")) // then the status is 403
	a := sendThrough(func(next http.Handler) http.Handler { return gate.Optional(gatehouse.Require(asked)(next)) }, request())
	a.check(t, 401, "missing_credentials")
	equal(t, "WWW-Authenticate", a.Header().Get("WWW-Authenticate"), `ApiKey realm="acme"`)
	if last := seen.all[len(seen.all)-1]; last.Reason != gatehouse.ReasonNoCredentials || last.Decision != gatehouse.Rejected {
		t.Errorf("event = %+v", last)
	}
}

func TestEnrich(t *testing.T) {
	claims := gatehouse.VerifiedClaims
	proved := *user()
	proved.Tenant, proved.Environment, proved.Scopes, proved.Claims = "", "acme", scopeSet("a", "b"), claims(`{"x":1,"y":[2]}`)
	withTenant := proved
	withTenant.Tenant, withTenant.Claims = "acme", gatehouse.Claims{}
	for _, test := range []struct {
		name    string
		proved  gatehouse.Principal
		tenants []string
		change  func(*gatehouse.Principal)
		cause   string // "" if the change is allowed
	}{
		{"nothing", proved, nil, func(*gatehouse.Principal) {}, ""},
		{"nothing, for an issuer of some tenants", proved, []string{"globex"}, func(*gatehouse.Principal) {}, ""},
		{"nothing, of a tenant", withTenant, nil, func(*gatehouse.Principal) {}, ""},
		{"roles", proved, nil, func(p *gatehouse.Principal) { p.Roles = roleSet("admin") }, ""},
		{"a tenant", proved, nil, func(p *gatehouse.Principal) { p.Tenant = "acme" }, ""},
		{"a tenant of the issuer", proved, []string{"globex", "acme"}, func(p *gatehouse.Principal) { p.Tenant = "acme" }, ""},
		{"fewer scopes", proved, nil, func(p *gatehouse.Principal) { p.Scopes = scopeSet("a") }, ""},
		{"more claims", proved, nil, func(p *gatehouse.Principal) { p.Claims = claims(`{"z":0,"y":[2],"x":1}`) }, ""},
		{"a scope", proved, nil, func(p *gatehouse.Principal) { p.Scopes = scopeSet("a", "b", "c") }, "added a scope"},
		{"another scope", proved, nil, func(p *gatehouse.Principal) { p.Scopes = scopeSet("a", "c") }, "added a scope"},
		{"a changed claim", proved, nil, func(p *gatehouse.Principal) { p.Claims = claims(`{"x":2,"y":[2]}`) }, "changed or removed a claim"},
		{"a longer claim", proved, nil, func(p *gatehouse.Principal) { p.Claims = claims(`{"x":12,"y":[2]}`) }, "changed or removed a claim"},
		{"a removed claim", proved, nil, func(p *gatehouse.Principal) { p.Claims = claims(`{"x":1}`) }, "changed or removed a claim"},
		{"claims that are no object", withTenant, nil, func(p *gatehouse.Principal) { p.Claims = claims(`{`) }, "changed or removed a claim"},
		{"no claims", proved, nil, func(p *gatehouse.Principal) { p.Claims = gatehouse.Claims{} }, "changed or removed a claim"},
		{"another tenant", withTenant, nil, func(p *gatehouse.Principal) { p.Tenant = "globex" }, "changed more than Roles, Claims, Scopes and an empty Tenant"},
		{"another tenant of the issuer", withTenant, []string{"acme", "globex"}, func(p *gatehouse.Principal) { p.Tenant = "globex" }, "changed more than Roles, Claims, Scopes and an empty Tenant"},
		{"no tenant", withTenant, nil, func(p *gatehouse.Principal) { p.Tenant = "" }, "changed more than Roles, Claims, Scopes and an empty Tenant"},
		{"a tenant of another issuer", proved, []string{"globex"}, func(p *gatehouse.Principal) { p.Tenant = "acme" }, "set a tenant that is not in Proof.Tenants"},
		{"a tenant for an issuer of none", proved, []string{}, func(p *gatehouse.Principal) { p.Tenant = "acme" }, "set a tenant that is not in Proof.Tenants"},
		{"any other field", proved, nil, nil, "changed more than Roles, Claims, Scopes and an empty Tenant"},
	} {
		changes := []func(*gatehouse.Principal){test.change}
		if test.change == nil {
			changes = otherFields("Roles", "Claims", "Scopes", "Tenant")
		}
		for _, change := range changes {
			test.change = change
			var seen events
			want := test.proved
			test.change(&want)
			gate := newGate(t, gatehouse.Config{
				Authenticators: list{authenticator{readsConnection, func(*http.Request) (gatehouse.Proof, error) {
					proof := gatehouse.NewProof(&test.proved)
					proof.Tenants = test.tenants
					return proof, nil
				}}},
				Observer: &seen,
				Enrich: func(_ *http.Request, p gatehouse.Principal) (gatehouse.Principal, error) {
					equal(t, "principal of Enrich", p, test.proved)
					test.change(&p)
					return p, nil
				},
			})
			before := test.proved
			a := send(gate, request())
			event := seen.only(t)
			if test.cause != "" {
				a.check(t, 503, "temporarily_unavailable")
				if event.Reason != gatehouse.ReasonEnrichFailed || event.Cause.Error() != "gatehouse: Config.Enrich: "+test.cause {
					t.Errorf("%s: event = %+v, want cause %s", test.name, event, test.cause)
				}
				continue
			}
			a.check(t, 200, "")
			if got, _ := gatehouse.FromContext(a.request.Context()); got != want || event.Principal != want {
				t.Errorf("principal = %+v, event %+v; want %+v", got, event.Principal, want)
			}
			if test.proved != before {
				t.Error("Enrich changed the principal of the proof, which other requests share")
			}
		}
	}
}

func TestEnrichError(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		reason gatehouse.Reason
	}{
		{errors.New("database is down"), 503, gatehouse.ReasonEnrichFailed},
		{&gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: "test_blocked"}, 403, "test_blocked"},
	} {
		var seen events
		gate := newGate(t, gatehouse.Config{
			Authenticators: list{accepts(user())}, Observer: &seen,
			Enrich: func(_ *http.Request, p gatehouse.Principal) (gatehouse.Principal, error) { return p, test.err },
		})
		_, _, err := gate.Admit(request())
		e, _ := errors.AsType[*gatehouse.Error](err)
		if e == nil || e.Code.Status() != test.status || test.status == 503 && (e.Issuer != user().Issuer || e.Credential != "jti-1") {
			t.Errorf("Admit() error = %+v, want %d, and the issuer and the credential if it is 503", e, test.status)
		}
		if event := seen.only(t); event.Reason != test.reason || event.Principal.Subject != "ada" {
			t.Errorf("Enrich error %v: event = %+v", test.err, event)
		}
	}
}

// Two authenticators may declare the same header, which is one credential, and
// each of several headers is one.
func TestDeclaredHeaders(t *testing.T) {
	header := func(name string) gatehouse.Authenticator {
		return authenticator{gatehouse.Reads{Headers: []gatehouse.Header{{Name: name}}}, accepts(user()).Authenticate}
	}
	gate := gateOf(t, header("X-Abc"), header("X-A"), header("x-a"), header("X-B"))
	send(gate, request("X-Abc", "1")).check(t, 200, "")
	send(gate, request("X-A", "1")).check(t, 200, "")
	send(gate, request("X-B", "1")).check(t, 200, "")
	send(gate, request("X-A", "1", "X-B", "1")).check(t, 400, "invalid_request")
}

// A caller that NewContext has set does not count at a gate.
func TestGateIgnoresNewContext(t *testing.T) {
	r := request("Authorization", "Bearer good")
	a := send(gateOf(t, goodToken()), r.WithContext(gatehouse.NewContext(t.Context(), *service("ci"))))
	a.check(t, 200, "")
	equal(t, "caller", a.caller(), "ada")
}

func TestGateConcurrentUse(t *testing.T) {
	tokens := map[string]*gatehouse.Principal{}
	for i := range 8 {
		tokens[fmt.Sprint("token", i)] = service(fmt.Sprint("user", i))
	}
	gate := gateOf(t, cookie("sid", "s1"), bearer(tokens))
	through := behind(gate)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for range 200 {
				a := sendThrough(through, request("Authorization", fmt.Sprint("Bearer token", i), "Cookie", "sid=s1; a=b"))
				a.check(t, 200, "")
				equal(t, "caller", a.caller(), fmt.Sprint("user", i))
				send(gate, request("Authorization", "Bearer bad")).check(t, 401, "")
			}
		})
	}
	wait.Wait()
}

// No eight characters in a row of a credential are in a response, an event or a
// log line.
//
// Covers RFC 9700 §4.9.3.
func TestNoCredentialInOutput(t *testing.T) {
	const token = "eyJhbGciOiJub25lIn0.Zm9yYmlkZGVuLXRyZWFzdXJl.c2lnbmF0dXJl"
	for _, headers := range [][]string{
		{"Authorization", "Bearer " + token},
		{"Authorization", "Bearer " + token + "!"},
		{"Authorization", "DPoP " + token},
		{"Authorization", "ApiKey " + token},
		{"Authorization", "Basic " + token},
		{"Authorization", token},
		{"Authorization", "Bearer " + token, "Authorization", "Bearer " + token},
		{"X-API-Key", token},
		{"X-API-Key", token, "Authorization", "Bearer " + token},
		{"Cookie", "sid=" + token},
	} {
		var seen events
		var lines strings.Builder
		gate := newGate(t, gatehouse.Config{
			Authenticators: list{goodToken(), apiKey("k1"), cookie("sid", "s1")},
			Observer:       gatehouse.Observers(&seen, gatehouse.Log(debugJSON(&lines))),
		})
		r := request(headers...)
		r.URL.RawQuery = "access_token=" + token
		a := send(gate, r)
		out := fmt.Sprintf("%v %s %+v %s", a.Header(), a.Body, seen.only(t), lines.String())
		for i := range len(token) - 8 {
			if strings.Contains(out, token[i:i+8]) {
				t.Errorf("%q of the credential is in %s", token[i:i+8], out)
				break
			}
		}
	}
}
