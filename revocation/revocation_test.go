// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/revocation"
)

func TestNewChecksConfig(t *testing.T) {
	for _, test := range []struct {
		lifetime time.Duration
		want     time.Duration // 0 for an error
	}{{-1, 0}, {1, 0}, {time.Second - 1, 0}, {week + 1, 0}, {0, 15 * time.Minute}, {time.Second, time.Second}, {week, week}} {
		list, err := revocation.New(revocation.Config{Store: revocation.NewMemory(0), MaxLifetime: test.lifetime})
		if (err == nil) != (test.want > 0) || err == nil && list.MaxLifetime() != test.want {
			t.Errorf("New(MaxLifetime %v) error = %v, want MaxLifetime %v", test.lifetime, err, test.want)
		}
	}
	for _, store := range []revocation.Store{nil, (*revocation.Memory)(nil)} {
		_, err := revocation.New(revocation.Config{Store: store, MaxLifetime: -1})
		if n := strings.Count(fmt.Sprint(err), "revocation: Config."); n != 2 {
			t.Errorf("New(Store %#v) reports %d of 2 mistakes: %v", store, n, err)
		}
	}
}

// revokeBy revokes by each kind: token-1, bob, phone and the family f1.
var revokeBy = map[revocation.Kind]func(ctx context.Context, l *revocation.List, issuer string) error{
	revocation.Token: func(ctx context.Context, l *revocation.List, issuer string) error {
		return l.RevokeToken(ctx, issuer, "token-1", time.Now().Add(5*time.Minute))
	},
	revocation.Subject: func(ctx context.Context, l *revocation.List, issuer string) error {
		return l.RevokeSubject(ctx, issuer, "bob")
	},
	revocation.Client: func(ctx context.Context, l *revocation.List, issuer string) error {
		return l.RevokeClient(ctx, issuer, "phone")
	},
	revocation.Family: func(ctx context.Context, l *revocation.List, issuer string) error {
		return l.RevokeFamily(ctx, issuer, "f1")
	},
}

func TestRevokeMatchesOneClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := map[string]string{
			"jti":          mint(nil),
			"other jti":    mint(claims{"jti": "token-2"}),
			"sub":          mint(claims{"sub": "bob", "jti": "token-3"}),
			"client_id":    mint(claims{"client_id": "phone", "jti": "token-4"}),
			"sid":          mint(claims{"sid": "f1", "jti": "token-5", "sub": "carol", "client_id": "tv"}),
			"other family": mint(claims{"sid": "f2", "jti": "f1", "sub": "carol", "client_id": "tv"}),
		}
		for kind, revoke := range revokeBy {
			for _, iss := range []string{issuer, "https://other.example.com"} {
				list := newList(revocation.NewMemory(0))
				v := newVerifier(t, list)
				for name, token := range tokens {
					v.check(name, token, "")
				}
				if err := revoke(t.Context(), list, iss); err != nil {
					t.Fatal(err)
				}
				for name, token := range tokens {
					want := gatehouse.Reason("")
					if iss == issuer && name == string(kind) {
						want = jwtauth.ReasonRevoked
					}
					v.check(fmt.Sprintf("%s, after revocation by %s of %s", name, kind, iss), token, want)
				}
			}
		}
	})
}

func TestRevokeSubjectAndClientCoverTheSecond(t *testing.T) {
	for name, change := range map[revocation.Kind]claims{revocation.Subject: {"sub": "bob"}, revocation.Client: {"client_id": "phone"}} {
		t.Run(string(name), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := newList(revocation.NewMemory(0))
				strict := newVerifier(t, list)
				compatible := newVerifier(t, list, func(c *jwtauth.Config) { c.Issuers[0].Profile = jwtauth.Compatible })
				issued := func(iat any) string {
					c := claims{"iat": iat}
					for name, value := range change {
						c[name] = value
					}
					return mint(c)
				}
				second := func() int64 { return time.Now().Unix() }
				revoke := func() {
					if err := revokeBy[name](t.Context(), list, issuer); err != nil {
						t.Fatal(err)
					}
				}
				pass(300 * time.Millisecond)
				revoked := map[string]string{
					"1 s before": issued(second() - 1), "in the same second, before": issued(second()), "with a fraction": issued(float64(second()) + 0.9),
				}
				never := issued(nil)
				revoke()
				pass(200 * time.Millisecond)
				revoked["in the same second, after"] = issued(second())
				pass(500 * time.Millisecond)
				next := issued(second())
				for name, token := range revoked {
					strict.check("issued "+name, token, jwtauth.ReasonRevoked)
				}
				strict.check("issued in the next second", next, "")
				compatible.check("without iat", never, jwtauth.ReasonRevoked)
				revoke()
				strict.check("issued before the second revocation", next, jwtauth.ReasonRevoked)
			})
		})
	}
}

