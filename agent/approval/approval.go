// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Approval is a request for approval with its decisions. It contains no secret.
type Approval struct {
	// ID identifies the approval. It is random and safe to log.
	ID string

	Call
	Rule

	// Created is the time of the request. From Expires on the approval can be neither
	// decided nor used.
	Created, Expires time.Time
	// Used is the time of the claim, zero before.
	Used time.Time

	// Decisions are the decisions in order, at most one for each person.
	Decisions []Decision

	// AsOf is the store's time at which the approval was read.
	AsOf time.Time
}

// Digest is the SHA-256 of the canonical JSON of a [Call] and a [Rule].
type Digest [sha256.Size]byte

// Digest returns the digest that binds the approval to its Call and Rule: an approval
// under one rule is void under another rule. Approvals with different Calls or Rules have
// different digests.
func (a Approval) Digest() Digest {
	// The members are in the order of RFC 8785, and Arguments are canonical.
	b := make([]byte, 0, 512)
	member := func(name, value string) { b = appendString(append(b, name...), value) }
	member(`{"actor":`, a.Actor.String())
	h := sha256.New()
	_, _ = h.Write(append(b, `,"arguments":`...))
	_, _ = h.Write([]byte(a.Arguments))
	b = b[:0]
	b = strconv.AppendBool(append(b, `,"rule":{"consent":`...), a.Consent)
	b = strconv.AppendInt(append(b, `,"count":`...), int64(a.count()), 10)
	b = append(b, `,"roles":[`...)
	separator := ""
	for role := range a.Roles.All() {
		member(separator, role)
		separator = ","
	}
	member(`]},"subject":`, a.Subject.String())
	member(`,"tenant":`, a.Tenant)
	member(`,"tool":`, a.Tool)
	member(`,"version":`, a.Version)
	_, _ = h.Write(append(b, '}'))
	return Digest(h.Sum(nil))
}

// Decision is the decision of one person.
type Decision struct {
	Decider gatehouse.Key
	Approve bool
	Comment string // the reason that the person gave, "" for none: untrusted text with any character
	Time    time.Time
}

// Status is the state of an approval.
type Status string

// The states of an approval. Only Pending and Approved change.
const (
	Pending  Status = "pending"  // more persons must decide
	Approved Status = "approved" // it can be claimed
	Denied   Status = "denied"   // one person denied it
	Used     Status = "used"     // it was claimed
	Expired  Status = "expired"  // it was neither denied nor used in time
)

// Status returns the state at the time AsOf.
func (a Approval) Status() Status {
	switch {
	case !a.Used.IsZero():
		return Used
	case slices.ContainsFunc(a.Decisions, func(d Decision) bool { return !d.Approve }):
		return Denied
	case !a.Expires.After(a.AsOf):
		return Expired
	case len(a.Decisions) >= a.count():
		return Approved
	}
	return Pending
}

// Decided reports whether a person has decided.
func (a Approval) Decided(person gatehouse.Key) bool {
	return slices.ContainsFunc(a.Decisions, func(d Decision) bool { return d.Decider == person })
}

// MarshalJSON returns the form of the JSON API: an object with the members id, tool,
// arguments, subject, actor, tenant, status and expires. Arguments that a list omits are
// null.
func (a Approval) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID        string          `json:"id"`
		Tool      string          `json:"tool"`
		Arguments json.RawMessage `json:"arguments"`
		Subject   string          `json:"subject"`
		Actor     string          `json:"actor"`
		Tenant    string          `json:"tenant"`
		Status    Status          `json:"status"`
		Expires   time.Time       `json:"expires"`
	}{
		a.ID, a.Tool, json.RawMessage(cmp.Or(a.Arguments, "null")), a.Subject.Subject, a.Actor.Subject, a.Tenant, a.Status(), a.Expires.UTC().Truncate(time.Second),
	})
}
