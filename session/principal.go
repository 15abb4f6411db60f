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

	// maxName bounds a Subject, an Issuer and a SID, in bytes. Stores index them.
	maxName = 512
)

// checkPrincipal returns why a principal cannot have a session.
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

// encodePrincipal returns a principal as JSON, without the fields that follow from
// the session.
func encodePrincipal(p gatehouse.Principal) (string, error) {
	if p.Kind == "" {
		p.Kind = gatehouse.KindUser
	}
	p.AuthTime = p.AuthTime.UTC().Truncate(time.Second)
	p.Subject, p.Issuer, p.Method, p.Credential, p.Expires = "", "", "", "", time.Time{}
	encoded, err := json.Marshal(p)
	if len(encoded) > maxPrincipal {
		err = fmt.Errorf("%d bytes as JSON, want at most %d", len(encoded), maxPrincipal)
	}
	if err != nil {
		return "", fmt.Errorf("session: Principal: %w", err)
	}
	return string(encoded), nil
}

func decodePrincipal(r *Record) (*gatehouse.Principal, error) {
	p := new(gatehouse.Principal)
	if err := json.Unmarshal([]byte(r.Principal), p); err != nil {
		return nil, fmt.Errorf("session: stored principal: %w", err)
	}
	p.Subject, p.Issuer, p.Method, p.Credential, p.Expires = r.Subject, r.Issuer, Method, r.ID, r.Expires
	return p, nil
}

// narrow removes from a stored principal the scopes that the old tokens of its
// session had and the new ones do not have: the authorization server revoked them.
//
//	RFC 6749 §5.1: the scope is "REQUIRED" in the answer if it is not "identical to
//	the scope requested by the client".
func narrow(principal string, before, after gatehouse.Scopes) (string, error) {
	if after.HasAll(before) {
		return principal, nil
	}
	var p gatehouse.Principal
	if err := json.Unmarshal([]byte(principal), &p); err != nil {
		return "", fmt.Errorf("session: stored principal: %w", err)
	}
	var left []string
	for scope := range p.Scopes.All() {
		if !before.Has(scope) || after.Has(scope) {
			left = append(left, scope)
		}
	}
	var err error
	if p.Scopes, err = gatehouse.ParseScopes(strings.Join(left, " ")); err != nil {
		return "", err
	}
	return encodePrincipal(p)
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
	p, err := decodePrincipal(r)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known.Limit, c.known.Expires = maxCached, func(c *cached) time.Time { return c.principal.Expires }
	c.known.Cache(r.ID, cached{r.Version, p})
	return p, nil
}
