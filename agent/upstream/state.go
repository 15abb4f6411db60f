// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
)

// errRecord means that the record in the store is not one that a Rotator wrote.
var errRecord = errors.New("upstream: the record in the store is malformed")

// stage is a stage in the life of a credential.
type stage string

const (
	creating stage = "creating" // the provider may have created it
	created  stage = "created"  // the provider created it, and no call uses it yet
	active   stage = "active"   // new calls use it
	draining stage = "draining" // calls that began earlier may use it
	revoking stage = "revoking" // the provider may have revoked it
)

// state is the content of the record. All times are those of the store's clock.
type state struct {
	// Lease is the right of one node to do the steps.
	Lease lease `json:"lease"`
	// Versions are the credentials that the provider has or may have.
	Versions []version `json:"versions"`
	// Nodes are the processes and the credentials that they use.
	Nodes map[string]node `json:"nodes"`
	// Replace is the ID of the active credential if it must be replaced.
	Replace string `json:"replace,omitempty"`
	// Retry is the time at which the next credential may be created after a failure.
	Retry time.Time `json:"retry"`
	// Failures counts consecutive failed creations.
	Failures int `json:"failures,omitempty"`
	// Closed is set by Decommission.
	Closed bool `json:"closed,omitempty"`
}

type lease struct {
	Node    string    `json:"node"`
	Expires time.Time `json:"expires"`
}

type version struct {
	ID     string `json:"id"`
	Stage  stage  `json:"stage"`
	Sealed string `json:"sealed,omitempty"`
	// Created is when the creation began, Since when the stage began.
	Created time.Time `json:"created"`
	Since   time.Time `json:"since"`
	// Next is the time at which the next step may be tried.
	Next time.Time `json:"next"`
	// Failures counts the failures of the step.
	Failures int `json:"failures,omitempty"`
	// Dead is true if the provider rejects the credential: no call needs it.
	Dead bool `json:"dead,omitempty"`

	secret gatehouse.Secret // from Sealed
}

// node is a process that uses credentials. They are not revoked before the process
// releases them or Expires.
type node struct {
	Uses    []string  `json:"uses"`
	Expires time.Time `json:"expires"`
}

// find returns the credential with an ID, nil if there is none.
func (s *state) find(id string) *version {
	for i := range s.Versions {
		if s.Versions[i].ID == id {
			return &s.Versions[i]
		}
	}
	return nil
}

// at returns a credential in a stage, nil if there is none.
func (s *state) at(of stage) *version {
	for i := range s.Versions {
		if s.Versions[i].Stage == of {
			return &s.Versions[i]
		}
	}
	return nil
}

func (s *state) remove(id string) {
	s.Versions = slices.DeleteFunc(s.Versions, func(v version) bool { return v.ID == id })
}

// inUse reports whether a process has a hold on a credential.
func (s *state) inUse(id string, now time.Time) bool {
	for _, n := range s.Nodes {
		if now.Before(n.Expires) && slices.Contains(n.Uses, id) {
			return true
		}
	}
	return false
}

// forget removes the holds of processes that have ended.
func (s *state) forget(now time.Time) {
	maps.DeleteFunc(s.Nodes, func(_ string, n node) bool { return !now.Before(n.Expires) })
}

// move puts a credential into a stage.
func (v *version) move(to stage, now time.Time) {
	v.Stage, v.Since, v.Next, v.Failures = to, now, now, 0
}

// forever is the expiry of the seals: a credential is needed until it is revoked.
var forever = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

const sealPurpose = "gatehouse upstream credential "

// encode seals all credentials with the first key of the keyring, so that a previous key
// is needed only until the next write.
func (s *state) encode(name string, keys *cookie.Keyring) ([]byte, error) {
	for i := range s.Versions {
		v := &s.Versions[i]
		if v.Sealed = ""; v.secret.Len() > 0 {
			v.Sealed = keys.Seal(name, sealPurpose+v.ID, v.secret.Reveal(), forever)
		}
	}
	data, err := json.Marshal(s)
	if err == nil && len(data) > MaxRecordBytes {
		err = fmt.Errorf("upstream: the record of %d nodes has more than %d bytes", len(s.Nodes), MaxRecordBytes)
	}
	return data, err
}

func decode(data []byte, name string, keys *cookie.Keyring) (*state, error) {
	s := &state{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, s); err != nil {
			return nil, errRecord
		}
	}
	for i := range s.Versions {
		v := &s.Versions[i]
		if v.Sealed == "" {
			continue
		}
		secret, err := keys.Open(name, sealPurpose+v.ID, v.Sealed)
		if err != nil {
			return nil, err
		}
		v.secret = gatehouse.NewSecret(secret)
	}
	return s, nil
}
