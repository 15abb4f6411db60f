// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
)

var (
	// ErrUnavailable means that the upstream did not respond, or that its response is
	// incomplete.
	ErrUnavailable = errors.New("upstream: unavailable")
	// ErrNoCredential means that the source has no credential now. The request was not
	// sent.
	ErrNoCredential = errors.New("upstream: no credential")
	// ErrOrigin means that the request is for another origin. It was not sent.
	ErrOrigin = errors.New("upstream: the request is for another origin")
	// ErrRejected is the error of a [Provider] for a credential that the provider
	// rejects.
	ErrRejected = errors.New("upstream: the provider rejects the credential")
	// ErrDecommissioned means that [Rotator.Decommission] was called.
	ErrDecommissioned = errors.New("upstream: decommissioned")
)

// ErrEncoded means that the upstream compressed the response, so the credential could not
// be masked. The upstream has served the call, which may have a cost. The error also
// wraps ErrUnavailable.
var ErrEncoded = errors.New("upstream: the response is compressed although the request does not accept that")

// failure is an error without text from other packages, which may contain addresses, URLs
// or text of the provider. It does not wrap its cause, because a log of the cause would
// show that text.
type failure struct {
	name string // of the upstream
	kind error
	text string
	also []error // for errors.Is

	refusal *gatehouse.Error // nil but for a [Rotator]
}

// Error implements error.
func (f *failure) Error() string { return f.kind.Error() + ": " + f.name + ": " + f.text }

// Is is called by [errors.Is].
func (f *failure) Is(target error) bool { return target == f.kind || slices.Contains(f.also, target) }

// Unwrap is called by [errors.As].
func (f *failure) Unwrap() error {
	if f.refusal == nil {
		return nil
	}
	return f.refusal
}

// refusal returns the 503 for an error of a [Rotator], without its text.
func refusal(name string, err error) *gatehouse.Error {
	return &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonNoAnswer, Cause: newFailure(name, err),
	}
}

// Timeout reports whether a time limit was reached, like that of [net.Error].
func (f *failure) Timeout() bool { return slices.Contains(f.also, os.ErrDeadlineExceeded) }

func newFailure(name string, err error) *failure {
	text, also := classify(err)
	return &failure{name: name, kind: ErrUnavailable, text: text, also: also}
}

func newCredentialFailure(name string, err error) *failure {
	f := newFailure(name, err)
	f.kind = ErrNoCredential
	return f
}

// kinds are the errors whose own text is safe and sufficient.
var kinds = []struct {
	err  error
	text string
}{
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "timeout"},
	{ErrDecommissioned, "decommissioned"},
	{ErrRejected, "the provider rejects the credential"},
	{ErrConflict, "too many nodes write the record"},
	{cookie.ErrSeal, "the record cannot be opened with these keys"},
	{errRecord, "the record is malformed"},
	{ErrEncoded, "the response is compressed although the request does not accept that"},
	{syscall.ECONNREFUSED, "connection refused"},
	{syscall.ECONNRESET, "connection reset"},
	{io.ErrUnexpectedEOF, "connection closed too early"},
	{io.EOF, "connection closed without a response"},
	{os.ErrNotExist, "not there"},
	{os.ErrPermission, "permission denied"},
}

// classify returns a safe text for an error, and the errors that errors.Is finds in it.
func classify(err error) (text string, also []error) {
	for _, kind := range kinds {
		if errors.Is(err, kind.err) {
			also = append(also, kind.err)
			if text == "" {
				text = kind.text
			}
		}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		also = append(also, os.ErrDeadlineExceeded)
		if text == "" {
			text = "timeout"
		}
	}
	if text != "" {
		return text, also
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the host name has no address", also
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the certificate of the server is not accepted", also
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS", also
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return "network error", also
	}
	return "failed", also
}
