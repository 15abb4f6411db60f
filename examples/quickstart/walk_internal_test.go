// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// TestWalkNotices holds that the walk does not say that all is well where it is
// not. It is inside the package because the program itself never gets there.
func TestWalkNotices(t *testing.T) {
	t.Parallel()
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"error":"invalid_token"}`))
	}))
	defer open.Close()
	announced := []scene{{"a scene", "/", []step{
		{words: "as it is", want: outcome{200, gatehouse.CodeInvalidToken, ""}},
		{words: "another status", want: outcome{401, gatehouse.CodeInvalidToken, ""}},
		{words: "another error", want: outcome{200, gatehouse.CodeInvalidRequest, ""}},
		{words: "another reason", want: outcome{200, gatehouse.CodeInvalidToken, gatehouse.ReasonTokenExpired}},
	}}}
	var out strings.Builder
	steps, wrong, err := walk(t.Context(), &out, open.URL, new(witness), announced)
	if err != nil || steps != 4 || wrong != 3 {
		t.Errorf("%d of %d wrong, %v, want 3 of 4", wrong, steps, err)
	}
	for line := range strings.Lines(out.String()) {
		if mark, good := strings.HasPrefix(line, "✓"), strings.Contains(line, "as it is"); mark != good {
			t.Errorf("the wrong mark: %s", line)
		}
	}
}
