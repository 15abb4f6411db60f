// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestAuthorizationGrammar(t *testing.T) {
	const (
		none      = "none"      // ErrNoCredentials
		malformed = "malformed" // CodeInvalidRequest
	)
	for _, test := range []struct {
		header string
		want   string // what the scheme Bearer has, or none, or malformed
		status int    // of a gate that takes "good" and nothing else
	}{
		{"Bearer good", "good", 200},
		{"bearer good", "good", 200},
		{"BEARER good", "good", 200},
		{"Bearer   good", "good", 200}, // RFC 6750 §2.1: 1*SP
		{"Bearer bad", "bad", 401},
		{"Bearer a", "a", 401},
		{"Bearer a.b.c", "a.b.c", 401},
		{"Bearer good=", "good=", 401},
		{"Bearer AZaz09-._~+/==", "AZaz09-._~+/==", 401},
		{"Bearer " + strings.Repeat("a", 1<<20), strings.Repeat("a", 1<<20), 401},
		{"Bearer " + strings.Repeat("a", 16<<10-1) + "!", strings.Repeat("a", 16<<10-1) + "!", 400},
		{"Bearer " + strings.Repeat("a", 16<<10) + "!", strings.Repeat("a", 16<<10) + "!", 401}, // too long to be read

		{"", none, 400},
		{" ", none, 400},
		{" Bearer good", none, 400},
		{"\tBearer good", none, 400},
		{",Bearer good", none, 400},
		{"\"Bearer\" good", none, 400},
		{"=good", none, 400},

		{"Bearer", malformed, 400},
		{"bearer", malformed, 400},
		{"Bearer ", malformed, 400},
		{"Bearer    ", malformed, 400},
		{"Bearer\tgood", malformed, 400},
		{"Bearer,good", malformed, 400},
		{"Bearer=good", malformed, 400},
		{"Bearer:good", malformed, 400},
		{"Bearer\x00good", malformed, 400},
		{"Bearer\u00a0good", malformed, 400},

		{"Bearer \tgood", "\tgood", 400},
		{"Bearer good ", "good ", 400},
		{"Bearer good\t", "good\t", 400},
		{"Bearer good good", "good good", 400},
		{"Bearer good, Bearer good", "good, Bearer good", 400},
		{"Bearer good,", "good,", 400},
		{"Bearer good;", "good;", 400},
		{"Bearer =", "=", 400},
		{"Bearer ==good", "==good", 400},
		{"Bearer go=od", "go=od", 400},
		{"Bearer \"good\"", "\"good\"", 400},
		{"Bearer token=good", "token=good", 400},
		{"Bearer good\x00", "good\x00", 400},
		{"Bearer good\n", "good\n", 400},
		{"Bearer good\r\n X: y", "good\r\n X: y", 400},
		{"Bearer g\u00f6\u00f6d", "g\u00f6\u00f6d", 400},
		{"Bearer \xff\xfe", "\xff\xfe", 400},
		{"Bearer %67ood", "%67ood", 400},
		{"Bearer go*od", "go*od", 400},

		{"ApiKey", none, 400},
		{"ApiKey a b", none, 400},
		{"DPoP", none, 400},
		{"DPoP\tgood", none, 400},
		{"dpop good,good", none, 400},
		{"ApiKey good", none, 401},
		{"DPoP good", none, 401},

		// Other schemes have grammars of their own, and are none of ours.
		{"Basic", none, 401},
		{"Basic YTpi", none, 401},
		{"Basic good good", none, 401},
		{"Negotiate", none, 401},
		{"Bearerish good", none, 401},
		{"Bearer-good", none, 401},
		{"Beare", none, 401},
		{"good", none, 401},
	} {
		t.Run(fmt.Sprintf("%.40q", test.header), func(t *testing.T) {
			r := request()
			r.Header["Authorization"] = []string{test.header}
			got, err := gatehouse.Authorization(r, "Bearer")
			e, isError := errors.AsType[*gatehouse.Error](err)
			switch {
			case test.want == none:
				if err != gatehouse.ErrNoCredentials || got != "" {
					t.Errorf("%q, %v; want ErrNoCredentials", got, err)
				}
			case test.want == malformed:
				if !isError || e.Code != gatehouse.CodeInvalidRequest || e.Reason != gatehouse.ReasonMalformedCredentials || got != "" {
					t.Errorf("%q, %v; want %s", got, err, gatehouse.CodeInvalidRequest)
				}
			case err != nil || got != test.want:
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}

			var told events
			gate := newGate(t, gatehouse.Config{
				Authenticators: []gatehouse.Authenticator{bearer{tokens: map[string]*gatehouse.Principal{"good": person()}}}, Observer: &told,
			})
			send(gate, r).check(t, test.status, "")
			if event := told.only(t); test.status == 400 && event.Reason != gatehouse.ReasonMalformedCredentials {
				t.Errorf("reason %s", event.Reason)
			}
		})
	}
}

