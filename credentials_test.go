// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// RFC 6750 §2.1, RFC 9110 §11.6.2: the grammar of Authorization.
//
// Covers RFC 6750 §2.1 (grammar, header); RFC 9110 §5.6.2, §11.1.
func TestAuthorizationGrammar(t *testing.T) {
	const (
		none      = "none"      // ErrNoCredentials
		malformed = "malformed" // CodeInvalidRequest
	)
	long, text := strings.Repeat("a", 16<<10), strings.Repeat("a", 1<<20)
	const behind = "behind" // what is behind Bearer and its spaces
	for _, test := range []struct {
		want    string // of Authorization for the scheme Bearer
		status  int    // of a gate that accepts "good"
		headers []string
	}{
		{behind, 200, []string{"Bearer good", "bearer good", "BEARER good", "Bearer   good"}},
		{behind, 401, []string{"Bearer bad", "Bearer a", "Bearer a.b.c", "Bearer good=", "Bearer AZaz09-._~+/==", "Bearer " + text}},
		{behind, 401, []string{"Bearer " + long + "!"}}, // not read
		{behind, 400, []string{
			"Bearer " + long[1:] + "!", "Bearer \tgood", "Bearer good ", "Bearer good\t", "Bearer good good", "Bearer good, Bearer good", "Bearer good,", "Bearer good;",
			"Bearer =", "Bearer ==good", "Bearer go=od", "Bearer \"good\"", "Bearer token=good", "Bearer good\x00", "Bearer good\n", "Bearer good\r\n X: y",
			"Bearer g\u00f6\u00f6d", "Bearer \xff\xfe", "Bearer %67ood", "Bearer go*od",
		}},
		{malformed, 400, []string{"Bearer", "bearer", "Bearer ", "Bearer    ", "Bearer\tgood", "Bearer,good", "Bearer=good", "Bearer:good", "Bearer\x00good", "Bearer\u00a0good"}},
		{none, 400, []string{"", " ", " Bearer good", "\tBearer good", ",Bearer good", "\"Bearer\" good", "=good", "ApiKey", "ApiKey a b", "apikey\tgood"}},
		// The gate reads no scheme that is not declared, and does not know their
		// grammars.
		{none, 401, []string{"ApiKey good", "DPoP", "DPoP a b", "Basic", "Basic YTpi", "Basic good good", "Negotiate", "Bearerish good", "Bearer-good", "Beare", "good"}},
	} {
		for _, header := range test.headers {
			r := request()
			r.Header["Authorization"] = []string{header}
			got, err := gatehouse.Authorization(r, "Bearer")
			e, isError := errors.AsType[*gatehouse.Error](err)
			switch {
			case test.want == none:
				if err != gatehouse.ErrNoCredentials || got != "" {
					t.Errorf("Authorization of %.40q = %q, %v; want ErrNoCredentials", header, got, err)
				}
			case test.want == malformed:
				if !isError || e.Code != gatehouse.CodeInvalidRequest || e.Reason != gatehouse.ReasonMalformedCredentials || got != "" {
					t.Errorf("Authorization of %.40q = %q, %v; want invalid_request", header, got, err)
				}
			case err != nil || got != strings.TrimLeft(header[len("Bearer"):], " "):
				t.Errorf("Authorization of %.40q = %.40q, %v; want what is behind the scheme", header, got, err)
			}
			gate, seen := observed(t, goodToken(), apiKey("k1"))
			a := send(gate, r)
			if event := seen.only(t); a.Code != test.status || test.status == 400 && event.Reason != gatehouse.ReasonMalformedCredentials {
				t.Errorf("%.40q: status %d, reason %s; want %d, malformed if it is 400", header, a.Code, event.Reason, test.status)
			}
		}
	}
}

