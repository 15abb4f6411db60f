// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/navigation"
)

var _ gatehouse.Authenticator = (*Manager)(nil)

// Reads declares the session cookie.
func (m *Manager) Reads() gatehouse.Reads {
	return gatehouse.Reads{Cookies: []string{m.cookie.Name()}, Rechecks: true}
}

// Authenticate returns the principal of the session of the cookie. It returns
// [gatehouse.ErrNoCredentials] if there is no cookie.
//
// It first rejects cross-site requests (CSRF) with 403: see [cookie.CrossSite].
// An expired or ended session is rejected with 401 and never treated as
// missing. If such a request is a navigation, the response deletes the cookie;
// other responses do not, because they could delete the cookie of a session
// that was renewed concurrently.
//
// A request whose header [UserHeader] names another user is rejected with 409.
//
// Implements RFC 10017 §6.1.3.3; ASVS 5.0 §7.2.1.
func (m *Manager) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	id, err := m.presented(r)
	if errors.Is(err, http.ErrNoCookie) {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	// This check comes first, so that another site learns nothing about the cookie.
	if err := m.sites.Check(r); err != nil {
		return gatehouse.Proof{}, err
	}
	if err != nil {
		return gatehouse.Proof{}, m.clearing(r, err)
	}
	record, err := m.store.Get(r.Context(), id)
	if err != nil {
		return gatehouse.Proof{}, m.clearing(r, storeError(id, err))
	}
	if every := min(record.Idle/10, maxTouch); record.AsOf.Sub(record.LastSeen) >= every && !gatehouse.IsRecheck(r.Context()) {
		// If this fails, the session expires earlier.
		_, _ = m.store.Touch(r.Context(), id, every)
	}
	p, err := m.cache.principal(&record)
	if err != nil {
		return gatehouse.Proof{}, unavailable(id, err)
	}
	if err := checkUser(r.Header[UserHeader], *p); err != nil {
		return gatehouse.Proof{}, err
	}
	return gatehouse.NewProof(p), nil
}

// clearing makes the 401 for a navigation delete the cookie.
func (m *Manager) clearing(r *http.Request, err error) error {
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok || e.Code.Status() != http.StatusUnauthorized || !navigation.Is(r) {
		return err
	}
	clearing := *e
	clearing.Header = m.removal
	return &clearing
}

// headerWriter is a response writer that has only a header, for cookies.
type headerWriter http.Header

func (h headerWriter) Header() http.Header       { return http.Header(h) }
func (h headerWriter) Write([]byte) (int, error) { return 0, http.ErrNotSupported }
func (h headerWriter) WriteHeader(int)           {}

const (
	// secretBytes is the length of the secret in the cookie.
	secretBytes = 32
	// textLength is the length of a secret, and of a SHA-256, in base64url.
	textLength = 43
)

// newSecret returns the value of the cookie of a new session, and its ID in the
// store.
//
// Implements ASVS 5.0 §7.2.2, §7.2.3.
func (m *Manager) newSecret() (secret, id string) {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:]), idOf(m.cookie.Name(), b[:])
}

// idOf returns the SHA-256 of the name of a cookie and the secret in it: a reader of the
// store, a backup or a log cannot use the session. The name separates the sessions of two
// managers on one store.
func idOf(name string, secret []byte) string {
	var buffer [128]byte // avoids an allocation
	sum := sha256.Sum256(append(append(append(buffer[:0], name...), 0), secret...))
	return string(base64.RawURLEncoding.AppendEncode(buffer[:0], sum[:]))
}

// presented returns the ID of the session of the cookie. The error is [http.ErrNoCookie]
// or a [*gatehouse.Error].
func (m *Manager) presented(r *http.Request) (string, error) {
	text, err := m.cookie.Read(r)
	if err != nil {
		return "", err
	}
	var buffer [secretBytes]byte
	if len(text) != textLength {
		return "", errMalformed
	}
	secret, err := base64url.Decode(buffer[:0], text)
	if err != nil {
		return "", errMalformed
	}
	return idOf(m.cookie.Name(), secret), nil
}

var errMalformed = &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: ReasonMalformed}

// current returns the ID of the session of the request, from the gate or from the cookie.
// It is "" if there is no session or the cookie is invalid.
func (m *Manager) current(r *http.Request) string {
	if p, _ := gatehouse.FromContext(r.Context()); p.Method == Method {
		return p.Credential
	}
	id, _ := m.presented(r)
	return id
}