// RFC 6750 §2: one method, and one credential, to a request.
func TestSeveralCredentials(t *testing.T) {
	for _, test := range []struct {
		name    string
		query   string
		headers []string
		status  int
		reason  gatehouse.Reason
	}{
		{"two tokens", "", []string{"Authorization", "Bearer good", "Authorization", "Bearer bad"}, 400, gatehouse.ReasonSeveralCredentials},
		{"the same token twice", "", []string{"Authorization", "Bearer good", "Authorization", "Bearer good"}, 400, gatehouse.ReasonSeveralCredentials},
		{"a token and nothing", "", []string{"Authorization", "Bearer good", "Authorization", ""}, 400, gatehouse.ReasonSeveralCredentials},
		{"two schemes", "", []string{"Authorization", "Basic YTpi", "Authorization", "Bearer good"}, 400, gatehouse.ReasonSeveralCredentials},
		{"two keys", "", []string{"X-API-Key", "k1", "X-API-Key", "k1"}, 400, gatehouse.ReasonSeveralCredentials},
		{"a token and a key", "", []string{"Authorization", "Bearer good", "X-API-Key", "k1"}, 400, gatehouse.ReasonSeveralCredentials},
		{"a token and an empty key", "", []string{"Authorization", "Bearer good", "X-API-Key", ""}, 400, gatehouse.ReasonSeveralCredentials},
		{"another scheme and a key", "", []string{"Authorization", "Basic YTpi", "X-API-Key", "k1"}, 400, gatehouse.ReasonSeveralCredentials},
		{"a token, and one in the query", "access_token=good", []string{"Authorization", "Bearer good"}, 400, gatehouse.ReasonSeveralCredentials},
		{"a token, and none in the query", "access_token", []string{"Authorization", "Bearer good"}, 400, gatehouse.ReasonSeveralCredentials},
		{"a token, and an innocent query", "q=access_token&access_tokens=1", []string{"Authorization", "Bearer good"}, 200, ""},
		{"a token in the query", "a=1&access_token=good", nil, 401, gatehouse.ReasonCredentialInURL},
		{"an innocent query", "q=access_token", nil, 401, gatehouse.ReasonNoCredentials},
	} {
		t.Run(test.name, func(t *testing.T) {
			var told events
			gate := newGate(t, gatehouse.Config{
				Authenticators: []gatehouse.Authenticator{xAPIKey{"k1"}, bearer{tokens: map[string]*gatehouse.Principal{"good": person()}}}, Observer: &told,
			})
			r := request(test.headers...)
			r.URL.RawQuery = test.query
			a := send(gate, r)
			a.check(t, test.status, "")
			if got := told.only(t).Reason; got != test.reason {
				t.Errorf("reason %q, want %q", got, test.reason)
			}
			if test.status == 400 {
				a.check(t, 400, gatehouse.CodeInvalidRequest)
				if len(test.headers) == 4 && test.headers[2] == "Authorization" {
					_, err := gatehouse.Authorization(r, "Bearer")
					if e, _ := errors.AsType[*gatehouse.Error](err); e == nil || e.Code != gatehouse.CodeInvalidRequest || e.Reason != gatehouse.ReasonSeveralCredentials {
						t.Errorf("Authorization: %v", err)
					}
				}
			}
		})
	}
}

