// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Transport returns a round tripper that meters each request that base sends, with a hold
// of its own. Wrap it in the transport that retries or falls back to another model; base
// is the transport that adds the credential. Use it for a [httputil.ReverseProxy] and for
// clients of the application.
//
// If a call is refused, the error is the [*gatehouse.Error] of [Ledger.Reserve] or
// [MeterConfig.Call]: pass it to [gatehouse.Refuse] in the ErrorHandler of the proxy.
// Other errors are those of base, [ErrStalled] and [ErrUnmetered]: gateway errors.
// Responses have the header fields RateLimit-Policy and RateLimit.
//
// The hold is settled before the reader gets the end of the response, at the latest when
// the body is closed. Transport panics if base is nil.
func (m *Meter) Transport(base http.RoundTripper) http.RoundTripper {
	if typednil.Is(base) {
		panic("budget: Meter.Transport: nil transport")
	}
	return &transport{m, base}
}

type transport struct {
	meter *Meter
	base  http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	f, out, err := t.meter.begin(r)
	if err != nil {
		if r.Body != nil {
			r.Body.Close() // required of a RoundTripper
		}
		return nil, err
	}
	f.direct = true
	response, err := t.base.RoundTrip(out)
	if err == nil {
		if err = f.open(response.StatusCode, response.Header); err != nil {
			response.Body.Close()
		}
	}
	if err != nil {
		if cause := context.Cause(out.Context()); errors.Is(cause, ErrStalled) {
			err = cause
		}
		// If the client or the meter ended the call, the usage is unknown.
		f.end(!errors.Is(err, ErrStalled) && !errors.Is(err, ErrUnmetered))
		f.cancel(nil)
		return nil, err
	}
	if f.events != nil {
		response.ContentLength = -1
	}
	response.Body = &body{flow: f, source: response.Body}
	return response, nil
}

// body is the body of a metered response.
type body struct {
	flow   *flow
	source io.ReadCloser
	mu     sync.Mutex // Close may be called during Read
	piece  []byte     // for callers that read few bytes
	ready  []byte     // bytes that the caller may read
	err    error      // after ready
}

// minPiece is the smallest buffer into which a stream is read, in bytes.
const minPiece = 4 << 10

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.flow.events == nil {
		n, err := b.source.Read(p)
		b.flow.read(p[:n])
		if err != nil {
			b.flow.end(false)
		}
		return n, err
	}
	for len(b.ready) == 0 && b.err == nil {
		piece := p
		if len(p) < minPiece {
			if b.piece == nil {
				b.piece = make([]byte, minPiece)
			}
			piece = b.piece
		}
		b.fill(piece)
	}
	if len(b.ready) > 0 {
		n := copy(p, b.ready)
		b.ready = b.ready[n:]
		return n, nil
	}
	return 0, b.err
}

// fill reads the next piece of a stream and sets ready. feed never writes beyond the
// bytes that it has read, so ready and piece share one buffer if ready fits.
func (b *body) fill(piece []byte) {
	n, err := b.source.Read(piece)
	var cut error
	b.ready, cut = b.flow.feed(piece[:0:len(piece)], piece[:n])
	if cut != nil {
		b.flow.cancel(cut)
		b.flow.end(false)
		b.err = io.EOF
	} else if err != nil {
		b.flow.end(false)
		b.err = err
		if err == io.EOF {
			b.ready = b.flow.tail(b.ready)
		}
	}
}

// Close implements [io.Closer].
func (b *body) Close() error {
	b.flow.cancel(nil)
	err := b.source.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flow.end(false)
	return err
}
