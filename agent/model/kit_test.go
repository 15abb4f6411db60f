// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

func config() model.Config {
	return model.Config{
		Tiers:        map[string][]string{"standard": {"small-1", "small-2", "tuned-acme-1"}, "premium": {"large-1"}},
		Aliases:      map[string]string{"fast": "small-1", "best": "large-1"},
		Fallbacks:    map[string][]string{"large-1": {"small-1", "tuned-acme-1"}, "small-1": {"large-1", "small-2"}},
		Tenants:      map[string]string{"tuned-acme-1": "acme"},
		MaxOutput:    map[string]int64{"small-1": 4096, "small-2": 4096, "tuned-acme-1": 100, "large-1": 8192},
		ToolOverhead: map[string]int64{"large-1": 500},
	}
}

func catalogue(t testing.TB) *model.Catalogue {
	t.Helper()
	return must(model.New(config()))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func caller(tenant string, scopes ...string) gatehouse.Principal {
	return gatehouse.Principal{Subject: "ci", Tenant: tenant, Method: "test", Scopes: must(gatehouse.NewScopes(scopes...))}
}

// status returns the status, the code and the reason of an error, "ok" for nil.
func status(err error) string {
	if err == nil {
		return "ok"
	}
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok {
		return "no *gatehouse.Error: " + err.Error()
	}
	code := map[int]string{400: "400 ", 401: "401 ", 403: "403 ", 413: "413 ", 503: "503 "}[e.Code.Status()]
	return code + e.Code.String() + " " + string(e.Reason)
}
