// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

// ErrConflict is the error of [Store.Swap] if the record has another revision.
var ErrConflict = errors.New("upstream store: the record has another revision")

// Store keeps one record for each name. [Memory] is an implementation for tests; the
// store module has others. The tests in package upstreamtest are the contract that
// every implementation must pass.
//
//   - Methods are safe for concurrent use by several processes. A change is durable
//     and visible to every reader before Swap returns.
//   - Every error but [ErrConflict] means that the store is unavailable. The change may
//     have been made. If the context is already done, a method changes nothing and
//     returns an error. Implementations limit the duration of a call.
//   - Names are at most 128 bytes of UTF-8 and are compared byte by byte. Data has any
//     bytes, at most [MaxRecordBytes].
type Store interface {
	// Load returns the record. A record that was never written has the revision 0 and
	// no data.
	Load(ctx context.Context, name string) (Record, error)

	// Swap writes data and increments the revision if the record has the given revision.
	// Otherwise it changes nothing and returns ErrConflict.
	Swap(ctx context.Context, name string, revision int64, data []byte) error
}

// MaxRecordBytes limits the data of a [Record].
const MaxRecordBytes = 256 << 10

// Record is the record of a [Store] for a name.
type Record struct {
	// Revision is the number of changes.
	Revision int64
	// Data is the data of the last change.
	Data []byte
	// AsOf is the time of Load by the clock of the store, or of the database engine if it
	// has one: in UTC, to the microsecond.
	AsOf time.Time
}

// Memory is a [Store] for tests. When the process ends, its records are lost, with the
// credentials that must be revoked. The zero value is empty. It is safe for concurrent
// use.
type Memory struct {
	mu      sync.Mutex
	records map[string]Record
}

var _ Store = (*Memory)(nil)

// Load implements [Store].
func (m *Memory) Load(ctx context.Context, name string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[name]
	r.Data, r.AsOf = slices.Clone(r.Data), expiring.Now()
	return r, nil
}

// Swap implements [Store].
func (m *Memory) Swap(ctx context.Context, name string, revision int64, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[name].Revision != revision {
		return ErrConflict
	}
	if m.records == nil {
		m.records = make(map[string]Record)
	}
	m.records[name] = Record{Revision: revision + 1, Data: slices.Clone(data)}
	return nil
}
