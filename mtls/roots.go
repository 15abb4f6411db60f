// SPDX-License-Identifier: Apache-2.0

package mtls

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	rereadRoots  = 10 * time.Second
	maxRootBytes = 4 << 20
)

// RootsConfig configures [Roots].
type RootsConfig struct {
	// File contains the certificates of the CAs in PEM. Required.
	File string

	// Observer receives [EventRootsChanged] and [EventRootsFailed]. Optional.
	Observer gatehouse.Observer
}

// Roots are the CAs that are trusted to issue client certificates. They follow
// their file: a handshake or a request reads it again if it was read more than
// 10 s ago. If the file cannot be read or is invalid, the certificates that were
// read before stay in use. Connections that were made with a removed CA lose
// their credential too. Roots is safe for concurrent use.
type Roots struct {
	file     string
	observer gatehouse.Observer
	current  atomic.Pointer[rootSet]
	reading  sync.Mutex
}

// rootSet is the content of the file at one time. Another content has another address.
type rootSet struct {
	content string
	pool    *x509.CertPool
	read    atomic.Int64 // when the file had this content, or could not be read, in Unix nanoseconds
}

// NewRoots reads the file. It must contain at least one certificate, only
// certificates of CAs, and nothing between the PEM blocks but comments.
func NewRoots(config RootsConfig) (*Roots, error) {
	if config.Observer != nil && typednil.Is(config.Observer) {
		return nil, fmt.Errorf("mtls: RootsConfig.Observer: is a nil %T", config.Observer)
	}
	r := &Roots{file: config.File, observer: config.Observer}
	set, err := r.load(nil)
	if err != nil {
		return nil, fmt.Errorf("mtls: RootsConfig.File: %w", err)
	}
	r.current.Store(set)
	return r, nil
}

// set returns the roots. If they are due, one caller reads them again, and the others get
// the previous roots.
func (r *Roots) set() *rootSet {
	set := r.current.Load()
	if time.Now().UnixNano()-set.read.Load() < int64(rereadRoots) || !r.reading.TryLock() {
		return set
	}
	defer r.reading.Unlock()
	if now := r.current.Load(); now != set {
		return now
	}
	next, err := r.load(set)
	set.read.Store(time.Now().UnixNano())
	event := gatehouse.Event{Type: EventRootsChanged, Level: slog.LevelWarn}
	switch {
	case err != nil:
		event.Type, event.Level, event.Cause = EventRootsFailed, slog.LevelError, err
	case next == set:
		return set
	default:
		r.current.Store(next)
		set = next
	}
	_ = gatehouse.Report(context.Background(), r.observer, event)
	return set
}

// load reads the file. It returns old if the content is the same.
func (r *Roots) load(old *rootSet) (*rootSet, error) {
	file, err := os.Open(r.file)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxRootBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > maxRootBytes:
		return nil, fmt.Errorf("%s: more than %d bytes", r.file, maxRootBytes)
	case old != nil && string(content) == old.content:
		return old, nil
	}
	set := &rootSet{content: string(content), pool: x509.NewCertPool()}
	set.read.Store(time.Now().UnixNano())
	if err := set.parse(content); err != nil {
		return nil, fmt.Errorf("%s: %w", r.file, err)
	}
	return set, nil
}

// parse adds the certificates. A block that cannot be parsed is an error: skipping it
// would remove a CA silently.
func (s *rootSet) parse(content []byte) error {
	blocks := bytes.Count(content, []byte("-----BEGIN "))
	found := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		found++
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("block %d: is a %q, want only certificates", found, block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("block %d: %w", found, err)
		}
		if !certificate.BasicConstraintsValid || !certificate.IsCA {
			return fmt.Errorf("block %d: is not the certificate of a CA", found)
		}
		s.pool.AddCert(certificate)
	}
	switch {
	case found == 0:
		return errors.New("no certificate")
	case found != blocks:
		return fmt.Errorf("%d of %d blocks are malformed", blocks-found, blocks)
	}
	return nil
}
