// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/expiring"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

const (
	// maxPrincipal bounds a stored principal, in bytes.
	maxPrincipal = 16 << 10

	// maxData bounds the values of the application in one session, in bytes.
	maxData = 16 << 10

	// maxName bounds a Subject, an Issuer and a SID, in bytes. Stores index them.
	maxName = 512
)

// checkPrincipal returns an error if a principal cannot have a session.
func checkPrincipal(p gatehouse.Principal) error {
	for _, name := range []string{p.Subject, p.Issuer} {
		if name == "" || !text.IsClean(name, maxName) {
			return fmt.Errorf("session: Principal: Subject and Issuer: required, at most %d bytes without control characters", maxName)
		}
	}
	if p.Binding != "" {
		return errors.New("session: Principal.Binding: a sender-constrained credential cannot start a session, whose cookie is bound to no key")
	}
	return nil
}

// content is the content of [Record].Principal. Stores do not read it.
type content struct {
	Principal *gatehouse.Principal `json:"principal"` // without the fields that follow from the session
	// Persistent says whether the browser keeps the cookie, for Renew.
	Persistent bool `json:"persistent,omitempty"`
	// Data are the values of the application, by name: see [Data].
	Data map[string]json.RawMessage `json:"data,omitempty"`
}

// setPrincipal replaces the principal, without the fields that follow from the session.
func (c *content) setPrincipal(p gatehouse.Principal) {
	if p.Kind == "" {
		p.Kind = gatehouse.KindUser
	}
	p.AuthTime = p.AuthTime.UTC().Truncate(time.Second)
	p.Subject, p.Issuer, p.Method, p.Credential, p.Expires = "", "", "", "", time.Time{}
	c.Principal = &p
}

// encode returns the text for the store. The limits of the principal and of the data are
// separate.
func (c *content) encode() (string, error) {
	for _, part := range []struct {
		name  string
		value any
		limit int
	}{{"Principal", c.Principal, maxPrincipal}, {"Data", c.Data, maxData}} {
		encoded, err := json.Marshal(part.value)
		if err == nil && len(encoded) > part.limit {
			err = fmt.Errorf("%d bytes as JSON, want at most %d", len(encoded), part.limit)
		}
		if err != nil {
			return "", fmt.Errorf("session: %s: %w", part.name, err)
		}
	}
	encoded, err := json.Marshal(c)
	return string(encoded), err
}

// decodeContent returns the content of a record, with a whole principal.
func decodeContent(r *Record) (content, error) {
	var c content
	err := json.Unmarshal([]byte(r.Principal), &c)
	if err == nil && c.Principal == nil {
		err = errors.New("no principal")
	}
	if err != nil {
		return content{}, fmt.Errorf("session: stored principal: %w", err)
	}
	p := c.Principal
	p.Subject, p.Issuer, p.Method, p.Credential, p.Expires = r.Subject, r.Issuer, Method, r.ID, r.Expires
	return c, nil
}

// narrow removes from the stored principal of a record the scopes that the old tokens
// of its session had and the new ones do not have: the authorization server revoked
// them. It returns the text for the store.
//
//	RFC 6749 §5.1: the scope is "REQUIRED" in the answer if it is not "identical to
//	the scope requested by the client".
func narrow(r *Record, before, after gatehouse.Scopes) (string, error) {
	if after.HasAll(before) {
		return r.Principal, nil
	}
	c, err := decodeContent(r)
	if err != nil {
		return "", err
	}
	var left []string
	for scope := range c.Principal.Scopes.All() {
		if !before.Has(scope) || after.Has(scope) {
			left = append(left, scope)
		}
	}
	if c.Principal.Scopes, err = gatehouse.ParseScopes(strings.Join(left, " ")); err != nil {
		return "", err
	}
	c.setPrincipal(*c.Principal)
	return c.encode()
}

// maxCached bounds the cache of principals.
const maxCached = 8192

// principals caches decoded principals by session ID. A cached principal is used
// only for the Version of the record that the store has just returned.
type principals struct {
	mu    sync.RWMutex
	known expiring.Map[string, struct{}, cached]
}

type cached struct {
	version   int64
	principal *gatehouse.Principal
}

// principal returns the principal of a record. It is shared and must not be
// changed.
func (c *principals) principal(r *Record) (*gatehouse.Principal, error) {
	c.mu.RLock()
	found, _ := c.known.Get(r.ID)
	c.mu.RUnlock()
	if found.principal != nil && found.version == r.Version {
		return found.principal, nil
	}
	decoded, err := decodeContent(r)
	if err != nil {
		return nil, err
	}
	p := decoded.Principal
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known.Limit, c.known.Expires = maxCached, func(c *cached) time.Time { return c.principal.Expires }
	c.known.Cache(r.ID, cached{r.Version, p})
	return p, nil
}
