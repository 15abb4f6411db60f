// SPDX-License-Identifier: Apache-2.0

package mtls

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
)

// ServerTLS returns a copy of base for a server that requests a certificate from its
// clients and verifies it against roots. A client without a certificate is accepted,
// unless base.ClientAuth is [tls.RequireAndVerifyClientCert]; a handshake with a
// certificate that does not verify fails.
//
// base must have Certificates or GetCertificate: start the server with
// ServeTLS(listener, "", "") or ListenAndServeTLS("", ""). TLS 1.2 is the lowest
// version. HTTP/2 and HTTP/1.1 are offered if base.NextProtos is empty.
//
// After a change of the roots, earlier TLS sessions are not resumed.
func ServerTLS(base *tls.Config, roots *Roots) (*tls.Config, error) {
	if base == nil || roots == nil || roots.current.Load() == nil {
		return nil, errors.New("mtls: ServerTLS: base and roots are required; roots must come from NewRoots")
	}
	var errs []error
	if len(base.Certificates) == 0 && base.GetCertificate == nil {
		errs = append(errs, errors.New("mtls: ServerTLS: base.Certificates or base.GetCertificate: required"))
	}
	if base.GetConfigForClient != nil {
		errs = append(errs, errors.New("mtls: ServerTLS: base.GetConfigForClient: must be nil, because it would replace the roots"))
	}
	if base.ClientCAs != nil {
		errs = append(errs, errors.New("mtls: ServerTLS: base.ClientCAs: must be nil, roots replace it"))
	}
	if base.MaxVersion != 0 && base.MaxVersion < tls.VersionTLS12 {
		errs = append(errs, errors.New("mtls: ServerTLS: base.MaxVersion: must be at least TLS 1.2"))
	}
	config := base.Clone()
	switch config.ClientAuth {
	case tls.NoClientCert, tls.VerifyClientCertIfGiven:
		config.ClientAuth = tls.VerifyClientCertIfGiven
	case tls.RequireAndVerifyClientCert:
	default: // they accept certificates of every CA, and expired ones
		errs = append(errs, errors.New("mtls: ServerTLS: base.ClientAuth: must verify certificates"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	if len(config.NextProtos) == 0 {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	config.ClientCAs = roots.set().pool

	// The session ticket keys are those of the returned configuration, also for
	// configurations that GetConfigForClient returns. crypto/tls verifies the
	// certificate of a session again and does not resume one that fails.
	type derived struct {
		roots  *rootSet
		config *tls.Config
	}
	var last atomic.Pointer[derived]
	handshake := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		set := roots.set()
		if d := last.Load(); d != nil && d.roots == set {
			return d.config, nil
		}
		c := handshake.Clone()
		c.ClientCAs = set.pool
		last.Store(&derived{set, c})
		return c, nil
	}
	return config, nil
}
