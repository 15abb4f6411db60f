// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestPrincipalIsZero(t *testing.T) {
	equal(t, "IsZero of the zero principal", gatehouse.Principal{}.IsZero(), true)
	equal(t, "IsZero without a method", gatehouse.Principal{Subject: "ada", Kind: gatehouse.KindUser}.IsZero(), true)
	equal(t, "IsZero with a method only", gatehouse.Principal{Method: "jwt"}.IsZero(), false)
	equal(t, "principal of the zero Proof", gatehouse.Proof{}.Principal(), gatehouse.Principal{})
	equal(t, "principal of a Proof", gatehouse.NewProof(user()).Principal(), *user())
	var p gatehouse.Principal
	if p.Scopes.Len() != 0 || p.Roles.Len() != 0 || p.Actors.Len() != 0 || p.Claims.String() != "{}" {
		t.Errorf("zero principal has scopes, roles, actors or claims: %+v", p)
	}
}

func TestPrincipalForms(t *testing.T) {
	claims := must(gatehouse.NewClaims(`{"email":"ada@example.com"}`))
	p := *user()
	p.Roles, p.Claims, p.Binding, p.Environment = roleSet("a, b", "c"), claims, "dpop", "live"
	p.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "agent", Client: "c"}, gatehouse.Actor{Subject: "desk"})
	const asJSON = `{"kind":"user","subject":"ada","issuer":"https://auth.example.com","tenant":"acme","environment":"live","client":"web","method":"jwt",` +
		`"credential":"jti-1","scope":"reports:read","roles":["a, b","c"],"act":{"sub":"agent","client_id":"c","act":{"sub":"desk"}},` +
		`"binding":"dpop","expires":"2030-01-02T03:04:05Z","claims":{"email":"ada@example.com"}}`
	encoded, err := json.Marshal(p)
	if err != nil || string(encoded) != asJSON {
		t.Errorf("Marshal = %s, %v; want %s", encoded, err, asJSON)
	}
	var decoded gatehouse.Principal
	if err := json.Unmarshal(encoded, &decoded); err != nil || decoded != p {
		t.Errorf("Unmarshal = %+v, %v; want %+v", decoded, err, p)
	}
	if encoded, err := json.Marshal(gatehouse.Principal{}); err != nil || string(encoded) != "{}" {
		t.Errorf("Marshal of the zero principal = %s, %v", encoded, err)
	}
	var text bytes.Buffer
	debugText(&text).Info("m", "q", gatehouse.Principal{Subject: "bob"}, "p", p, "scopes", p.Scopes, "roles", p.Roles, "key", p.Key())
	const line = `level=INFO msg=m q.subject=bob p.kind=user p.issuer=https://auth.example.com p.subject=ada p.tenant=acme p.environment=live p.client=web p.method=jwt ` +
		`p.credential=jti-1 p.scope=reports:read p.roles="a, b, c" p.act="{\"sub\":\"agent\",\"client_id\":\"c\",\"act\":{\"sub\":\"desk\"}}" p.binding=dpop ` +
		`scopes=reports:read roles="a, b, c" key=https:%2F%2Fauth.example.com/ada` + "\n"
	equal(t, "slog", text.String(), line)
	for into, text := range map[any]string{
		new(gatehouse.Scopes): `"a  b"`, new(gatehouse.Roles): `"a"`, new(gatehouse.Roles): `["a\nb"]`, new(gatehouse.Actors): `"a"`, new(gatehouse.Claims): `[]`, new(gatehouse.Key): `"a"`,
	} {
		if err := json.Unmarshal([]byte(text), into); err == nil {
			t.Errorf("Unmarshal(%s) into %T = %v, want an error", text, into, into)
		}
	}
}

// The text form of a key is unique and is read back.
func TestKey(t *testing.T) {
	seen := map[string]gatehouse.Key{}
	for _, key := range []gatehouse.Key{
		{}, {"", "/"}, {"/", ""}, {"a", "b/c"}, {"a/b", "c"}, {"a%2Fb", "c"}, {"https://x", "ü \x00"}, {"a b", "c+d"},
	} {
		text, err := key.MarshalText()
		if err != nil {
			t.Errorf("MarshalText(%+v): %v", key, err)
		}
		if other, taken := seen[string(text)]; taken {
			t.Errorf("%+v and %+v are both %s", key, other, text)
		}
		seen[string(text)] = key
		var back gatehouse.Key
		if err := back.UnmarshalText(text); err != nil || back != key {
			t.Errorf("UnmarshalText(%s) = %+v, %v; want %+v", text, back, err, key)
		}
	}
	for _, text := range []string{"", "a", "a/b/c", "a%/b", "a/%zz", "a%41/b", "a%2fb/c"} {
		if err := new(gatehouse.Key).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("UnmarshalText(%q) succeeded", text)
		}
	}
}

