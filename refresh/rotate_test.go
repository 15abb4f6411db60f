// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
)

// Covers RFC 9700 §4.14.2 (expiry); ASVS 5.0 §10.4.8.
func TestRotationKeepsAbsoluteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		issued := s.begin()
		first := issued.Family
		if want := time.Now().Add(week); !first.Expires.Equal(want) {
			t.Errorf("Expires = %v, want %v", first.Expires, want)
		}
		seen := map[string]bool{string(issued.Token.Reveal()): true}
		for n := range int64(6) {
			pass(24 * time.Hour)
			issued = s.accepted("current token", issued.Token)
			text := string(issued.Token.Reveal())
			if seen[text] {
				t.Fatal("Rotate returned a token for the second time")
			}
			seen[text] = true
			f := issued.Family
			if f.ID != first.ID || f.Grant != first.Grant || !f.Expires.Equal(first.Expires) || f.Generation != n+2 || issued.Scopes != first.Scopes {
				t.Errorf("rotation changed %+v to %+v", first, f)
			}
		}
		want := jwtauth.AccessToken{
			Subject: "alice", Audience: audience, Client: "web", Scopes: first.Scopes, Tenant: "acme", AuthTime: first.AuthTime, Family: first.ID,
		}
		if got := issued.AccessToken(audience); fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Errorf("AccessToken = %+v, want %+v", got, want)
		}
		pass(time.Until(first.Expires) - time.Microsecond)
		issued = s.accepted("current token 1 µs before the expiry", issued.Token)
		for _, wait := range []time.Duration{time.Microsecond, time.Hour} {
			pass(wait)
			s.rejected("current token after the expiry", issued.Token, refresh.ReasonExpired)
		}
	})
}

func TestGracePeriodYieldsSameSuccessor(t *testing.T) {
	for _, test := range []struct {
		name          string
		config, grace time.Duration
	}{
		{"default", 0, 10 * time.Second}, {"1 minute", time.Minute, time.Minute}, {"1 millisecond", time.Millisecond, time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, func(c *refresh.Config) { c.Grace = test.config })
				first := s.begin()
				second := s.accepted("first token", first.Token)
				for _, wait := range []time.Duration{0, test.grace / 2, test.grace - test.grace/2 - time.Microsecond} {
					pass(wait)
					again := s.accepted("first token in the grace period", first.Token)
					if !again.Token.Equal(second.Token) || again.Family != second.Family || again.Scopes != second.Scopes {
						t.Fatal("Rotate in the grace period: got another successor")
					}
				}
				// A replay does not extend the grace period.
				pass(time.Microsecond)
				s.rejected("first token after the grace period", first.Token, refresh.ReasonReused)
				s.rejected("second token", second.Token, refresh.ReasonRevoked)
				s.rejected("first token again", first.Token, refresh.ReasonRevoked)
			})
		})
	}
}

// Covers RFC 9700 §4.14.2 (rotation).
func TestNoGraceRevokesAtSecondUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(c *refresh.Config) { c.NoGrace = true })
		first := s.begin()
		second := s.accepted("first token", first.Token)
		if r := s.find(first.Family.ID); len(r.Successor) != 0 || !r.GraceEnds.Equal(r.Rotated) {
			t.Errorf("record has a successor or a grace period: %+v", r)
		}
		s.rejected("first token", first.Token, refresh.ReasonReused)
		s.rejected("second token", second.Token, refresh.ReasonRevoked)
	})
}

// Covers ASVS 5.0 §10.4.5.
func TestUsedSuccessorEndsGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		first := s.begin()
		second := s.accepted("first token", first.Token)
		pass(time.Second)
		third := s.accepted("second token", second.Token)
		if again := s.accepted("second token again", second.Token); !again.Token.Equal(third.Token) {
			t.Error("Rotate in the grace period: got another successor")
		}
		s.rejected("first token", first.Token, refresh.ReasonReused)
		s.rejected("third token", third.Token, refresh.ReasonRevoked)
		if r := s.find(first.Family.ID); len(r.Successor) != 0 || r.Revoked.IsZero() {
			t.Errorf("record is not revoked or has a successor: %+v", r)
		}
	})
}

