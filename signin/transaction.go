// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/cookies"
	"github.com/gatehouse-go/gatehouse/oauth"
)

const (
	// transactionLifetime is the maximum duration of a login.
	transactionLifetime = 10 * time.Minute

	// cookieLifetime is the time for which the browser keeps the cookie of a transaction. A
	// user who returns up to 10 minutes too late must log in again, and then gets to the
	// intended page.
	cookieLifetime = 2 * transactionLifetime

	// maxTransactions and maxTransactionBytes bound the pending logins of one browser and
	// their cookies: any site can redirect a browser to the login repeatedly, and many
	// servers reject requests with 8 KB of cookies.
	maxTransactions     = 5
	maxTransactionBytes = 6 << 10

	// maxUnverified and maxUnverifiedBytes bound the cookies with names of transactions
	// that are read from one request, because a client can send any number.
	maxUnverified      = 4 * maxTransactions
	maxUnverifiedBytes = 2 * maxTransactionBytes

	transactionPrefix  = "tx-"
	transactionNameLen = 8

	// transactionPurpose is the same for all issuers, so that a response at the
	// wrong callback is reported as a mix-up. The transaction names the issuer.
	transactionPurpose = "signin transaction"
)

// pending is the content of the cookie of a pending login.
type pending struct {
	OAuth    json.RawMessage `json:"oauth"` // of oauth.Transaction.Secret
	ReturnTo string          `json:"return_to"`
	Begun    int64           `json:"begun"` // in milliseconds
	Asked    wish            `json:"asked,omitzero"`
	Remember bool            `json:"remember,omitempty"`
}

// transactionName returns the name of the cookie of a transaction, without its
// prefix. It does not reveal the state.
func transactionName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return transactionPrefix + hex.EncodeToString(sum[:])[:transactionNameLen]
}

func isTransactionName(name string) bool {
	rest, ok := strings.CutPrefix(name, transactionPrefix)
	return ok && len(rest) == transactionNameLen && strings.Trim(rest, "0123456789abcdef") == ""
}

// hasTransaction reports whether r has the cookie of the transaction of a state.
func hasTransaction(r *http.Request, state string) bool {
	for range cookies.Named(r.Header["Cookie"], cookie.PrefixHostHTTP.String()+transactionName(state)) {
		return true
	}
	return false
}

// transactionCookie returns the cookie of a transaction. It is SameSite=Lax: the callback
// is a cross-site navigation, and browsers do not send Strict cookies with it.
//
// Implements RFC 9700 §2.1.1 (transaction), §4.7.1; ASVS 5.0 §10.1.2.
func (h *Handler) transactionCookie(name string) (*cookie.Sealed, error) {
	config := cookie.Config{Name: name, SameSite: http.SameSiteLaxMode, MaxAge: cookieLifetime}
	if h.partitioned {
		config.SameSite, config.Partitioned = http.SameSiteNoneMode, true
	}
	return cookie.NewSealed(cookie.SealedConfig{Cookie: config, Keys: h.keys, Purpose: transactionPurpose, Lifetime: cookieLifetime})
}

// remember sets the cookie of a transaction. Each transaction has its own, so that
// logins in several tabs do not interfere.
//
// Implements RFC 9700 §2.1.1 (transaction).
func (h *Handler) remember(w http.ResponseWriter, r *http.Request, t *oauth.Transaction, p pending) error {
	p.OAuth, p.Begun = t.Secret().Reveal(), time.Now().UnixMilli()
	// Without HTML escapes, which can make a return_to six times as long.
	var value bytes.Buffer
	encoder := json.NewEncoder(&value)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil {
		return err
	}
	sealed, err := h.transactionCookie(transactionName(t.State))
	if err != nil {
		return err
	}
	own := transactionsOf(r)
	h.evict(w, own, value.Len()*4/3)
	return sealed.Set(w, own, value.Bytes())
}

// recall returns the transaction of a response, and deletes its cookie. With an error, the
// result contains the return_to of the login, if it is known.
//
// Implements RFC 6749 §4.1.2 (once), §10.12; RFC 9700 §2.1 (CSRF); ASVS 5.0
// §10.1.2, §10.2.1.
func (h *Handler) recall(w http.ResponseWriter, r *http.Request, response url.Values) (*oauth.Transaction, pending, error) {
	states := response["state"]
	if len(states) != 1 {
		return nil, pending{}, errState
	}
	sealed, err := h.transactionCookie(transactionName(states[0]))
	if err != nil {
		return nil, pending{}, err
	}
	value, err := sealed.Open(r)
	if err != nil {
		return nil, pending{}, err
	}
	sealed.Clear(w, r)
	var p pending
	if err := json.Unmarshal(value, &p); err != nil {
		return nil, pending{}, errTransaction
	}
	t, err := oauth.ParseTransaction(gatehouse.NewSecret(p.OAuth))
	switch {
	case err != nil: // Redeem compares the whole state: cookie names are too short
		return nil, pending{}, errTransaction
	case time.Since(time.UnixMilli(p.Begun)) >= transactionLifetime:
		return nil, p, errLate
	}
	return t, p, nil
}

// transactionsOf returns a request that has, of the cookies of r, only transactions, up
// to the limits. So other cookies are searched only once.
func transactionsOf(r *http.Request) *http.Request {
	var kept []string
	size := 0
	for name, value := range cookies.Named(r.Header["Cookie"], cookie.PrefixHostHTTP.String()+transactionPrefix) {
		if size+len(name)+len(value) > maxUnverifiedBytes {
			continue
		}
		kept = append(kept, name+"="+value)
		if size += len(name) + len(value); len(kept) == maxUnverified {
			break
		}
	}
	return &http.Request{Header: http.Header{"Cookie": {strings.Join(kept, "; ")}}}
}

// evict deletes the oldest transactions of r, so that a new one of the given size is
// within the limits. Cookies that do not open count as the oldest.
func (h *Handler) evict(w http.ResponseWriter, r *http.Request, size int) {
	type candidate struct {
		cookie *cookie.Sealed
		size   int
		begun  int64
	}
	var all []candidate
	sizes := make(map[string]int)
	for _, c := range r.Cookies() {
		name, ok := strings.CutPrefix(c.Name, cookie.PrefixHostHTTP.String())
		name, _, _ = strings.Cut(name, ".") // the name of a part of a large value
		if ok && isTransactionName(name) {
			sizes[name] += len(c.Name) + len(c.Value)
		}
	}
	for name, n := range sizes {
		size += n
		sealed, err := h.transactionCookie(name)
		if err != nil {
			continue
		}
		one := candidate{cookie: sealed, size: n}
		if value, err := sealed.Open(r); err == nil {
			var p pending
			if err := json.Unmarshal(value, &p); err == nil {
				one.begun = p.Begun
			}
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.begun, b.begun) })
	for len(all) >= maxTransactions || len(all) > 0 && size > maxTransactionBytes {
		all[0].cookie.Clear(w, r)
		size -= all[0].size
		all = all[1:]
	}
}
