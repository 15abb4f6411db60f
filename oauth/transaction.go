// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	// maxTransactionOctets how large its requests become with them. Any page can
	// send a browser to the login, again and again, and servers commonly refuse
	// requests with 8 KB of cookies.
	maxTransactions      = 5
	maxTransactionOctets = 6 << 10

	// maxForeign bounds how many cookies that are called like transactions are
	// looked at, each of which takes a pass over the request. No browser has more,
	// but anybody can send them.
	maxForeign = 4 * maxTransactions

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
// one of so many octets there are no more than there may be. Those that cannot
// be read count as the oldest.
func (l *Login) makeRoom(w http.ResponseWriter, r *http.Request, octets int) {
	type candidate struct {
		cookie *cookie.Sealed
		octets int
		begun  int64
	}
	var all []candidate
	sizes := make(map[string]int)
	for _, c := range r.Cookies() {
		name, ok := strings.CutPrefix(c.Name, cookie.PrefixHostHTTP.String())
		name, _, _ = strings.Cut(name, ".") // a part of a large one
		if _, known := sizes[name]; ok && isTransactionName(name) && (known || len(sizes) < maxForeign) {
			sizes[name] += len(c.Name) + len(c.Value)
		}
	}
	for name, size := range sizes {
		octets += size
		sealed, err := l.transactionCookie(name)
		if err != nil {
			continue
		}
		one := candidate{cookie: sealed, octets: size}
		if value, err := sealed.Open(r); err == nil {
			if t, err := parseTransaction(value); err == nil {
				one.begun = t.Begun
			}
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.begun, b.begun) })
	for len(all) >= maxTransactions || len(all) > 0 && octets > maxTransactionOctets {
		all[0].cookie.Clear(w, r)
		octets -= all[0].octets
		all = all[1:]
	}
}

// text is the transaction as it is sealed. Without the escapes that encoding/json
// makes for HTML: a way back may be all of such characters, and six times as long.
func (t transaction) text() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(t)
	return b.Bytes(), err
}

func isTransactionName(name string) bool {
	rest, ok := strings.CutPrefix(name, transactionPrefix)
	return ok && len(rest) == transactionNameLen && strings.Trim(rest, "0123456789abcdef") == ""
}