// RFC 6750 §2: one credential, by one method, in a request. The gate refuses
// several before it asks any authenticator: one that looks only at the first
// would let the request in.
//
// Covers RFC 6750 §2.
func TestSeveralCredentials(t *testing.T) {
	several := gatehouse.ReasonSeveralCredentials
	for _, test := range []struct {
		name    string
		query   string
		headers []string
		status  int
		reason  gatehouse.Reason
	}{
		{"two tokens", "", []string{"Authorization", "Bearer good", "Authorization", "Bearer bad"}, 400, several},
		{"the same token twice", "", []string{"Authorization", "Bearer good", "Authorization", "Bearer good"}, 400, several},
		{"a token and an empty header", "", []string{"Authorization", "Bearer good", "Authorization", ""}, 400, several},
		{"two schemes", "", []string{"Authorization", "Basic YTpi", "Authorization", "Bearer good"}, 400, several},
		{"two keys", "", []string{"X-API-Key", "k1", "X-API-Key", "k1"}, 400, several},
		{"a token and a key", "", []string{"Authorization", "Bearer good", "X-API-Key", "k1"}, 400, several},
		{"a token and an empty key", "", []string{"Authorization", "Bearer good", "X-API-Key", ""}, 400, several},
		{"another scheme and a key", "", []string{"Authorization", "Basic YTpi", "X-API-Key", "k1"}, 400, several},
		{"a token, and one in the query", "access_token=good", []string{"Authorization", "Bearer good"}, 400, several},
		{"a token, and an empty one in the query", "access_token", []string{"Authorization", "Bearer good"}, 400, several},
		{"a token, and one under an escaped name", "a=1&access%5Ftoken=good", []string{"Authorization", "Bearer good"}, 400, several},
		{"a token, and one with a malformed escape", "access_token=%zz", []string{"Authorization", "Bearer good"}, 400, several},
		{"a token, and one behind a semicolon", "a=1;access_token=good", []string{"Authorization", "Bearer good"}, 400, several},
		{"a Bearer token and a proof", "", []string{"Authorization", "Bearer good", "DPoP", "x"}, 400, several},
		{"a Bearer token and an empty proof", "", []string{"Authorization", "Bearer good", "DPoP", ""}, 400, several},
		{"a Bearer token and another companion of DPoP", "", []string{"Authorization", "Bearer good", "DPoP-Extra", "x"}, 400, several},
		{"a proof and a key", "", []string{"X-API-Key", "k1", "DPoP", "x"}, 200, ""},
		{"a proof and its token", "", []string{"Authorization", "DPoP good", "DPoP", "x"}, 200, ""},
		{"another scheme and a proof", "", []string{"Authorization", "Basic YTpi", "DPoP", "x"}, 200, ""}, // the authenticators decide
		{"a token, and a similar query", "q=access_token&access_tokens=1&q=access%5Ftoken&access%255Ftoken&access%5token", []string{"Authorization", "Bearer good"}, 200, ""},
		{"a key, and a token in the query", "access_token=good", []string{"X-API-Key", "k1"}, 200, ""},
		{"a token in the query", "a=1&access_token=good", nil, 401, gatehouse.ReasonCredentialInURL}, // Covers RFC 6750 §2.3; ASVS 5.0 §14.2.1.
		{"a token in the query under an escaped name", "%61ccess_token=good", nil, 401, gatehouse.ReasonCredentialInURL},
		{"a similar query", "q=access_token", nil, 401, gatehouse.ReasonNoCredentials},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate, seen := observed(t, apiKey("k1"), goodToken(), authenticator{
				gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "DPoP", Companions: []string{"dpop", "dpop-extra"}}}}, accepts(user()).Authenticate,
			})
			r := request(test.headers...)
			r.URL.RawQuery = test.query
			a := send(gate, r)
			a.check(t, test.status, "")
			equal(t, "Reason", seen.only(t).Reason, test.reason)
			if test.status != 400 {
				return
			}
			a.check(t, 400, "invalid_request")
			if len(r.Header["Authorization"]) > 1 {
				_, err := gatehouse.Authorization(r, "Bearer")
				if e, _ := errors.AsType[*gatehouse.Error](err); e == nil || e.Code != gatehouse.CodeInvalidRequest || e.Reason != several {
					t.Errorf("Authorization: %v", err)
				}
			}
		})
	}
}

// A malformed header is 400 whatever the authenticator returns for it, unless it
// accepts the credential: then the gate does not read it a second time.
//
// Covers RFC 6750 §3.1 (invalid_request).
func TestMalformedBeforeOtherErrors(t *testing.T) {
	for _, err := range []error{gatehouse.ErrNoCredentials, &gatehouse.Error{Code: gatehouse.CodeInvalidToken}, errors.New("store is down")} {
		send(gateOf(t, explicitly(rejects(err))), request("Authorization", "Bearer a, b")).check(t, 400, "invalid_request")
	}
	send(gateOf(t, explicitly(accepts(user()))), request("Authorization", "Bearer of, an=odd \"grammar\"")).check(t, 200, "")
}

