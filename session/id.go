// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// secretBytes are those of what is in the cookie.
const secretBytes = 32

// textLength is that of secretBytes, and of a SHA-256, in base64url.
const textLength = 43

var encoding = base64.RawURLEncoding.Strict()

// newSecret returns what goes into the cookie of a new session, and the id that
// the store finds the session by.
func (m *Manager) newSecret() (secret, id string) {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	return encoding.EncodeToString(b[:]), idOf(m.cookie.Name(), b[:])
}

// idOf returns the SHA-256 of the name of a cookie and the secret in it: who
// reads the store, a backup or a log cannot sign in with what is there. By the
// name, what is good in one cookie is nothing in another, where two managers
// share a store.
func idOf(name string, secret []byte) string {
	var room [128]byte // a conversion would be an allocation
	sum := sha256.Sum256(append(append(append(room[:0], name...), 0), secret...))
	return encoding.EncodeToString(sum[:])
}

// presented returns the id that the cookie of the request stands for. The error
// is [http.ErrNoCookie] or a [*gatehouse.Error].
func (m *Manager) presented(r *http.Request) (string, error) {
	text, err := m.cookie.Read(r)
	if err != nil {
		return "", err
	}
	var b [secretBytes]byte
	if len(text) != textLength {
		return "", errMalformed
	}
	if _, err := encoding.Decode(b[:], []byte(text)); err != nil {
		return "", errMalformed
	}
	return idOf(m.cookie.Name(), b[:]), nil
}

var errMalformed = &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonCookieMalformed}

// current returns the id of the session that the request is of, as the gate has
// found it or as the cookie says, and "" if it is of none. A cookie that is bad is
// that of none.
func (m *Manager) current(r *http.Request) string {
	if p, _ := gatehouse.FromContext(r.Context()); p.Method == gatehouse.MethodSession {
		return p.Credential
	}
	id, _ := m.presented(r)
	return id
}
