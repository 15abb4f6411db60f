// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
)

// A token that lives longer than its revocation is kept would come back. Where
// nothing is said, it is not accepted in the first place, and to ask for it is a
// mistake.
func TestRevocationsOutliveTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newList(t, revocation.NewMemory(0))
		a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = l }))
		hour := token(nil, object{"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})
		if err := l.RevokeSubject(t.Context(), issuerURL, "alice"); err != nil {
			t.Fatal(err)
		}
		for range 12 {
			if got := reason(t, a, hour); got == "" {
				t.Fatal("a token that was revoked is good again")
			}
			pass(5 * time.Minute)
		}
	})
	for lifetime, good := range map[time.Duration]bool{0: true, time.Minute: true, 15 * time.Minute: true, 15*time.Minute + 1: false, week: false} {
		_, err := jwtauth.New(config(func(c *jwtauth.Config) {
			c.Revocations, c.Issuers[0].MaxLifetime = newList(t, revocation.NewMemory(0)), lifetime
		}))
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "jwtauth: Config.Issuers[0].MaxLifetime: ") {
			t.Errorf("MaxLifetime %v: %v", lifetime, err)
		}
	}
	// A list that keeps revocations for longer changes nothing.
	long := must(revocation.New(revocation.Config{Store: revocation.NewMemory(0), MaxLifetime: week}))
	for lifetime, good := range map[int64]bool{int64(24 * time.Hour / time.Second): true, int64(25 * time.Hour / time.Second): false} {
		a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = long }))
		now := time.Now().Unix()
		if got := reason(t, a, token(nil, object{"iat": now, "exp": now + lifetime})); (got == "") != good {
			t.Errorf("a token of %d s: %q", lifetime, got)
		}
	}
}

// A token that does not say when it was issued is accepted once no more of its
// life is left than may be. What was revoked by its jti long before must still be.
func TestRevokeTokenOfALongLife(t *testing.T) {
	for _, life := range []time.Duration{8 * 24 * time.Hour, 30 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l := newList(t, revocation.NewMemory(0))
			a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations, c.Issuers[0].Profile = l, jwtauth.Compatible }))
			expires := time.Now().Add(life)
			long := token(nil, object{"iat": nil, "exp": expires.Unix()})
			if err := l.RevokeToken(t.Context(), issuerURL, "token-1", expires); err != nil {
				t.Fatal(err)
			}
			pass(life - time.Minute)
			if got := reason(t, a, long); got != gatehouse.ReasonTokenRevoked {
				t.Errorf("%v: a token that was revoked: %q", life, got)
			}
		})
	}
	// As far ahead as a date can be.
	store := revocation.NewMemory(0)
	l := newList(t, store)
	if err := l.RevokeToken(t.Context(), issuerURL, "token-1", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	times := must(store.Find(t.Context(), []revocation.Target{{Kind: revocation.Token, Issuer: issuerURL, Value: "token-1"}}))
	if times[0].IsZero() {
		t.Error("a token that ends in the year 9999 is not revoked")
	}
}

// hangUp is a store whose caller is left by their own caller once a family has
// ended.
type hangUp struct {
	refresh.Store
	hangUp context.CancelFunc
}

func (h hangUp) End(ctx context.Context, id string) (refresh.Record, error) {
	defer h.hangUp()
	return h.FamilyStore.End(ctx, id)
}

// Once a family has ended its access tokens go too, whoever has stopped waiting
// for that.
func TestRevocationInAHurry(t *testing.T) {
	for name, end := range map[string]func(*refresh.Tokens, context.Context, refresh.Issued) error{
		"End": func(r *refresh.Tokens, ctx context.Context, first refresh.Issued) error {
			return r.End(ctx, first.Token, "web")
		},
		"EndFamily": func(r *refresh.Tokens, ctx context.Context, first refresh.Issued) error {
			return r.EndFamily(ctx, first.Family.ID)
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		list := newList(t, revocation.NewMemory(0))
		r := must(refresh.New(refresh.Config{
			Store: hangUp{refresh.NewMemory(0), cancel}, Revocations: list, Issuer: issuerURL,
		}))
		first := must(r.Begin(t.Context(), refresh.Grant{Subject: "alice", Client: "web"}))
		err := end(r, ctx, first)
		revoked, failed := list.Revoked(t.Context(), jwtauth.Token{Issuer: issuerURL, Family: first.Family.ID})
		if err != nil || failed != nil || !revoked || ctx.Err() == nil {
			t.Errorf("%s: %v, %v, revoked: %t", name, err, failed, revoked)
		}
	}
}
