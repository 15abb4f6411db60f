// SPDX-License-Identifier: Apache-2.0

package typednil_test

import (
	"crypto/ecdsa"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/agent/prompt"
	"github.com/gatehouse-go/gatehouse/agent/tool"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/assertion"
	"github.com/gatehouse-go/gatehouse/audit"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
	"github.com/gatehouse-go/gatehouse/spiffe"
)

// provider is an upstream.Provider.
type provider struct{ upstream.Provider }

// TestNilPointersInInterfaces: each constructor of the module refuses a nil pointer in
// each field that is an interface, and names the field. A program gets such a value
// from a constructor whose error it does not check.
func TestNilPointersInInterfaces(t *testing.T) {
	nils := []any{
		gatehouse.ObserverFunc(nil), gatehouse.PolicyFunc(nil), http.HandlerFunc(nil), (*http.Transport)(nil), (*ecdsa.PrivateKey)(nil),
		(*agent.Memory)(nil), (*approval.Memory)(nil), (*budget.Memory)(nil), (*upstream.Memory)(nil), (*apikey.Memory)(nil),
		(*refresh.Memory)(nil), (*revocation.Memory)(nil), (*revocation.List)(nil), (*session.Memory)(nil), (*dpop.Memory)(nil),
		(*jwtauth.KeyRing)(nil), (*jwtauth.Authenticator)(nil), (*mtls.Authenticator)(nil), (*dpop.Verifier)(nil),
		(*oauth.Tokens)(nil), (*audit.Log)(nil), (*spiffe.Verifier)(nil), (*refresh.Tokens)(nil), (*model.Catalogue)(nil),
		(*provider)(nil), (*upstream.Rotator)(nil),
	}
	for _, constructor := range []any{
		gatehouse.New, agent.New, agent.NewServer, agent.NewEAT, approval.New, budget.New, budget.NewMeter, model.New, prompt.New, tool.New,
		upstream.New, upstream.NewRotator, apikey.New, assertion.New, audit.Open, cookie.New, cookie.NewAccessToken, cookie.NewCrossSite,
		cookie.NewSealed, dpop.New, dpop.NewTransport, jwtauth.New, jwtauth.NewSigner, jwtauth.NewVerifier, mtls.New, mtls.NewRoots,
		oauth.New, oauth.NewIntrospector, oauth.NewTransport, refresh.New, revocation.New, session.New, signin.New, spiffe.New,
	} {
		call := reflect.ValueOf(constructor)
		config := call.Type().In(0)
		for i := range config.NumField() {
			field := config.Field(i)
			element := field.Type
			if element.Kind() == reflect.Slice {
				element = element.Elem()
			}
			if element.Kind() != reflect.Interface || !field.IsExported() {
				continue
			}
			name := fmt.Sprint(config, ".", field.Name)
			found := false
			for _, v := range nils {
				if !reflect.TypeOf(v).AssignableTo(element) {
					continue
				}
				found = true
				value := reflect.New(config).Elem()
				if field.Type.Kind() == reflect.Slice {
					list := reflect.MakeSlice(field.Type, 1, 1)
					list.Index(0).Set(reflect.ValueOf(v))
					value.Field(i).Set(list)
				} else {
					value.Field(i).Set(reflect.ValueOf(v))
				}
				results := call.Call([]reflect.Value{value})
				if err, _ := results[len(results)-1].Interface().(error); err == nil || !strings.Contains(err.Error(), field.Name) {
					t.Errorf("%s = nil %T: error = %v, want one that names the field", name, v, err)
				}
				break
			}
			if !found {
				t.Errorf("%s: no value of this test is a %v: add one", name, element)
			}
		}
	}
}