// The grammar once more, as RFC 9110 and RFC 6750 write it.
var (
	wellFormed = regexp.MustCompile(`^(?i:bearer|apikey) +[A-Za-z0-9\-._~+/]+=*$`)
	ourScheme  = regexp.MustCompile("^(?i:bearer|apikey)(?s:[^!#$%&'*+\\-.^_`|~0-9A-Za-z].*)?$")
	anyScheme  = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9A-Za-z]")
	goodBearer = regexp.MustCompile(`^(?i:bearer) +good$`)
)

// Covers RFC 6750 §2.1 (grammar).
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer good", "bearer  a.b.c==", "Bearer a, Bearer b", "Bearer\ta", "ApiKey =", "ApiKey a=b",
		"Basic YTpi", "Bearerish a", " Bearer a", "Bearer a\x00", "Bearer\u00a0a", "\xff", "dpop good", "Bearer good ",
	} {
		f.Add(seed)
	}
	gate := gateOf(f, goodToken(), apiKey("k1"))
	f.Fuzz(func(t *testing.T, header string) {
		r := request()
		r.Header["Authorization"] = []string{header}
		want := 401
		switch {
		case len(header) > 16<<10: // not read
			return
		case !anyScheme.MatchString(header), ourScheme.MatchString(header) && !wellFormed.MatchString(header):
			want = 400
		case goodBearer.MatchString(header):
			want = 200
		}
		send(gate, r).check(t, want, "")
		got, err := gatehouse.Authorization(r, "Bearer")
		equal(t, "Authorization returned a value", got != "", err == nil)
		if err == nil && (strings.TrimLeft(header[len("Bearer"):], " ") != got || got[0] == ' ') {
			t.Errorf("Authorization = %q", got)
		}
	})
}