// Several credentials are refused before anybody is asked: an authenticator
// that looks at the first only would let the request in.
func TestSeveralCredentialsBeforeAuthenticators(t *testing.T) {
	gate := gateOf(t, admit(person()))
	for _, headers := range [][]string{
		{"Authorization", "Bearer good", "Authorization", "Bearer good"},
		{"Authorization", "Bearer good", "X-API-Key", "k1"},
		{"X-API-Key", "k1", "X-API-Key", "k1"},
	} {
		send(gate, request(headers...)).check(t, 400, gatehouse.CodeInvalidRequest)
	}
	r := request("Authorization", "Bearer good")
	r.URL.RawQuery = "access_token=x"
	send(gate, r).check(t, 400, gatehouse.CodeInvalidRequest)
}

// A malformed header is told from a bad token, and from a store that is down,
// whatever the authenticator says of it.
func TestMalformedWhateverAuthenticatorsSay(t *testing.T) {
	for _, err := range []error{
		gatehouse.ErrNoCredentials,
		&gatehouse.Error{Code: gatehouse.CodeInvalidToken},
		errors.New("store is down"),
	} {
		send(gateOf(t, refuse(err)), request("Authorization", "Bearer a, b")).check(t, 400, gatehouse.CodeInvalidRequest)
	}
}

// What an authenticator has accepted is not judged a second time: the good ones
// are not read twice.
func TestAcceptedCredentialsAreNotJudged(t *testing.T) {
	send(gateOf(t, admit(person())), request("Authorization", "Bearer of, an=odd \"grammar\"")).check(t, 200, "")
}

func TestHasExplicitCredential(t *testing.T) {
	for _, test := range []struct {
		headers []string
		want    bool
	}{
		{nil, false},
		{[]string{"Cookie", "a=b", "Dpop", "x", "Proxy-Authorization", "Basic YTpi"}, false},
		{[]string{"Authorization", ""}, true},
		{[]string{"Authorization", "Basic YTpi"}, true},
		{[]string{"X-API-Key", ""}, true},
		{[]string{"X-API-Key", "k1"}, true},
	} {
		if got := gatehouse.HasExplicitCredential(request(test.headers...)); got != test.want {
			t.Errorf("%q: %v", test.headers, got)
		}
	}
}

// The grammar once more, as RFC 9110 and RFC 6750 write it.
var (
	wellFormed = regexp.MustCompile(`^(?i:bearer|apikey|dpop) +[A-Za-z0-9\-._~+/]+=*$`)
	startsOurs = regexp.MustCompile("^(?i:bearer|apikey|dpop)(?s:[^!#$%&'*+\\-.^_`|~0-9A-Za-z].*)?$")
	hasScheme  = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9A-Za-z]")
)

func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer good", "bearer  a.b.c==", "Bearer a, Bearer b", "Bearer\ta", "DPoP =", "ApiKey a=b",
		"Basic YTpi", "Bearerish a", " Bearer a", "Bearer a\x00", "Bearer\u00a0a", "\xff", "dpop good", "Bearer good ",
	} {
		f.Add(seed)
	}
	gate := gateOf(f, bearer{tokens: map[string]*gatehouse.Principal{"good": person()}})
	f.Fuzz(func(t *testing.T, header string) {
		r := request()
		r.Header["Authorization"] = []string{header}

		want := 401
		switch {
		case len(header) > 16<<10: // not read
			return
		case !hasScheme.MatchString(header), startsOurs.MatchString(header) && !wellFormed.MatchString(header):
			want = 400
		case regexp.MustCompile(`^(?i:bearer) +good$`).MatchString(header):
			want = 200
		}
		if a := send(gate, r); a.status != want || (a.seen != nil) != (want == 200) {
			t.Errorf("status %d, want %d", a.status, want)
		}

		got, err := gatehouse.Authorization(r, "Bearer")
		if (err == nil) != (got != "") {
			t.Errorf("%q with error %v", got, err)
		}
		if err == nil && (strings.TrimLeft(header[len("Bearer"):], " ") != got || got[0] == ' ') {
			t.Errorf("credentials %q", got)
		}
	})
}
