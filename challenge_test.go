// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestChallengeString(t *testing.T) {
	for _, test := range []struct {
		challenge gatehouse.Challenge
		want      string
	}{
		{gatehouse.Challenge{Scheme: "Bearer"}, `Bearer`},
		{gatehouse.Challenge{Scheme: "Bearer", Params: []gatehouse.Param{{Name: "realm", Value: ""}}}, `Bearer realm=""`},
		{
			gatehouse.Challenge{Scheme: "Bearer", Params: []gatehouse.Param{{Name: "realm", Value: "a b"}, {Name: "error", Value: "invalid_token"}}},
			`Bearer realm="a b", error="invalid_token"`,
		},
		{gatehouse.Challenge{Scheme: "X", Params: []gatehouse.Param{{Name: "v", Value: `"`}}}, `X v="\""`},
		{gatehouse.Challenge{Scheme: "X", Params: []gatehouse.Param{{Name: "v", Value: `\`}}}, `X v="\\"`},
		{gatehouse.Challenge{Scheme: "X", Params: []gatehouse.Param{{Name: "v", Value: `a", error="b`}}}, `X v="a\", error=\"b"`},
		{gatehouse.Challenge{Scheme: "X", Params: []gatehouse.Param{{Name: "v", Value: "a\r\nSet-Cookie: b=c"}}}, `X v="a??Set-Cookie: b=c"`},
		{gatehouse.Challenge{Scheme: "X", Params: []gatehouse.Param{{Name: "v", Value: "\x00\t\x1f ~\x7f\u0080é€\xff"}}}, `X v="??? ~?????"`},
	} {
		if got := test.challenge.String(); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

// What is written is read back by RFC 9110 as it was meant, whatever it was.
func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{"", "acme", `"`, `\`, `\"`, "a\r\nb", "a, b=\"c\"", "\x00\x7f\x80\xff", "é€\u2028", strings.Repeat(`\`, 100)} {
		f.Add(seed, "plain")
		f.Add("plain", seed)
	}
	// printable is what a value may hold; the rest is not sent.
	printable := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < 0x20 || r > 0x7e {
				return '?'
			}
			return r
		}, s)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		challenge := gatehouse.Challenge{Scheme: "Bearer", Params: []gatehouse.Param{{Name: "realm", Value: one}, {Name: "x-2", Value: two}}}
		written := challenge.String()
		if i := strings.IndexFunc(written, func(r rune) bool { return r < 0x20 || r > 0x7e }); i >= 0 {
			t.Errorf("byte %#x in %q", written[i], written)
		}
		want := gatehouse.Challenge{Scheme: "Bearer", Params: []gatehouse.Param{{Name: "realm", Value: printable(one)}, {Name: "x-2", Value: printable(two)}}}
		if got, err := parseChallenge(written); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q reads as %+v, %v", written, got, err)
		}
	})
}

// Every challenge that a gate writes is one of RFC 9110, with no parameter
// twice, and with a realm.
func TestChallengesAreWellFormed(t *testing.T) {
	metadata, err := gatehouse.NewMetadata(gatehouse.ProtectedResource{
		Resource: "https://api.example.com/?q=\"", AuthorizationServers: []string{"https://auth.example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, code := range []gatehouse.Code{
		gatehouse.CodeMissingCredentials, gatehouse.CodeInvalidRequest, gatehouse.CodeInvalidToken, gatehouse.CodeInsufficientScope,
		gatehouse.CodeInvalidAPIKey, gatehouse.CodeAccessDenied, gatehouse.CodeInsufficientUserAuthentication, gatehouse.CodeApprovalRequired,
		gatehouse.CodeInvalidDPoPProof, gatehouse.CodeUseDPoPNonce, gatehouse.CodeBudgetExceeded, gatehouse.CodeTemporarilyUnavailable, "new",
	} {
		for _, scheme := range []string{"", "DPoP"} {
			gate := newGate(t, gatehouse.Config{
				Authenticators: []gatehouse.Authenticator{refuse(&gatehouse.Error{Code: code, Scheme: scheme, Scopes: scopeSet("a", "b"), Params: []gatehouse.Param{{Name: "max_age", Value: "5"}}})},
				Realm:          `the "acme" realm\`, Metadata: metadata,
			})
			a := send(gate, request())
			for _, written := range a.header["Www-Authenticate"] {
				seen++
				challenge, err := parseChallenge(written)
				if err != nil {
					t.Errorf("%s: %v", written, err)
				}
				names := map[string]string{}
				for _, p := range challenge.Params {
					if _, twice := names[p.Name]; twice {
						t.Errorf("%s: %s twice", written, p.Name)
					}
					names[p.Name] = p.Value
				}
				if names["realm"] != `the "acme" realm\` || names["resource_metadata"] != metadata.URL {
					t.Errorf("%s: %q", written, names)
				}
			}
			// RFC 9110 §15.5.2: a 401 response MUST have a challenge.
			if a.status == 401 && len(a.header["Www-Authenticate"]) == 0 {
				t.Errorf("%s: 401 without a challenge", code)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d challenges seen", seen)
	}
}

var errGrammar = errors.New("not a challenge of RFC 9110")

// parseChallenge reads one challenge, as strictly as RFC 9110 sections 11.3 and
// 5.6 allow, with the optional whitespace that senders should write.
func parseChallenge(s string) (gatehouse.Challenge, error) {
	scheme, rest := cutToken(s)
	c := gatehouse.Challenge{Scheme: scheme}
	if scheme == "" {
		return c, errGrammar
	}
	separator := " "
	for rest != "" {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, separator); !ok {
			return c, errGrammar
		}
		separator = ", "
		var p gatehouse.Param
		if p.Name, rest = cutToken(rest); p.Name == "" {
			return c, errGrammar
		}
		if rest, ok = strings.CutPrefix(rest, `="`); !ok {
			return c, errGrammar
		}
		var b strings.Builder
		for closed := false; !closed; {
			if rest == "" {
				return c, errGrammar
			}
			next := rest[0]
			rest = rest[1:]
			switch {
			case next == '"':
				closed = true
				continue
			case next == '\\': // quoted-pair = "\" ( HTAB / SP / VCHAR / obs-text )
				if rest == "" {
					return c, errGrammar
				}
				next, rest = rest[0], rest[1:]
				if next != '\t' && next < ' ' || next == 0x7f {
					return c, errGrammar
				}
			// qdtext = HTAB / SP / %x21 / %x23-5B / %x5D-7E / obs-text
			case next != '\t' && next < ' ' || next == 0x7f:
				return c, errGrammar
			}
			b.WriteByte(next)
		}
		p.Value = b.String()
		c.Params = append(c.Params, p)
	}
	return c, nil
}

// cutToken cuts a token of RFC 9110 section 5.6.2 off s.
func cutToken(s string) (token, rest string) {
	const tchar = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	n := len(s) - len(strings.TrimLeft(s, tchar))
	return s[:n], s[n:]
}
