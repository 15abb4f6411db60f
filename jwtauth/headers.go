// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"strings"
	"sync/atomic"
)

// headers remembers headers that were read strictly, by their text as it is in
// the token: all tokens of one key have the same one. Only those of tokens that
// were good are remembered, so that junk does not push them out. It is safe for
// concurrent use.
type headers struct {
	slots [8]atomic.Pointer[knownHeader]
}

type knownHeader struct {
	segment string
	head    header
}

// slot spreads by the middle and the end: the beginning is mostly the same.
func (h *headers) slot(segment string) *atomic.Pointer[knownHeader] {
	return &h.slots[(segment[len(segment)/2]^segment[len(segment)-1])%8]
}

func (h *headers) find(segment string) *header {
	if h == nil || segment == "" {
		return nil
	}
	if k := h.slot(segment).Load(); k != nil && k.segment == segment {
		return &k.head
	}
	return nil
}

func (h *headers) remember(t *token) {
	if slot := h.slot(t.header); slot.Load() == nil || slot.Load().segment != t.header {
		slot.Store(&knownHeader{strings.Clone(t.header), t.head})
	}
}
