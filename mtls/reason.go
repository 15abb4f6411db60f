// SPDX-License-Identifier: Apache-2.0

package mtls

import "github.com/gatehouse-go/gatehouse"

const (
	// Method is the Method of callers that a certificate authenticates.
	Method gatehouse.Method = "mtls"

	// Binding is the Binding of these callers, and of callers whose token is bound
	// to a certificate.
	Binding gatehouse.Binding = "mtls"
)

// CodeMisdirected is the code of a request for another host than that of the
// handshake.
var CodeMisdirected = gatehouse.NewCode(421, "misdirected_request", "The connection was made for another host.")

// The reasons for refusals.
const (
	// ReasonPeer: a peer that is not in Config.Proxies sent Client-Cert or Client-Cert-Chain. Status: 400. Operator: add the proxy to Config.Proxies if it is one; otherwise it is an attack.
	ReasonPeer gatehouse.Reason = "mtls_peer"
	// ReasonHeader: Client-Cert or Client-Cert-Chain of a proxy is malformed, too long or sent twice. Status: 400. Operator: configure the format of RFC 9440 in the proxy, and have it remove the headers of its clients.
	ReasonHeader gatehouse.Reason = "mtls_header"
	// ReasonMisdirected: the Host header and the server name of the handshake differ, and Config.Roots is not set. Status: 421. Operator: nothing for a single one, the client retries; otherwise set Config.Roots.
	ReasonMisdirected gatehouse.Reason = "mtls_misdirected"
	// ReasonCrossSite: a browser sent the certificate with a request that a page of another origin caused. Status: 403. Operator: look for a cross-site request forgery.
	ReasonCrossSite gatehouse.Reason = "mtls_cross_site"
	// ReasonUntrusted: no trust root verifies the certificate. Status: 401. Operator: check the roots and the intermediate certificates that the client or the proxy sends; see the cause.
	ReasonUntrusted gatehouse.Reason = "mtls_untrusted"
	// ReasonExpired: the certificate, or another one in its chain, is expired or not valid yet. Status: 401. Operator: renew the certificate; check the clocks.
	ReasonExpired gatehouse.Reason = "mtls_expired"
	// ReasonUsage: the certificate is that of a CA, or its key usage or extended key usage does not include client authentication. Status: 401. Operator: issue a certificate with digitalSignature and clientAuth.
	ReasonUsage gatehouse.Reason = "mtls_usage"
	// ReasonRevoked: Config.Revoked says that the certificate is revoked. Status: 401. Operator: nothing; many requests may be a stolen key.
	ReasonRevoked gatehouse.Reason = "mtls_revoked"
	// ReasonNoCertificate: a token is bound to a certificate and the request has none. Status: 401. Operator: check for a stolen token; check that the client and each proxy use mutual TLS.
	ReasonNoCertificate gatehouse.Reason = "mtls_no_certificate"
	// ReasonThumbprint: a token is bound to another certificate than that of the request. Status: 401. Operator: check for a stolen token; a client that renews its certificate needs a new token.
	ReasonThumbprint gatehouse.Reason = "mtls_thumbprint"
	// ReasonRevocationUnavailable: Config.Revoked failed. Status: 503. Operator: check the source of revocations that the cause names.
	ReasonRevocationUnavailable gatehouse.Reason = "mtls_revocation_unavailable"
	// ReasonPrincipalUnavailable: Config.Principal failed or returned a caller without a Subject. Status: 503. Operator: see the cause.
	ReasonPrincipalUnavailable gatehouse.Reason = "mtls_principal_unavailable"
)

// The events of [Roots]. They have no Decision. Errors of the observer are
// ignored.
const (
	// EventRootsChanged: the file has other certificates than before.
	EventRootsChanged gatehouse.EventType = "mtls_roots_changed"
	// EventRootsFailed: the file cannot be read or is invalid. The roots that were
	// read before stay in use. It has Cause.
	EventRootsFailed gatehouse.EventType = "mtls_roots_failed"
)

func refuse(code gatehouse.Code, reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: code, Reason: reason, Cause: cause}
}
