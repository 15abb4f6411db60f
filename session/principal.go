// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse"
)

// kept is what is stored of a principal. The rest follows from the session.
type kept struct {
	Kind        gatehouse.Kind    `json:"kind"`
	Tenant      string            `json:"tenant,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Client      string            `json:"client_id,omitempty"`
	Scopes      string            `json:"scope,omitempty"`
	Roles       []string          `json:"roles,omitempty"`
	Actors      []gatehouse.Actor `json:"act,omitempty"`
	AuthTime    int64             `json:"auth_time,omitempty"`
	Claims      json.RawMessage   `json:"claims,omitempty"`
}

// maxPrincipal bounds what is stored of a principal, in bytes.
const maxPrincipal = 16 << 10

// maxName bounds a Subject, an Issuer and a SID, in bytes. Stores have them in
// indexes.
const maxName = 512

// checkPrincipal says why there can be no session of p.
func checkPrincipal(p gatehouse.Principal) error {
	for _, text := range []string{p.Subject, p.Issuer} {
		if text == "" || !isText(text, maxName) {
			return fmt.Errorf("session: the principal needs a Subject and an Issuer, of at most %d bytes without control characters", maxName)
		}
	}
	if p.Binding != gatehouse.BindingNone {
		return errors.New("session: the principal is bound to a key, and a cookie is not")
	}
	return nil
}

// isText reports whether stores can keep the text, and logs can show it.
func isText(text string, limit int) bool {
	return len(text) <= limit && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func encodePrincipal(p gatehouse.Principal) (string, error) {
	k := kept{
		Kind: p.Kind, Tenant: p.Tenant, Environment: p.Environment, Client: p.Client, Scopes: p.Scopes.String(),
		Roles: slices.Collect(p.Roles.All()), Actors: slices.Collect(p.Actors.All()), Claims: json.RawMessage(p.Claims.String()),
	}
	if k.Kind == "" {
		k.Kind = gatehouse.KindUser
	}
	if !p.AuthTime.IsZero() {
		k.AuthTime = p.AuthTime.Unix()
	}
	text, err := json.Marshal(k)
	if len(text) > maxPrincipal {
		err = fmt.Errorf("has %d bytes as JSON, at most %d are kept", len(text), maxPrincipal)
	}
	if err != nil {
		return "", fmt.Errorf("session: the principal: %w", err)
	}
	return string(text), nil
}

func decodePrincipal(r *Record) (*gatehouse.Principal, error) {
	var k kept
	if err := json.Unmarshal([]byte(r.Principal), &k); err != nil {
		return nil, errPrincipal
	}
	scopes, err1 := gatehouse.ParseScopes(k.Scopes)
	roles, err2 := gatehouse.NewRoles(k.Roles...)
	claims, err3 := gatehouse.NewClaims(string(k.Claims))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("session: the stored principal: %w", err)
	}
	p := &gatehouse.Principal{
		Kind: k.Kind, Subject: r.Subject, Issuer: r.Issuer, Tenant: k.Tenant, Environment: k.Environment, Client: k.Client,
		Method: gatehouse.MethodSession, Credential: r.ID, Scopes: scopes, Roles: roles,
		Actors: gatehouse.NewActors(k.Actors...), Expires: r.Expires, Claims: claims,
	}
	if k.AuthTime != 0 {
		p.AuthTime = time.Unix(k.AuthTime, 0).UTC()
	}
	return p, nil
}

// narrow takes from a stored principal the scopes that the tokens of its session
// have had before and have no more: what the authorization server has taken back,
// nobody may go on with for as long as the session lasts.
//
//	RFC 6749 §5.1: the scope is "REQUIRED" in the answer if it is not "identical to
//	the scope requested by the client".
func narrow(principal string, before, after gatehouse.Scopes) (string, error) {
	if after.HasAll(before) {
		return principal, nil
	}
	var k kept
	if err := json.Unmarshal([]byte(principal), &k); err != nil {
		return "", errPrincipal
	}
	scopes, err := gatehouse.ParseScopes(k.Scopes)
	if err != nil {
		return "", errPrincipal
	}
	var left []string
	for scope := range scopes.All() {
		if !before.Has(scope) || after.Has(scope) {
			left = append(left, scope)
		}
	}
	k.Scopes = strings.Join(left, " ")
	text, err := json.Marshal(k)
	return string(text), err
}

var errPrincipal = errors.New("session: the stored principal cannot be read")

// maxKnown bounds each of the two generations of principals.
const maxKnown = 4096

// principals remembers what was made of records, so that a session in use is
// not decoded in each of its requests. It answers nothing by itself: the store
// has been asked for the record, and a principal is good for one Version of it.
type principals struct {
	mu         sync.RWMutex
	young, old map[string]known // by ID
}

type known struct {
	version   int64
	principal *gatehouse.Principal
}

func (k *principals) of(r *Record) (*gatehouse.Principal, error) {
	k.mu.RLock()
	found, ok := k.young[r.ID]
	if !ok {
		found = k.old[r.ID]
	}
	k.mu.RUnlock()
	if found.version == r.Version {
		return found.principal, nil
	}
	p, err := decodePrincipal(r)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.young) >= maxKnown || k.young == nil {
		k.young, k.old = make(map[string]known), k.young
	}
	k.young[r.ID] = known{r.Version, p}
	return p, nil
}