// Covers RFC 6749 §5.2; RFC 9700 §4.14.2, §4.14.2 (rotation); ASVS 5.0 §10.4.5.
func TestReuseRevokesFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // one of the two is the attacker
		s := newServer(t)
		stolen := s.begin().Token
		one := s.accepted("first party", stolen)
		pass(time.Hour)
		one = s.accepted("first party, again", one.Token)
		pass(time.Hour)
		s.rejected("second party", stolen, refresh.ReasonReused)
		s.rejected("first party", one.Token, refresh.ReasonRevoked)
		s.accepted("token of another family", s.begin().Token)
	})
}

// Covers RFC 6749 §10.4 (guess).
func TestWrongKeyChangesNothing(t *testing.T) {
	s := newServer(t)
	first := s.begin()
	second := s.accepted("first token", first.Token)
	before := s.find(first.Family.ID)
	for name, token := range map[string]gatehouse.Secret{
		"key":                        changed(second.Token, inKey),
		"key and secret":             changed(second.Token, inKey, inSecret),
		"key of the rotated token":   changed(first.Token, inKey),
		"ID":                         changed(second.Token, inID),
		"ID, key and secret":         changed(second.Token, inID, inKey, inSecret),
		"first bit of the key":       changed(second.Token, 16),
		"last byte of the key":       changed(second.Token, 47),
		"zero key with the right ID": changed(secret(prefix+first.Family.ID+strings.Repeat("A", 107-22)), inKey),
	} {
		s.rejected("wrong "+name, token, refresh.ReasonUnknown)
		if err := s.Revoke(t.Context(), token, "web"); err != nil {
			t.Errorf("Revoke(wrong %s) error = %v", name, err)
		}
		after := s.find(first.Family.ID)
		after.AsOf = before.AsOf
		if diff := cmp.Diff(fmt.Sprintf("%+v", before), fmt.Sprintf("%+v", after)); diff != "" {
			t.Errorf("wrong %s changed the record (-before +after):\n%s", name, diff)
		}
	}
	third := s.accepted("second token", second.Token)
	s.rejected("wrong secret with the right key", changed(third.Token, inSecret), refresh.ReasonReused)
	s.rejected("third token", third.Token, refresh.ReasonRevoked)
}

func TestMalformedTokenNeedsNoStore(t *testing.T) {
	s := newServer(t, func(c *refresh.Config) { c.Store = &brokenStore{c.Store, "Find Rotate Revoke"} })
	good := prefix + strings.Repeat("A", 107)
	for _, text := range []string{
		"", "x", good[1:], good + "A", good[:124], good + "=", strings.ToUpper(good), good[:124] + "B", good[:124] + "\n", "gatehouse-refresh_" + good[18:],
		good[:60] + "+" + good[61:], good[:60] + "=" + good[61:], good[:60] + "\r\n" + good[62:], strings.Repeat("A", 1<<20),
	} {
		s.rejected(fmt.Sprintf("%.140q", text), secret(text), refresh.ReasonMalformed)
		if err := s.Revoke(t.Context(), secret(text), "web"); err != nil {
			t.Errorf("Revoke(%.140q) error = %v", text, err)
		}
	}
	for _, client := range []string{"", "a\nb", strings.Repeat("c", 256)} {
		s.requestRejected(fmt.Sprintf("client %.9q", client), refresh.Request{Token: secret(good), Client: client}, refresh.ErrInvalidGrant, refresh.ReasonMalformed)
	}
}

// Covers RFC 6749 §5.2, §10.4 (binding).
func TestOtherClientRevokesFamily(t *testing.T) {
	for _, client := range []string{"Web", "we", "website"} {
		for _, name := range []string{"current", "rotated, in the grace period"} {
			s := newServer(t)
			first := s.begin()
			second := s.accepted("first token", first.Token)
			token := map[bool]gatehouse.Secret{true: second.Token, false: first.Token}[name == "current"]
			s.requestRejected(name, refresh.Request{Token: token, Client: client}, refresh.ErrInvalidGrant, refresh.ReasonClient)
			s.rejected("second token by its own client", second.Token, refresh.ReasonRevoked)
		}
	}
}

