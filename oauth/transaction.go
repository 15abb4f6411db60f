// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/cookie"
)

const (
	// transactionLifetime is how long a person may take to log in.
	transactionLifetime = 10 * time.Minute

	// maxTransactions bounds how many logins one browser may have under way, and
	// so how large its requests become.
	maxTransactions = 5

	transactionPrefix  = "tx-"
	transactionNameLen = 8

	// The purpose is one for all servers, so that a callback at the wrong one is
	// recognised as such. The issuer is inside.
	transactionPurpose = "oauth login transaction"
)

// nameOf returns what the cookie of a transaction is called, without its prefix.
// It says nothing about the state.
func nameOf(state string) string {
	sum := sha256.Sum256([]byte(state))
	return transactionPrefix + hex.EncodeToString(sum[:])[:transactionNameLen]
}

// transactionCookie returns the cookie of a transaction.
//
// It is SameSite=Lax, because the callback is a navigation that another site
// causes: a Strict cookie would not come with it.
func (l *Login) transactionCookie(name string) (*cookie.Sealed, error) {
	return cookie.NewSealed(cookie.SealedConfig{
		Cookie:   cookie.Config{Name: name, SameSite: http.SameSiteLaxMode, MaxAge: transactionLifetime},
		Keys:     l.keys,
		Purpose:  transactionPurpose,
		Lifetime: transactionLifetime,
	})
}

// makeRoom removes the oldest transactions of the browser, so that with a new
// one there are no more than there may be. Those that cannot be read count as
// the oldest.
func (l *Login) makeRoom(w http.ResponseWriter, r *http.Request) {
	type candidate struct {
		cookie *cookie.Sealed
		begun  int64
	}
	var all []candidate
	seen := make(map[string]bool)
	for _, c := range r.Cookies() {
		name, ok := strings.CutPrefix(c.Name, cookie.PrefixHostHTTP.String())
		if !ok || !isTransactionName(name) || seen[name] {
			continue
		}
		seen[name] = true
		sealed, err := l.transactionCookie(name)
		if err != nil {
			continue
		}
		one := candidate{cookie: sealed}
		if value, err := sealed.Open(r); err == nil {
			if t, err := parseTransaction(value); err == nil {
				one.begun = t.Begun
			}
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.begun, b.begun) })
	for len(all) >= maxTransactions {
		all[0].cookie.Clear(w, r)
		all = all[1:]
	}
}

func isTransactionName(name string) bool {
	rest, ok := strings.CutPrefix(name, transactionPrefix)
	return ok && len(rest) == transactionNameLen && strings.Trim(rest, "0123456789abcdef") == ""
}