// Covers RFC 8693 §4.1; ASVS 5.0 §8.3.3.
func TestActors(t *testing.T) {
	chain := []gatehouse.Actor{{Subject: "agent", Issuer: "https://a.example", Client: "c"}, {Subject: "desk"}}
	want := slices.Clone(chain)
	actors := gatehouse.NewActors(chain...)
	chain[0].Subject = "changed" // NewActors has copied it
	if current, ok := actors.Current(); !ok || current != want[0] {
		t.Errorf("Current = %+v, %v", current, ok)
	}
	for range 2 {
		all := slices.Collect(actors.All())
		if d := diff(all, want); actors.Len() != 2 || d != "" {
			t.Errorf("Len = %d, All (-want +got):\n%s", actors.Len(), d)
		}
		all[0].Subject = "changed"
	}
	for range actors.All() {
		break // the iterator stops
	}
	if actors != gatehouse.NewActors(want...) || actors == gatehouse.NewActors(want[:1]...) {
		t.Error("equal chains must compare equal, and others not")
	}
	empty := gatehouse.NewActors()
	if current, ok := empty.Current(); ok || current != (gatehouse.Actor{}) || empty != (gatehouse.Actors{}) || empty.Len() != 0 {
		t.Errorf("empty chain: Current = %+v, %v", current, ok)
	}
	if encoded, err := json.Marshal(empty); err != nil || string(encoded) != "null" {
		t.Errorf("Marshal of the empty chain = %s, %v", encoded, err)
	}
	var back gatehouse.Actors
	if err := json.Unmarshal([]byte("null"), &back); err != nil || back != empty {
		t.Errorf("Unmarshal(null) = %v, %v", back, err)
	}
}

func TestErrorText(t *testing.T) {
	e := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reasonToken, Credential: "jti-1", Issuer: "https://auth.example.com", Cause: io.ErrUnexpectedEOF}
	const want = "gatehouse: invalid_token (test_token)"
	equal(t, "text", fmt.Sprintf("%v|%s|%+v", e, e, e), want+"|"+want+"|"+want)
	if !errors.Is(e, io.ErrUnexpectedEOF) || errors.Is(e, gatehouse.ErrNoCredentials) {
		t.Error("Unwrap does not return the cause")
	}
	if errors.Unwrap((*gatehouse.Error)(nil)) != nil || errors.Unwrap(&gatehouse.Error{}) != nil {
		t.Error("Unwrap without a cause is not nil")
	}
}

func TestFromContext(t *testing.T) {
	type key struct{}
	parent, cancel := context.WithCancelCause(t.Context())
	outer := context.WithValue(parent, key{}, "outer")
	inner := gatehouse.NewContext(outer, *user())
	for name, test := range map[string]struct {
		ctx  context.Context
		want gatehouse.Principal
	}{
		"no gate":               {outer, gatehouse.Principal{}},
		"NewContext":            {inner, *user()},
		"replaced":              {gatehouse.NewContext(inner, *service("ci")), *service("ci")},
		"replaced by no caller": {gatehouse.NewContext(inner, gatehouse.Principal{}), gatehouse.Principal{}},
	} {
		if p, ok := gatehouse.FromContext(test.ctx); p != test.want || ok == test.want.IsZero() {
			t.Errorf("%s: FromContext = %+v, %v; want %+v", name, p, ok, test.want)
		}
	}
	if inner.Value(key{}) != "outer" || inner.Value("other") != nil {
		t.Error("NewContext loses the values of the outer context")
	}
	derived, stop := context.WithCancel(inner)
	defer stop()
	cause := errors.New("gone")
	cancel(cause)
	<-derived.Done()
	equal(t, "cause of the end of the outer context", context.Cause(derived), cause)
}
