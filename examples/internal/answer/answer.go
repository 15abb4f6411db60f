// SPDX-License-Identifier: Apache-2.0

// Package answer writes what an API answers.
package answer

import (
	"encoding/json"
	"net/http"
)

// JSON answers with v, which nobody may keep: it is somebody's.
func JSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a caller who has gone is no concern of ours
}

// Problem answers with an error in the form that those of the gate have.
func Problem(w http.ResponseWriter, status int, code, text string) {
	JSON(w, status, map[string]string{"error": code, "error_description": text})
}
