// SPDX-License-Identifier: Apache-2.0

package mtls

// Reread makes the next use of the roots read the file.
func (r *Roots) Reread() { r.current.Load().read.Store(0) }
