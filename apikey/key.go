// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Key is an API key without its secrets. It is safe to log and to show to its
// owner.
type Key struct {
	// ID is the public identifier of the key.
	ID string `json:"id"`

	// Owner is the Subject of the principals that use the key.
	Owner string `json:"owner"`
	// Tenant is the customer that the key belongs to, "" for none.
	Tenant string `json:"tenant,omitzero"`
	// Environment is the environment that accepts the key, such as "live".
	Environment string `json:"environment"`
	// Scopes are the scopes of the key.
	Scopes gatehouse.Scopes `json:"scopes"`
	// Networks are the client networks that may use the key, all if empty.
	Networks []netip.Prefix `json:"networks,omitempty"`
	// Metadata is the data that the application stored with the key.
	Metadata gatehouse.Claims `json:"metadata,omitzero"`

	// Lifetime is the lifetime of each secret. In JSON it is a number of seconds.
	Lifetime time.Duration `json:"lifetime"`

	// Created is the time of creation, Rotated that of the newest secret.
	Created time.Time `json:"created"`
	Rotated time.Time `json:"rotated"`
	// Expires is the expiry of the newest secret. Rotation moves it.
	Expires time.Time `json:"expires"`
	// GraceEnds is the expiry of the previous secret, zero if there is none. It is
	// not cleared after that time.
	GraceEnds time.Time `json:"grace_ends,omitzero"`
	// Revoked is the time of revocation, zero if the key is not revoked.
	Revoked time.Time `json:"revoked,omitzero"`
	// Suspended is the time of suspension, zero if the key is not suspended.
	Suspended time.Time `json:"suspended,omitzero"`

	// Generation counts the secrets of the key: 1 for a new key.
	Generation int64 `json:"generation"`

	// LastUsed is the time of the last use, accurate to about a minute, zero if
	// the key was never used. Uses is the number of uses. A process that exits
	// loses the uses since its last write to the store.
	LastUsed time.Time `json:"last_used,omitzero"`
	Uses     int64     `json:"uses"`
}

// String returns the ID.
func (k Key) String() string { return k.ID }

// MarshalJSON implements [json.Marshaler]. Times that are not set are omitted.
func (k Key) MarshalJSON() ([]byte, error) {
	type fields Key // without methods
	return json.Marshal(struct {
		fields
		Lifetime float64 `json:"lifetime"`
	}{fields(k), k.Lifetime.Seconds()})
}

// LogValue implements [slog.LogValuer].
func (k Key) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("id", k.ID), slog.String("owner", k.Owner), slog.String("environment", k.Environment),
		slog.String("scopes", k.Scopes.String()), slog.Time("expires", k.Expires),
	}
	if k.Tenant != "" {
		attrs = slices.Insert(attrs, 2, slog.String("tenant", k.Tenant))
	}
	for _, t := range []slog.Attr{slog.Time("grace_ends", k.GraceEnds), slog.Time("revoked", k.Revoked), slog.Time("suspended", k.Suspended)} {
		if !t.Value.Time().IsZero() {
			attrs = append(attrs, t)
		}
	}
	return slog.GroupValue(attrs...)
}