// The handler gets the request without what the authenticators declare, and
// without Authorization.
//
// Covers RFC 9700 §4.9.3.
func TestCredentialsAreRemoved(t *testing.T) {
	type h = http.Header
	header := func(name string) gatehouse.Authenticator {
		return authenticator{gatehouse.Reads{Headers: []gatehouse.Header{{Name: "x-first"}, {Name: name}}}, accepts(user()).Authenticate}
	}
	session := func(names ...string) gatehouse.Authenticator {
		return authenticator{gatehouse.Reads{Cookies: names}, accepts(user()).Authenticate}
	}
	for _, test := range []struct {
		name           string
		authenticators []gatehouse.Authenticator
		header, want   http.Header
	}{
		{
			"nothing to remove",
			list{accepts(user())},
			h{"Accept": {"*/*"}, "X-Many": {"1", "2"}, "X-Api-Key": {"k"}, "Dpop": {"x"}},
			h{"Accept": {"*/*"}, "X-Many": {"1", "2"}, "X-Api-Key": {"k"}, "Dpop": {"x"}},
		},
		{"no header at all", list{accepts(user())}, nil, h{}},
		{"token", list{goodToken()}, h{"Authorization": {"Bearer good"}, "Accept": {"*/*"}}, h{"Accept": {"*/*"}}},
		{
			"companions of a scheme and of an authenticator",
			list{
				authenticator{gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "DPoP", Companions: []string{"dpop", "dpop-extra"}}}}, accepts(user()).Authenticate},
				authenticator{gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "dpop", Companions: []string{"dpop-own"}}}}, accepts(user()).Authenticate},
				authenticator{gatehouse.Reads{Connection: true, Companions: []string{"client-cert", "client-cert-chain"}}, accepts(user()).Authenticate},
			},
			h{"Authorization": {"DPoP good"}, "Dpop": {"a.b.c", "d.e.f"}, "Dpop-Extra": {"1"}, "Dpop-Own": {"2"}, "Client-Cert": {"x"}, "Client-Cert-Chain": {"z"}, "Client": {"y"}},
			h{"Client": {"y"}},
		},
		{"key", list{apiKey("k1")}, h{"X-Api-Key": {"k1"}, "Accept": {"*/*"}}, h{"Accept": {"*/*"}}},
		{"another header", list{header("x-assertion")}, h{"X-Assertion": {"a.b.c"}, "X-Assertions": {"1"}}, h{"X-Assertions": {"1"}}},
		{"a header of that name is no cookie", list{header("sid")}, h{"Sid": {"1"}, "Cookie": {"sid=1"}}, h{"Cookie": {"sid=1"}}},
		{"cookies stay as they are where none is declared", list{goodToken()}, h{"Authorization": {"Bearer good"}, "Cookie": {"a=1;b=2 ;; c", " d=4"}}, h{"Cookie": {"a=1;b=2 ;; c", " d=4"}}},
		{"a cookie of that name is no header", list{session("accept")}, h{"Accept": {"*/*"}, "Cookie": {"accept=1; b=2"}}, h{"Accept": {"*/*"}, "Cookie": {"b=2"}}},
		{"session cookie", list{session("sid")}, h{"Cookie": {"theme=dark; sid=s1; lang=en"}}, h{"Cookie": {"theme=dark; lang=en"}}},
		{"the only cookie", list{session("sid")}, h{"Cookie": {"sid=s1"}}, h{}},
		{"session cookie beside a token", list{session("sid"), goodToken()}, h{"Authorization": {"Bearer good"}, "Cookie": {"sid=s1; theme=dark"}}, h{"Cookie": {"theme=dark"}}},
		{"a companion named Cookie", list{authenticator{gatehouse.Reads{Connection: true, Companions: []string{"cookie"}}, accepts(user()).Authenticate}, session("sid")}, h{"Cookie": {"sid=s1; a=1"}}, h{}},
		{"all sessions", list{session("sid", "jwt"), session("__Host-other")}, h{"Cookie": {"__Host-other=o2; sid=s1; jwt.2=x; __host-other=3"}}, h{"Cookie": {"__host-other=3"}}},
		{"every one of several", list{session("sid")}, h{"Cookie": {"sid=s1; sid=s2", "a=1", "sid=s3; sid=s4; b=2", "sid"}}, h{"Cookie": {"a=1", "b=2"}}},
		{
			"parts of a large one",
			list{session("sid")},
			h{"Cookie": {"sid=s1; sid.0=a; sid.1=b; sid.2789=c; sid.=d; sid.x=e; sid.1x=f; sid.1.2=g; sid1=h; sid-1=i; xsid.1=j; SID=k; sid.\u0661=l; sid. 1=m; .1=n"}},
			h{"Cookie": {"sid.=d; sid.x=e; sid.1x=f; sid.1.2=g; sid1=h; sid-1=i; xsid.1=j; SID=k; sid.\u0661=l; sid. 1=m; .1=n"}},
		},
		{"odd spaces and empty pairs", list{session("sid")}, h{"Cookie": {";;  a=1 ;sid=s1;\tsid =s2; b; ;c=\"x\";"}}, h{"Cookie": {"a=1; b; c=\"x\""}}},
		{"what some parsers take for a space", list{session("sid")}, h{"Cookie": {"\vsid=s1; sid=s1; sid\f=s2; a\v; \u00a0sid=s3"}}, h{"Cookie": {"a\v"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request()
			r.Header = test.header
			before := r.Header.Clone()
			a := send(gateOf(t, test.authenticators...), r)
			a.check(t, 200, "")
			if a.request == nil || a.request == r {
				t.Fatal("the handler was not called, or got the original request")
			}
			equal(t, "header of the handler", a.request.Header, test.want)
			a.request.Header.Set("X-Many", "3")
			a.request.Header.Add("Accept", "text/html")
			a.request.Method = "DELETE"
			equal(t, "header of the original", r.Header, before)
			equal(t, "method of the original", r.Method, http.MethodGet)
		})
	}
}

// The handler reads the same cookies as net/http from the original request,
// without the credential, in the same order.
func FuzzRemoveCookies(f *testing.F) {
	for _, seed := range []string{
		"sid=s1", "a=1; sid=s1; b=2", "sid.1=a; sid.x=b", ";;sid;a", " sid = x;a", "a=\"sid=1\"; sid=\"x\"", "sid=a=b; a==", "\tsid=1\x00; b", "sid.12 =1;s", "a\v; b",
	} {
		f.Add(seed)
	}
	gate := gateOf(f, accepts(user()), cookie("sid", "s1"))
	credential := func(name string) bool {
		digits, part := strings.CutPrefix(name, "sid.")
		return name == "sid" || part && digits != "" && strings.Trim(digits, "0123456789") == ""
	}
	text := func(cookies []*http.Cookie) (all []string) {
		for _, c := range cookies {
			all = append(all, c.String())
		}
		return all
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := request()
		r.Header["Cookie"] = []string{line}
		want := text(slices.DeleteFunc(r.Cookies(), func(c *http.Cookie) bool { return credential(c.Name) }))
		equal(t, "cookies", text(send(gate, r).request.Cookies()), want)
	})
}
