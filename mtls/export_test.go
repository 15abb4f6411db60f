// SPDX-License-Identifier: Apache-2.0

package mtls

import "crypto/x509"

// Reread makes the next use of the roots read the file.
func (r *Roots) Reread() { r.current.Load().read.Store(0) }

// ProblemOf returns why a certificate of a connection proves nothing; between runs
// after the search for chains.
func (a *Authenticator) ProblemOf(leaf *x509.Certificate, between func()) error {
	roots := a.config.Roots.set()
	chains, expired := verify(leaf, nil, roots)
	between()
	if c := a.examine(&certificate{leaf: leaf, roots: roots}, chains, expired); c.problem != nil {
		return c.problem
	}
	return nil
}