// TestRevocationOutlivesToken checks revoked tokens until they expire, with the
// largest clock skew.
func TestRevocationOutlivesToken(t *testing.T) {
	for kind, revoke := range map[revocation.Kind]func(context.Context, *revocation.List, time.Time) error{
		revocation.Token: func(ctx context.Context, l *revocation.List, expires time.Time) error {
			return l.RevokeToken(ctx, issuer, "token-1", expires)
		},
		revocation.Family: func(ctx context.Context, l *revocation.List, _ time.Time) error {
			return l.RevokeFamily(ctx, issuer, "f1")
		},
		revocation.Subject: func(ctx context.Context, l *revocation.List, _ time.Time) error {
			return l.RevokeSubject(ctx, issuer, "alice")
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pass(time.Second / 2)
				list := newList(revocation.NewMemory(0))
				v := newVerifier(t, list, func(c *jwtauth.Config) { c.Skew = 5 * time.Minute })
				expires := time.Now().Add(15 * time.Minute)
				token := mint(claims{"sid": "f1", "exp": expires.Unix()})
				if err := revoke(t.Context(), list, expires); err != nil {
					t.Fatal(err)
				}
				for range 21 {
					if got := v.reason(token); got != jwtauth.ReasonRevoked && got != jwtauth.ReasonExpired {
						t.Fatalf("%v before the expiry: reason = %q", time.Until(expires), got)
					}
					pass(time.Minute)
				}
				v.check("expired", token, jwtauth.ReasonExpired)
			})
		})
	}
}

// TestVerifierRejectsLongLivedTokens covers tokens that would become valid again
// because they outlive their revocation.
func TestVerifierRejectsLongLivedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := newList(revocation.NewMemory(0))
		v := newVerifier(t, list)
		token := mint(claims{"exp": time.Now().Add(time.Hour).Unix()})
		if err := list.RevokeSubject(t.Context(), issuer, "alice"); err != nil {
			t.Fatal(err)
		}
		for range 12 {
			if v.reason(token) == "" {
				t.Fatal("a revoked token is accepted again")
			}
			pass(5 * time.Minute)
		}
	})
	for lifetime, ok := range map[time.Duration]bool{0: true, time.Minute: true, 15 * time.Minute: true, 15*time.Minute + 1: false, week: false} {
		c := config(newList(revocation.NewMemory(0)))
		c.Issuers[0].MaxLifetime = lifetime
		if _, err := jwtauth.New(c); (err == nil) != ok {
			t.Errorf("jwtauth.New(MaxLifetime %v) error = %v, want success = %v", lifetime, err, ok)
		}
	}
	// A longer MaxLifetime of the list leaves the default of the verifier.
	v := newVerifier(t, must(revocation.New(revocation.Config{Store: revocation.NewMemory(0), MaxLifetime: week})))
	for hours, ok := range map[time.Duration]bool{24: true, 25: false} {
		if got := v.reason(mint(claims{"exp": time.Now().Add(hours * time.Hour).Unix()})); (got == "") != ok {
			t.Errorf("a token of %d hours: reason = %q, want accepted = %v", hours, got, ok)
		}
	}
}

// TestRevokeTokenUntilExpiry revokes tokens without iat, which are accepted near
// their expiry however long they live.
func TestRevokeTokenUntilExpiry(t *testing.T) {
	for _, lifetime := range []time.Duration{8 * 24 * time.Hour, 30 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			list := newList(revocation.NewMemory(0))
			v := newVerifier(t, list, func(c *jwtauth.Config) { c.Issuers[0].Profile = jwtauth.Compatible })
			expires := time.Now().Add(lifetime)
			token := mint(claims{"iat": nil, "exp": expires.Unix()})
			if err := list.RevokeToken(t.Context(), issuer, "token-1", expires); err != nil {
				t.Fatal(err)
			}
			pass(lifetime - time.Minute)
			v.check(fmt.Sprintf("token of %v, 1 minute before the expiry", lifetime), token, jwtauth.ReasonRevoked)
		})
	}
	store := revocation.NewMemory(0)
	if err := newList(store).RevokeToken(t.Context(), issuer, "token-1", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if times := must(store.Find(t.Context(), []revocation.Target{{Kind: revocation.Token, Issuer: issuer, Value: "token-1"}})); times[0].IsZero() {
		t.Error("a token that expires in the year 9999 is not revoked")
	}
}

func TestRevocationLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &stub{}
		list := must(revocation.New(revocation.Config{Store: store, MaxLifetime: time.Hour}))
		now := time.Now()
		for _, expires := range []time.Time{now.Add(time.Minute), now, now.Add(-10*time.Minute + 1), now.Add(-10 * time.Minute), now.Add(week), now.Add(100 * week)} {
			if err := list.RevokeToken(t.Context(), issuer, "a", expires); err != nil {
				t.Errorf("RevokeToken(%v) error = %v", expires, err)
			}
		}
		if err := list.RevokeToken(t.Context(), issuer, "a", time.Time{}); err == nil {
			t.Error("RevokeToken(zero expiry): got no error")
		}
		for _, kind := range []revocation.Kind{revocation.Subject, revocation.Client, revocation.Family} {
			if err := revokeBy[kind](t.Context(), list, issuer); err != nil {
				t.Errorf("revoke by %s: error = %v", kind, err)
			}
		}
		const margin = 10 * time.Minute
		want := []time.Duration{time.Minute + margin, margin, 1, week + margin, 100*week + margin, time.Hour + margin, time.Hour + margin, time.Hour + margin}
		if diff := cmp.Diff(want, store.lifetimes); diff != "" {
			t.Errorf("lifetimes in the store (-want +got):\n%s", diff)
		}
	})
}

func TestRevokeRejectsImpossibleClaims(t *testing.T) {
	store := &stub{}
	list, ctx := newList(store), t.Context()
	for _, value := range []string{"", "a\nb", strings.Repeat("x", 256), "\xff", "\x00"} {
		for name, err := range map[string]error{
			"RevokeSubject": list.RevokeSubject(ctx, issuer, value), "RevokeClient": list.RevokeClient(ctx, issuer, value),
			"RevokeFamily": list.RevokeFamily(ctx, issuer, value), "RevokeToken": list.RevokeToken(ctx, issuer, value, time.Now().Add(time.Hour)),
			"RevokeSubject without issuer": list.RevokeSubject(ctx, "", "a"),
		} {
			if err == nil {
				t.Errorf("%s(%.10q): got no error", name, value)
			}
		}
	}
	if len(store.lifetimes) > 0 {
		t.Errorf("the store was called %d times, want 0", len(store.lifetimes))
	}
}

func TestStoreFailureIsUnavailable(t *testing.T) {
	errDown := errors.New("store down")
	for name, store := range map[string]*stub{
		"error": {err: errDown}, "no results": {}, "2 results for 3 targets": {times: make([]time.Time, 2)}, "4 results for 3 targets": {times: make([]time.Time, 4)},
	} {
		newVerifier(t, newList(store)).check("store: "+name, mint(nil), jwtauth.ReasonRevocationsUnavailable)
	}
	if err := newList(&stub{err: errDown}).RevokeSubject(t.Context(), issuer, "a"); !errors.Is(err, errDown) {
		t.Errorf("RevokeSubject error = %v, want %v", err, errDown)
	}
}

// TestRevokeUsesClaimsOfIssuer checks that the names by which an application knows
// subject and client make no difference.
func TestRevokeUsesClaimsOfIssuer(t *testing.T) {
	list := newList(revocation.NewMemory(0))
	v := newVerifier(t, list, func(c *jwtauth.Config) {
		c.Issuers[0].Profile = jwtauth.Compatible
		c.Issuers[0].Principal = func(_ gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
			p.Subject, p.Client = "mail:"+p.Subject, "app:"+p.Client
			return p, nil
		}
	})
	tokens := map[string]string{"subject": mint(claims{"sub": "bob"}), "client": mint(claims{"client_id": nil, "azp": "phone"})}
	for name, token := range tokens {
		v.check(name, token, "")
	}
	for _, kind := range []revocation.Kind{revocation.Subject, revocation.Client} {
		if err := revokeBy[kind](t.Context(), list, issuer); err != nil {
			t.Fatal(err)
		}
	}
	for name, token := range tokens {
		v.check(name+", revoked", token, jwtauth.ReasonRevoked)
	}
}

func TestRevokeTokenFromClockAhead(t *testing.T) {
	list := newList(revocation.NewMemory(0))
	v := newVerifier(t, list)
	ahead := time.Now().Add(20 * time.Second).Unix()
	for _, kind := range []revocation.Kind{revocation.Token, revocation.Family} {
		if err := revokeBy[kind](t.Context(), list, issuer); err != nil {
			t.Fatal(err)
		}
	}
	v.check("by jti", mint(claims{"iat": ahead}), jwtauth.ReasonRevoked)
	v.check("by family", mint(claims{"iat": ahead, "jti": "2", "sid": "f1"}), jwtauth.ReasonRevoked)
}