// Covers RFC 6749 §6 (scope, same scope); RFC 9700 §4.14.2 (bound).
func TestScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		first := s.begin()
		granted := first.Family.Scopes
		request := func(token gatehouse.Secret, scope string) refresh.Request {
			return refresh.Request{Token: token, Client: "web", Scope: scope}
		}
		for _, scope := range []string{"admin", "reports:read admin", "reports", "reports:*", "reports:read  reports:write", " ", "\"", "Reports:read"} {
			s.requestRejected(scope, request(first.Token, scope), refresh.ErrInvalidScope, refresh.ReasonScope)
		}
		if r := s.find(first.Family.ID); r.Generation != 1 {
			t.Errorf("requests for scopes that were not granted used up %d tokens", r.Generation-1)
		}
		narrow, err := s.Rotate(t.Context(), request(first.Token, "reports:read"))
		if err != nil || narrow.Scopes.String() != "reports:read" || narrow.Family.Scopes != granted || narrow.AccessToken(audience).Scopes != narrow.Scopes {
			t.Fatalf("Rotate(reports:read) = %+v, %v", narrow, err)
		}
		s.recorded()
		s.requestRejected("replay with another scope", request(first.Token, "admin"), refresh.ErrInvalidScope, refresh.ReasonScope)
		// RFC 6749 §6: the new refresh token has the scope of the old one.
		all := s.accepted("token of the narrow request", narrow.Token)
		if all.Scopes != granted {
			t.Errorf("Scopes = %v, want %v", all.Scopes, granted)
		}
		if wide, err := s.Rotate(t.Context(), request(all.Token, "reports:write reports:read")); err != nil || wide.Scopes != granted {
			t.Errorf("Rotate(all scopes) = %+v, %v", wide, err)
		}
		s.recorded()
		s.requestRejected("reuse with another scope", request(first.Token, "admin"), refresh.ErrInvalidGrant, refresh.ReasonReused)

		for _, client := range []string{"other", "we"} {
			other := s.begin()
			s.requestRejected("other client with another scope", refresh.Request{Token: other.Token, Client: client, Scope: "admin"}, refresh.ErrInvalidGrant, refresh.ReasonClient)
			s.requestRejected("revoked with another scope", request(other.Token, "admin"), refresh.ErrInvalidGrant, refresh.ReasonRevoked)
			s.requestRejected("wrong key with another scope", request(changed(other.Token, inKey), "admin"), refresh.ErrInvalidGrant, refresh.ReasonUnknown)
		}
	})
}

// Covers RFC 9700 §4.14.2 (rotation).
func TestConcurrentUseYieldsOneSuccessor(t *testing.T) {
	for range 20 {
		s := newServer(t)
		first := s.begin()
		results := make([]refresh.Issued, 64)
		contract.Together(len(results), func(i int) {
			var err error
			if results[i], err = s.rotate(first.Token); err != nil {
				t.Errorf("Rotate error = %v", err)
			}
		})
		for _, got := range results {
			if got.Token.Len() == 0 || !got.Token.Equal(results[0].Token) {
				t.Fatal("concurrent calls of Rotate returned two successors")
			}
		}
		if r := s.find(first.Family.ID); r.Generation != 2 || !r.Revoked.IsZero() {
			t.Errorf("record = %+v, want generation 2, not revoked", r)
		}
		s.recorded()
		s.accepted("successor", results[0].Token)
	}
}

// shifted is a store whose clock differs from that of the process.
type shifted struct {
	refresh.Store
	ahead time.Duration
}

func (s shifted) Find(ctx context.Context, id string) (refresh.Record, error) {
	r, err := s.Store.Find(ctx, id)
	r.AsOf, r.Created, r.Expires = r.AsOf.Add(s.ahead), r.Created.Add(s.ahead), r.Expires.Add(s.ahead)
	return r, err
}

// TestClockOfTheStore: whether a family is active is a matter of the clock of the
// store. A request for too many scopes does not use up an active token.
func TestClockOfTheStore(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, func(c *refresh.Config) { c.Store, c.Lifetime = shifted{c.Store, ahead}, 30*time.Minute })
			token := s.begin().Token
			request := refresh.Request{Token: token, Client: "web", Scope: "admin"}
			pass(30*time.Minute - 1)
			s.requestRejected("too many scopes", request, refresh.ErrInvalidScope, refresh.ReasonScope)
			token = s.accepted("the same token", token).Token
			pass(1)
			request.Token = token
			s.requestRejected("expired", request, refresh.ErrInvalidGrant, refresh.ReasonExpired)
		})
	}
}
