// SPDX-License-Identifier: Apache-2.0

package mtls

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

const (
	certHeader  = "Client-Cert"
	chainHeader = "Client-Cert-Chain"

	maxCertHeader  = 16 << 10 // bytes
	maxChainHeader = 48 << 10 // bytes
	maxChain       = 8        // certificates
)

// fromProxy reports whether the peer of r is a proxy. It refuses a request with a
// header of RFC 9440 from another peer.
//
//	RFC 9440 §4 (trusted): "backend servers MUST only accept the Client-Cert and
//	Client-Cert-Chain header fields from a trusted TTRP"
//
// Implements RFC 9440 §2.4 (reject).
func (a *Authenticator) fromProxy(r *http.Request) (bool, *gatehouse.Error) {
	if len(a.config.Proxies) == 0 {
		return false, nil
	}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // on failure the invalid address, which is in no network
	if clientaddr.Contains(a.config.Proxies, peer.Addr().Unmap()) {
		return true, nil
	}
	if len(r.Header[certHeader])+len(r.Header[chainHeader]) > 0 {
		return false, refuse(gatehouse.CodeInvalidRequest, ReasonPeer, errors.New("mtls: "+certHeader+": the peer is not in Config.Proxies"))
	}
	return false, nil
}

// headerText returns the value of Client-Cert and the values of Client-Cert-Chain
// as one text, "" if there is none.
//
//	RFC 9440 §2.2: "It is a singleton header field value ... which MUST NOT have a
//	list of values or occur multiple times in a request."
func headerText(header http.Header) (leaf, chain string, err error) {
	values := header[certHeader]
	chain = strings.Join(header[chainHeader], ",")
	switch {
	case len(values) == 0 && len(header[chainHeader]) == 0:
		return "", "", nil
	case len(values) != 1 || values[0] == "":
		return "", "", errors.New(certHeader + ": must occur once")
	case len(values[0]) > maxCertHeader || len(chain) > maxChainHeader:
		return "", "", errors.New(certHeader + " or " + chainHeader + ": too long")
	}
	return values[0], chain, nil
}

// parseHeader parses what headerText returns.
//
//	RFC 9440 §2.3: "Each item in the list MUST be a Byte Sequence"
func parseHeader(leaf, chain string) (*x509.Certificate, []*x509.Certificate, error) {
	certificate, err := parseItem(leaf)
	if err != nil {
		return nil, nil, errors.New(certHeader + ": " + err.Error())
	}
	var intermediates []*x509.Certificate
	if chain == "" {
		return certificate, nil, nil
	}
	for item := range strings.SplitSeq(chain, ",") {
		i, err := parseItem(strings.Trim(item, " \t"))
		if err == nil && len(intermediates) == maxChain {
			err = errors.New("too many certificates")
		}
		if err != nil {
			return nil, nil, errors.New(chainHeader + ": " + err.Error())
		}
		intermediates = append(intermediates, i)
	}
	return certificate, intermediates, nil
}

// parseItem parses one certificate: a byte sequence, without parameters. The
// errors contain nothing of the header.
//
//	RFC 9440 §2.1: "the binary DER certificate is encoded using base64 (without
//	line breaks, spaces, or other characters outside the base64 alphabet) and
//	delimited with colons on either side"
func parseItem(item string) (*x509.Certificate, error) {
	if len(item) < 2 || item[0] != ':' || item[len(item)-1] != ':' {
		return nil, errors.New("not one byte sequence")
	}
	item = item[1 : len(item)-1]
	// Decoders of Go skip line breaks, also in strict mode.
	der, err := base64.StdEncoding.Strict().DecodeString(item)
	if err != nil || strings.ContainsAny(item, "\r\n") {
		return nil, errors.New("not base64")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("not one certificate in DER")
	}
	return certificate, nil
}
