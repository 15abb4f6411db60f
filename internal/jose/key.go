// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// CheckKey checks the type and the strength of a public key. The text of the error
// follows a name of the key, such as "is nil".
//
// Implements RFC 7518 §6.2.1; RFC 8725 §3.4.
func CheckKey(public crypto.PublicKey) error {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k == nil || k.N == nil {
			return errors.New("is nil")
		}
		// RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used with
		// these algorithms."
		if bits := k.N.BitLen(); bits < 2048 || bits > 16384 {
			return fmt.Errorf("is an RSA key of %d bits, want 2048 to 16384", bits)
		}
		if k.N.Bit(0) == 0 {
			return errors.New("is an RSA key with an even modulus")
		}
		if k.E < 3 || k.E%2 == 0 {
			return errors.New("is an RSA key with an exponent that is even or less than 3")
		}
	case *ecdsa.PublicKey:
		if k == nil || k.Curve == nil || k.X == nil || k.Y == nil {
			return errors.New("is nil")
		}
		if _, err := k.ECDH(); err != nil {
			return errors.New("is not a point on an accepted curve")
		}
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return errors.New("is not 32 bytes long")
		}
		if isLowOrder(k) {
			return errors.New("is an Ed25519 key of low order, for which signatures can be forged")
		}
	default:
		return fmt.Errorf("is a %T, want *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey", public)
	}
	return nil
}

// lowOrder are the y coordinates of the points of order 1, 2, 4 and 8, in
// canonical and other encodings, without the sign bit. Signatures for such a key
// can be forged without the private key.
var lowOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func isLowOrder(k ed25519.PublicKey) bool {
	y := slices.Clone(k)
	y[31] &= 0x7f
	return slices.Contains(lowOrder, hex.EncodeToString(y))
}
