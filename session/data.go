// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Data is a value of type T that each session has under a name, such as a cart, a wizard
// or messages for the next page (flash messages). A session without the value has the
// zero value of T, and a zero value is removed.
//
// The store keeps it as JSON, not sealed: put no secrets there. All values of a session
// have at most 16 KB together. They end with the session. [Manager.Renew] and a login of
// the same user in the same browser keep them; a login of another user does not.
//
// The methods are safe for concurrent use, by several processes too, and no change is
// lost. They take the context of a request that a gate has authenticated by a session,
// and read the store on each call. A change waits while the tokens of the session are
// refreshed. The error is a [*gatehouse.Error] as for [Manager.Tokens]. It is another
// error if T cannot be encoded as JSON, the stored value has another type, or the values
// are too large. After an error nothing is changed.
type Data[T any] struct {
	// Sessions are the sessions. Required.
	Sessions *Manager
	// Name is the name of the value, one for each type. Required.
	Name string
}

// Get returns the value.
func (d Data[T]) Get(ctx context.Context) (T, error) {
	var value T
	id, err := d.session(ctx)
	if err != nil {
		return value, err
	}
	record, err := d.Sessions.store.Get(ctx, id)
	if err != nil {
		return value, storeError(id, err)
	}
	c, err := decodeContent(&record)
	if err != nil {
		return value, unavailable(id, err)
	}
	return d.decode(c.Data[d.Name])
}

// Set replaces the value. To change a part of it use Update: otherwise concurrent
// requests overwrite each other's changes.
func (d Data[T]) Set(ctx context.Context, value T) error {
	return d.Update(ctx, func(old *T) error { *old = value; return nil })
}

// Take returns the value and removes it, such as for a message that is shown once. Of
// several concurrent calls, one gets it.
func (d Data[T]) Take(ctx context.Context) (T, error) {
	var taken T
	err := d.Update(ctx, func(value *T) error {
		var none T
		taken, *value = *value, none
		return nil
	})
	return taken, err
}

// Update calls change with the value and stores the result. If another request changes
// the session at the same time, it calls change again, with the new value. If change
// returns an error, Update returns it and stores nothing.
func (d Data[T]) Update(ctx context.Context, change func(*T) error) error {
	id, err := d.session(ctx)
	if err != nil {
		return err
	}
	for {
		record, err := d.Sessions.unclaimed(ctx, id)
		if err != nil {
			return storeError(id, err)
		}
		c, err := decodeContent(&record)
		if err != nil {
			return unavailable(id, err)
		}
		before := string(c.Data[d.Name])
		if err := d.apply(&c, change); err != nil {
			return err
		}
		if string(c.Data[d.Name]) == before {
			return nil
		}
		c.setPrincipal(*c.Principal)
		principal, err := c.encode()
		if err != nil {
			return err
		}
		_, err = d.Sessions.store.Swap(ctx, id, record.Version, Change{ID: id, Principal: principal, Tokens: record.Tokens})
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return storeError(id, err)
		}
		return nil
	}
}

// apply changes the value in c.
func (d Data[T]) apply(c *content, change func(*T) error) error {
	value, err := d.decode(c.Data[d.Name])
	if err != nil {
		return err
	}
	if err := change(&value); err != nil {
		return err
	}
	if v := reflect.ValueOf(&value).Elem(); v.IsZero() {
		delete(c.Data, d.Name)
		return nil
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("session: Data %q: %w", d.Name, err)
	}
	if c.Data == nil {
		c.Data = make(map[string]json.RawMessage)
	}
	c.Data[d.Name] = encoded
	return nil
}

func (d Data[T]) decode(stored json.RawMessage) (T, error) {
	var value T
	if stored == nil {
		return value, nil
	}
	if err := json.Unmarshal(stored, &value); err != nil {
		var none T
		return none, fmt.Errorf("session: Data %q: %w", d.Name, err)
	}
	return value, nil
}

// session returns the ID of the session of the request.
func (d Data[T]) session(ctx context.Context) (string, error) {
	if d.Sessions == nil || d.Name == "" {
		return "", errors.New("session: Data: Sessions and Name are required")
	}
	return d.Sessions.sessionOf(ctx)
}
