// SPDX-License-Identifier: Apache-2.0

package josepeer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/josepeer"
)

func TestPeer(t *testing.T) {
	t.Parallel()
	p := josepeer.Start(t)
	p.Generate(t, "k1", "ES256")
	p.Secret(t, "k2", "HS256", []byte("0123456789abcdef0123456789abcdef"))
	claims := fmt.Sprintf(`{"iss":"https://a.example","aud":"api","exp":%d}`, time.Now().Add(time.Minute).Unix())
	demands := josepeer.Demands{
		Issuer: "https://a.example", Audience: "api", Type: "at+jwt",
		Algorithms: []string{"ES256", "HS256"}, JWKS: p.JWKS(t),
	}

	if got, rejected := p.Verify(t, p.Sign(t, "k1", "at+jwt", claims), demands); got != claims {
		t.Errorf("jose rejects its own token: %s", rejected)
	}
	if _, rejected := p.Verify(t, p.Sign(t, "k1", "JWT", claims), demands); rejected == "" {
		t.Error("jose accepts another typ")
	}
	secret := demands
	secret.KeyID = "k2"
	if got, rejected := p.Verify(t, p.Sign(t, "k2", "at+jwt", claims), secret); got != claims {
		t.Errorf("jose rejects its own HS256 token: %s", rejected)
	}
	if _, rejected := p.Verify(t, p.Sign(t, "k2", "at+jwt", claims), demands); rejected == "" {
		t.Error("jose accepts a token of a key that is not in the set")
	}
}
