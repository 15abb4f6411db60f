// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestErrorText(t *testing.T) {
	e := &gatehouse.Error{
		Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonTokenExpired,
		Credential: "jti-1", Issuer: "https://auth.example.com", Cause: io.ErrUnexpectedEOF,
	}
	const want = "gatehouse: invalid_token (token_expired)"
	if got := fmt.Sprintf("%v|%s|%+v", e, e, e); got != want+"|"+want+"|"+want {
		t.Errorf("%s", got)
	}
	if !errors.Is(e, io.ErrUnexpectedEOF) || errors.Is(e, gatehouse.ErrNoCredentials) {
		t.Error("the cause is lost")
	}
	if errors.Unwrap((*gatehouse.Error)(nil)) != nil || errors.Unwrap(&gatehouse.Error{}) != nil {
		t.Error("a cause out of nothing")
	}
}
